"""Where the platform's images lie."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from components.component import Args, Tags


@dataclass(kw_only=True)
class RegistryArgs(Args):
    """What a registry needs from outside."""

    resource_group: pulumi.Input[str]
    location: pulumi.Input[str]
    tags: Tags | None = None


class Registry(pulumi.ComponentResource):
    """A container registry without admin user or anonymous pull.

    `name`, of letters and digits, starts the registry's.
    Premium, as Azure ML and private endpoints need it. Leaves role assignments to `Identity.grant`.
    """

    resource_id: pulumi.Output[str]
    login_server: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Registry", name, None, opts)
        args = RegistryArgs.of(args)
        registry = containerregistry.Registry(
            name,
            resource_group_name=args.resource_group,
            location=args.location,
            sku=containerregistry.SkuArgs(name=containerregistry.SkuName.PREMIUM),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.resource_id = registry.id
        self.login_server = registry.login_server
        self.register_outputs({"resource_id": self.resource_id, "login_server": self.login_server})
