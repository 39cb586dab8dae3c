"""Types that several sections of the settings use."""

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

from stacks.settings.explain import contradiction


def _address_range(value: object) -> IPv4Network:
    """Return an IPv4 range in CIDR notation, whose first address is the network address."""
    if isinstance(value, IPv4Network):
        return value
    try:
        loose = IPv4Network(value, strict=False)
    except ValueError:
        raise contradiction([], "expected an IPv4 range such as 10.42.0.0/16", value) from None
    if "/" not in str(value) or not str(value).startswith(f"{loose.network_address}/"):
        raise contradiction([], f"expected the range as {loose}", value)
    return loose


AddressRange = Annotated[IPv4Network, BeforeValidator(_address_range)]
ObjectId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]

_SUBSCRIPTION = "/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]+/providers"
SubnetId = Annotated[
    str,
    StringConstraints(pattern=rf"^{_SUBSCRIPTION}/Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+$"),
]
VirtualNetworkId = Annotated[
    str, StringConstraints(pattern=rf"^{_SUBSCRIPTION}/Microsoft\.Network/virtualNetworks/[^/]+$")
]
RegistryId = Annotated[
    str,
    StringConstraints(
        pattern=rf"^{_SUBSCRIPTION}/Microsoft\.ContainerRegistry/registries/[A-Za-z0-9]{{5,50}}$"
    ),
]
PrivateZoneId = Annotated[
    str, StringConstraints(pattern=rf"^{_SUBSCRIPTION}/Microsoft\.Network/privateDnsZones/[^/]+$")
]
#: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
VmSize = Annotated[str, StringConstraints(pattern=r"^Standard_[A-Za-z0-9_]+$")]
#: A host, or `*.` and a domain, as the managed network's rules accept it.
HostPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9-]*\.)+[A-Za-z0-9-]+$")
]
