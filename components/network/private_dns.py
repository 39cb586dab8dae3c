"""Private DNS zones, by which the names of private endpoints resolve inside a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import privatedns

from components.arm_id import digest_of
from components.component import Args, AzureArgs, after

#: Private zones are in no region (https://learn.microsoft.com/azure/dns/private-dns-privatednszone).
GLOBAL = "global"


@dataclass(kw_only=True)
class PrivateDnsArgs(Args):
    """What private DNS zones need from outside."""

    azure: AzureArgs
    virtual_network_id: pulumi.Input[str]
    """The network that resolves the names; it may be in another resource group or subscription."""
    zones: Sequence[str]
    """The zones' names, such as the values of `private_link.Zone`."""
    other_network_ids: Sequence[str] = ()
    """More networks that resolve the names, such as a hub's."""


class PrivateDns(pulumi.ComponentResource):
    """Private DNS zones for the names of private endpoints, each linked to a network, or to several.

    `zone_ids` has the zones' ids by their names, as `PrivateLinkArgs` takes them. An id is known once its
    zone is linked: resources that depend on a zone group of `add_private_endpoint` can resolve the name.
    Names that a zone lacks are looked up in public DNS. Without that, other companies' services with private
    endpoints, such as the storage accounts of Snowflake's stages, could not be resolved. It does not open the
    platform: its services refuse traffic to their public addresses
    (https://learn.microsoft.com/azure/dns/private-dns-fallback).
    Leaves the records to the endpoints. A network can be linked to only one zone of a name: if it is linked
    to a hub's zone, pass that zone's id to `PrivateLinkArgs`, and leave the name out here.
    """

    zone_ids: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, args: PrivateDnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:PrivateDns", name, None, opts)
        self._name = name
        self._args = args = PrivateDnsArgs.of(args)
        self.zone_ids = {zone: self._linked_zone(zone) for zone in args.zones}
        self.register_outputs({"zone_ids": self.zone_ids})

    def _linked_zone(self, zone_name: str) -> pulumi.Output[str]:
        args = self._args
        zone = privatedns.PrivateZone(
            f"{self._name}-{zone_name}",
            resource_group_name=args.azure.resource_group,
            location=GLOBAL,
            private_zone_name=zone_name,
            tags=args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        name = f"{self._name}-{zone_name}-link"
        links = [self._link(name, zone, args.virtual_network_id)]
        for network_id in args.other_network_ids:
            links.append(self._link(f"{name}-{digest_of(network_id)}", zone, network_id))
        return after(zone.id, links)

    def _link(
        self, name: str, zone: privatedns.PrivateZone, network_id: pulumi.Input[str]
    ) -> privatedns.VirtualNetworkLink:
        """Link a network to a zone; the name of a link has at most 80 characters."""
        args = self._args
        return privatedns.VirtualNetworkLink(
            name,
            resource_group_name=args.azure.resource_group,
            location=GLOBAL,
            private_zone_name=zone.name,
            virtual_network=privatedns.SubResourceArgs(id=network_id),
            registration_enabled=False,
            resolution_policy=privatedns.ResolutionPolicy.NX_DOMAIN_REDIRECT,
            tags=args.azure.tags,
            # Azure cannot change the network of a link; the new link has the same name
            opts=pulumi.ResourceOptions(
                parent=self, replace_on_changes=["virtualNetwork"], delete_before_replace=True
            ),
        )
