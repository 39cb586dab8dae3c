"""A container registry for the platform's images."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerregistry

from components.component import Args, ServiceArgs
from components.deletion_protection import kept
from components.network.private_link import add_private_endpoint
from components.observability.diagnostics import add_diagnostics
from components.storage.encryption import EncryptionKeyArgs

#: The days after which an image without a tag is deleted.
UNTAGGED_DAYS = 90


@dataclass(kw_only=True)
class RegistryArgs(Args):
    """What a registry needs from outside."""

    service: ServiceArgs
    zones: Sequence[str] = ()
    """The availability zones of the region; only a new registry is spread over them."""
    encryption_key: EncryptionKeyArgs | None = None
    """What images are encrypted with. Only a new registry takes one, and keeps it
    (https://learn.microsoft.com/azure/container-registry/tutorial-customer-managed-keys)."""


class Registry(pulumi.ComponentResource):
    """A container registry without admin user or anonymous pull.

    `name` (letters and digits) is the start of the registry's name. The tier is always Premium: only that has
    rules for the public endpoint, private endpoints, dedicated data endpoints and retention
    (https://learn.microsoft.com/azure/container-registry/container-registry-skus).

    The public endpoint is on only for `allowed_address_ranges`; trusted services such as Azure ML pass with
    an identity that has a role. Without it, images cannot be exported to another registry either
    (https://learn.microsoft.com/azure/container-registry/data-loss-prevention).

    Untagged images are deleted after 90 days and cannot be restored: give an image that is used by digest a
    tag that no later image takes
    (https://learn.microsoft.com/azure/container-registry/container-registry-retention-policy). Soft delete, a
    preview, cannot be combined with that. Azure spreads every registry over the zones of its region; the old
    property for it is fixed and ignored
    (https://learn.microsoft.com/azure/container-registry/zone-redundancy). Leaves role assignments to
    `Identity.grant`.
    """

    resource_id: pulumi.Output[str]
    login_server: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Registry", name, None, opts)
        args = RegistryArgs.of(args)
        registry = _make_registry(name, args, self)
        if args.service.private_link is not None:
            add_private_endpoint(
                f"{name}-registry-endpoint",
                registry.id,
                "registry",
                args.service.private_link,
                args.service,
                self,
            )
        add_diagnostics(name, registry.id, args.service.log_analytics_id, self)
        self.resource_id = registry.id
        self.login_server = registry.login_server
        self.register_outputs({"resource_id": self.resource_id, "login_server": self.login_server})


def _make_registry(name: str, args: RegistryArgs, parent: pulumi.Resource) -> containerregistry.Registry:
    ranges = args.service.allowed_address_ranges
    return containerregistry.Registry(
        name,
        resource_group_name=args.service.resource_group,
        location=args.service.location,
        sku=containerregistry.SkuArgs(name=containerregistry.SkuName.PREMIUM),
        admin_user_enabled=False,
        anonymous_pull_enabled=False,
        data_endpoint_enabled=True,
        public_network_access=(
            containerregistry.PublicNetworkAccess.ENABLED
            if ranges
            else containerregistry.PublicNetworkAccess.DISABLED
        ),
        network_rule_bypass_options=containerregistry.NetworkRuleBypassOptions.AZURE_SERVICES,
        network_rule_set=containerregistry.NetworkRuleSetArgs(
            default_action=containerregistry.DefaultAction.DENY,
            ip_rules=[containerregistry.IPRuleArgs(i_p_address_or_range=item) for item in ranges],
        ),
        policies=_policies(is_public=bool(ranges)),
        zone_redundancy=(
            containerregistry.ZoneRedundancy.ENABLED
            if args.zones
            else containerregistry.ZoneRedundancy.DISABLED
        ),
        identity=_identity(args.encryption_key),
        encryption=_encryption(args.encryption_key),
        tags=args.service.tags,
        # a registry stays as it was made
        opts=pulumi.ResourceOptions.merge(
            kept(parent, args.service.keep), pulumi.ResourceOptions(ignore_changes=["zoneRedundancy"])
        ),
    )


def _policies(*, is_public: bool) -> containerregistry.PoliciesArgs:
    """Return how long untagged images stay, and whether images may leave: a public registry must let them."""
    return containerregistry.PoliciesArgs(
        retention_policy=containerregistry.RetentionPolicyArgs(
            status=containerregistry.PolicyStatus.ENABLED, days=UNTAGGED_DAYS
        ),
        export_policy=containerregistry.ExportPolicyArgs(
            status=(
                containerregistry.ExportPolicyStatus.ENABLED
                if is_public
                else containerregistry.ExportPolicyStatus.DISABLED
            )
        ),
    )


def _identity(key: EncryptionKeyArgs | None) -> containerregistry.IdentityPropertiesArgs | None:
    if key is None:
        return None
    return containerregistry.IdentityPropertiesArgs(
        type=containerregistry.ResourceIdentityType.USER_ASSIGNED,
        user_assigned_identities=pulumi.Output.from_input(key.identity_id).apply(
            lambda identity_id: {identity_id: containerregistry.UserIdentityPropertiesArgs()}
        ),
    )


def _encryption(key: EncryptionKeyArgs | None) -> containerregistry.EncryptionPropertyArgs | None:
    if key is None:
        return None
    return containerregistry.EncryptionPropertyArgs(
        status=containerregistry.EncryptionStatus.ENABLED,
        key_vault_properties=containerregistry.KeyVaultPropertiesArgs(
            identity=key.identity_client_id, key_identifier=key.key_uri
        ),
    )
