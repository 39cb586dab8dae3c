"""What a reviewer looks for in the inputs of a resource: what it opens, what it costs, what data it keeps."""

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from components.identity.identity import Role

Value = object
Inputs = Mapping[str, Value]

#: How `pulumi preview --json` writes a value that is not known yet.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Subject(StrEnum):
    """What a fact is about; the values are the headings of a summary."""

    OPENS = "Opens"
    COSTS = "Costs"
    DATA = "Keeps data"


class Fact(NamedTuple):
    """One line of a summary."""

    subject: Subject
    text: str


#: The kinds that cost money and have no size.
_BILLED = {
    "monitor:MetricAlert",
    "monitor:ScheduledQueryRule",
    "network:NatGateway",
    "network:PrivateEndpoint",
    "network:PublicIPAddress",
    "privatedns:PrivateZone",
}

#: The properties that decide on costs: sizes, counts and tiers.
_SIZES = {
    "amount",
    "count",
    "dailyQuotaGb",
    "firewallSku",
    "maxCount",
    "maxNodeCount",
    "memory_mb",
    "minCount",
    "minNodeCount",
    "osDiskSizeGB",
    "outboundType",
    "vmPriority",
    "vmSize",
    "zoneRedundancy",
}

#: The properties that keep data, or delete it after a time.
_RETENTION = {
    "daysAfterCreationGreaterThan",
    "daysAfterModificationGreaterThan",
    "enablePurgeProtection",
    "immutabilityPeriodSinceCreationInDays",
    "isVersioningEnabled",
    "keep_days",
    "keep_versions",
    "retentionInDays",
    "softDeleteRetentionInDays",
    "totalRetentionInDays",
}

#: The properties that open a service, each with the values that do not.
_OPENINGS: dict[str, set[Value]] = {
    "adminUserEnabled": {False},
    "allowBlobPublicAccess": {False},
    "allowSharedKeyAccess": {False},
    "anonymousPullEnabled": {False},
    "bypass": {"None"},
    "defaultAction": {"Deny"},
    "disableLocalAccounts": {True},
    "disableLocalAuth": {True},
    "enableNodePublicIP": {False},
    "enablePrivateCluster": {True},
    "isolationMode": {"AllowOnlyApprovedOutbound"},
    "networkRuleBypassOptions": {"None"},
    "publicAccess": {"None"},
    "publicNetworkAccess": {"Disabled", "SecuredByPerimeter"},
    "publicNetworkAccessForIngestion": {"Disabled"},
    "publicNetworkAccessForQuery": {"Disabled"},
}

#: The kinds that the public network reaches if `publicNetworkAccess` is missing.
_OPEN_BY_DEFAULT = {
    "containerregistry:Registry",
    "keyvault:Vault",
    "machinelearningservices:Workspace",
    "storage:StorageAccount",
}

#: The lists of addresses and networks that a service admits.
_ADMITTED = {"authorizedIPRanges", "ipRules", "virtualNetworkRules", "resourceAccessRules"}


def facts(type_: str, name: str, inputs: Inputs, *, protect: bool) -> Iterator[Fact]:
    """Yield the facts of a resource, by its type, its name in Pulumi and its inputs."""
    kind = kind_of(type_)
    where = f"{kind} {name}"
    for text in _openings(kind, inputs):
        yield Fact(Subject.OPENS, f"{where}: {text}")
    if kind in _BILLED:
        yield Fact(Subject.COSTS, kind)
    if sizes := sorted(_sizes(inputs)):
        yield Fact(Subject.COSTS, f"{where}: {', '.join(sizes)}")
    if protect:
        yield Fact(Subject.DATA, f"{where}: protected from deletion by Pulumi")
    if kind == "authorization:ManagementLockByScope":
        yield Fact(Subject.DATA, f"{where}: {inputs.get('level')} lock on {_short(inputs.get('scope'))}")
    for path, value in leaves(inputs):
        if path[-1] in _RETENTION or (path[-1] == "days" and "Policy" in path[-2]):
            yield Fact(Subject.DATA, f"{where}: {dotted(path)} {shown(value)}")


def kind_of(type_: str) -> str:
    """Return a type without what is the same for all: `storage:StorageAccount`, `apps/v1:Deployment`."""
    package, module, name = type_.split(":")
    match package:
        case "azure-native":
            return f"{module.split('/')[0]}:{name}"
        case "pulumi-python":
            return f"{module.removeprefix('dynamic/')}:{name}"
        case _:
            return f"{module}:{name}"


def _openings(kind: str, inputs: Inputs) -> Iterator[str]:
    """Yield what lets identities, the public network or other networks in, or data out."""
    yield from _grants(kind, inputs)
    for path, value in leaves(inputs):
        closed = _OPENINGS.get(path[-1])
        if closed is not None and value not in closed:
            yield f"{dotted(path)} {shown(value)}"
    if kind in _OPEN_BY_DEFAULT and not any(path[-1] == "publicNetworkAccess" for path, _ in leaves(inputs)):
        yield "publicNetworkAccess is not set, which opens it"
    for path, value in _named(inputs, _ADMITTED):
        for item in value if isinstance(value, list) else [value]:
            yield f"{dotted(path)} admits {shown(item)}"
    for _, rules in _named(inputs, {"securityRules"}):
        yield from _security_rules(rules)
    for _, rules in _named(inputs, {"outboundRules"}):
        yield from _outbound_rules(rules)


def _grants(kind: str, inputs: Inputs) -> Iterator[str]:
    """Yield what a resource opens by its kind."""
    match kind:
        case "authorization:RoleAssignment":
            yield f"{_role(inputs.get('roleDefinitionId'))} on {_short(inputs.get('scope'))}"
        case "authorization:RoleDefinition":
            for path, value in leaves(inputs.get("permissions", {})):
                yield f"{path[-2] if path[-1].isdigit() else path[-1]} {shown(value)}"
        case "managedidentity:FederatedIdentityCredential":
            yield f"signs in {shown(inputs.get('subject'))} of {shown(inputs.get('issuer'))}"
        case "network:PublicIPAddress":
            yield "a public address"


def _outbound_rules(rules: Value) -> Iterator[str]:
    """Yield each destination that a workspace's managed network lets jobs reach."""
    for rule, target in rules.items() if isinstance(rules, Mapping) else []:
        destination = target.get("destination") if isinstance(target, Mapping) else target
        yield f"outbound rule {rule} to {shown(destination)}"


def _security_rules(rules: Value) -> Iterator[str]:
    """Yield each rule of a network security group that allows traffic."""
    for rule in rules if isinstance(rules, Sequence) else []:
        if isinstance(rule, Mapping) and rule.get("access") == "Allow":
            source, destination, ports = (
                shown(rule.get(name) or rule.get(f"{name}s") or rule.get(f"{name}es"))
                for name in ("sourceAddressPrefix", "destinationAddressPrefix", "destinationPortRange")
            )
            allowed = f"{rule.get('name')} allows {rule.get('direction')} {rule.get('protocol')}"
            yield f"security rule {allowed} from {source} to {destination}, ports {ports}"


def _sizes(inputs: Inputs) -> Iterator[str]:
    for path, value in leaves(inputs):
        if path[-1] in _SIZES or (path[-1] in ("name", "tier", "capacity") and path[-2] == "sku"):
            yield f"{dotted(path)} {shown(value)}"


def leaves(value: Value, path: tuple[str, ...] = ("",)) -> Iterator[tuple[tuple[str, ...], Value]]:
    """Yield each plain value, with its path, which starts with an empty step."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, (*path, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, str(index)))
    else:
        yield path, value


def _named(
    value: Value, names: set[str], path: tuple[str, ...] = ("",)
) -> Iterator[tuple[tuple[str, ...], Value]]:
    """Yield the values of the properties with these names, at any depth."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in names:
                yield (*path, str(key)), item
            else:
                yield from _named(item, names, (*path, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, item in enumerate(value):
            yield from _named(item, names, (*path, str(index)))


def dotted(path: tuple[str, ...]) -> str:
    """Return a path of `leaves` as text."""
    return ".".join(step for step in path if step and step != "properties")


def shown(value: Value) -> str:
    """Return a value as one line, without the parts of an ARM id that say nothing."""
    if value == UNKNOWN:
        return "[unknown]"
    if isinstance(value, str):
        return _short(value) if value.startswith("/subscriptions/") else value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shown(item)}" for key, item in sorted(value.items()))
    if isinstance(value, Sequence):
        return " and ".join(map(shown, value))
    return json.dumps(value)


def _short(arm_id: Value) -> str:
    """Return the last type and name of an ARM id."""
    if arm_id == UNKNOWN:
        return "[unknown]"
    return "/".join(str(arm_id).split("/")[-2:])


def _role(definition: Value) -> str:
    """Return the name of a built-in role, or the id of another."""
    role = str(definition).rpartition("/")[2]
    try:
        return Role(role).name
    except ValueError:
        return f"the custom role {_short(definition)}"
