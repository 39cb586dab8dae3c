"""What every component shares: how it takes its arguments."""

import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

import pulumi

#: The tags that a component puts on every resource that takes tags.
Tags = pulumi.Input[Mapping[str, pulumi.Input[str]]]


class Args:
    """Arguments of a component: a dataclass whose fields are `pulumi.Input`s."""

    @classmethod
    def of(cls, args: Self | Mapping[str, object]) -> Self:
        """Return `args` as this class: a program passes an instance, Pulumi's component host a mapping."""
        if isinstance(args, cls):
            return args
        hints = typing.get_type_hints(cls, localns={"Output": pulumi.Output, "T": object})
        given = cast(Mapping[str, object], args)
        return cls(**{name: _instance(hints[name], value) for name, value in given.items()})


def _instance(hint: object, value: object) -> object:
    """Return `value` with each mapping in it as the class of arguments that its type hint names."""
    if not isinstance(value, Mapping):
        return value
    if isinstance(hint, type) and issubclass(hint, Args):
        return hint.of(value)
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is Mapping:
        return {key: _instance(inner[1], item) for key, item in value.items()}
    for alternative in inner:
        value = _instance(alternative, value)
    return value


def after(value: pulumi.Input[str], resources: Sequence[pulumi.Resource]) -> pulumi.Output[str]:
    """Return `value` as an output: what is made of it depends on `resources` too."""
    urns = pulumi.Output.from_input([resource.urn for resource in resources])
    return pulumi.Output.all(value, urns).apply(lambda known: str(known[0]))


@dataclass(kw_only=True)
class AzureArgs(Args):
    """Where a component makes its Azure resources, and their tags."""

    resource_group: pulumi.Input[str]
    location: pulumi.Input[str]
    tags: Tags | None = None


@dataclass(kw_only=True)
class PrivateLinkArgs(Args):
    """The subnet of private endpoints, and the DNS zones of their names."""

    subnet_id: pulumi.Input[str]
    zone_ids: Mapping[str, pulumi.Input[str]]
    """The ids of private DNS zones by their names, one for each `private_link.Zone` that is used."""

    def __post_init__(self) -> None:
        """Start without endpoints: `add_private_endpoint` appends each that it makes."""
        self.endpoints: list[pulumi.Resource] = []


@dataclass(kw_only=True)
class ServiceArgs(AzureArgs):
    """Where a service that stores data or secrets is made, how it is reached, and what protects it.

    A component that has several such services passes the same value on to each.
    """

    log_analytics_id: pulumi.Input[str]
    """The Log Analytics workspace that the service's audit logs and metrics go to."""
    private_link: PrivateLinkArgs | None = None
    """How the service is reached from inside a network."""
    allowed_address_ranges: Sequence[str] = ()
    """The public ranges (CIDR) that may reach the service's public endpoint; without any it is off."""
    keep: bool = False
    """Whether the service is protected from deletion, by Pulumi and by Azure."""
