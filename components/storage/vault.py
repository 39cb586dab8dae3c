"""A Key Vault for the platform's secrets."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import keyvault

from components.component import Args, ServiceArgs
from components.deletion_protection import kept
from components.network.private_link import add_private_endpoint
from components.observability.diagnostics import add_diagnostics


@dataclass(kw_only=True)
class VaultArgs(Args):
    """What a vault needs from outside."""

    service: ServiceArgs
    tenant_id: pulumi.Input[str]
    purge_protection: bool = False
    """Whether a deleted vault cannot be purged early, even without `keep`."""
    premium: bool = False
    """Whether the vault can store keys that never leave a hardware security module."""
    open_to_services: bool = False
    """Whether the public endpoint is on also without `allowed_address_ranges`: for Azure's trusted services,
    and for no address."""


class Vault(pulumi.ComponentResource):
    """A Key Vault that only Entra ID opens: role assignments, no access policies.

    Its public endpoint is on only for `allowed_address_ranges`, and off without any. Azure's trusted services
    reach it anyway, with an identity that has a role: Azure ML and every service that encrypts with a key of
    the vault need that (https://learn.microsoft.com/azure/key-vault/general/network-security). A service that
    checks whether the endpoint is on needs `open_to_services`.
    Leaves role assignments to `Identity.grant`, next to the identity that needs them, and secrets to their
    owners: no secret passes through the program or its state.
    A deleted vault can be recovered for 90 days, and its name stays taken meanwhile. Purge protection cannot
    be turned off later, so it is on only with `keep` or `purge_protection`.
    """

    resource_id: pulumi.Output[str]
    vault_name: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(self, name: str, args: VaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Vault", name, None, opts)
        args = VaultArgs.of(args)
        vault = keyvault.Vault(
            name,
            resource_group_name=args.service.resource_group,
            location=args.service.location,
            properties=_properties(args),
            tags=args.service.tags,
            opts=kept(self, args.service.keep),
        )
        if args.service.private_link is not None:
            add_private_endpoint(
                f"{name}-vault-endpoint",
                vault.id,
                "vault",
                args.service.private_link,
                args.service,
                self,
            )
        add_diagnostics(name, vault.id, args.service.log_analytics_id, self)
        self.resource_id = vault.id
        self.vault_name = vault.name
        self.uri = vault.properties.vault_uri
        self.register_outputs(
            {"resource_id": self.resource_id, "vault_name": self.vault_name, "uri": self.uri}
        )

    def secret_id(self, secret_name: str) -> pulumi.Output[str]:
        """Return the ARM id of a secret: the scope of a role that may read only this one."""
        return pulumi.Output.format("{0}/secrets/{1}", self.resource_id, secret_name)

    def secret_uri(self, secret_name: str) -> pulumi.Output[str]:
        """Return the URL of a secret's newest version."""
        return pulumi.Output.format("{0}secrets/{1}", self.uri, secret_name)


def _properties(args: VaultArgs) -> keyvault.VaultPropertiesArgs:
    ranges = args.service.allowed_address_ranges
    return keyvault.VaultPropertiesArgs(
        tenant_id=args.tenant_id,
        sku=keyvault.SkuArgs(
            family=keyvault.SkuFamily.A,
            name=keyvault.SkuName.PREMIUM if args.premium else keyvault.SkuName.STANDARD,
        ),
        enable_rbac_authorization=True,
        enable_soft_delete=True,
        soft_delete_retention_in_days=90,
        # Azure rejects `false`: omit it
        enable_purge_protection=True if args.service.keep or args.purge_protection else None,
        public_network_access=(
            keyvault.PublicNetworkAccess.ENABLED
            if ranges or args.open_to_services
            else keyvault.PublicNetworkAccess.DISABLED
        ),
        network_acls=keyvault.NetworkRuleSetArgs(
            default_action=keyvault.NetworkRuleAction.DENY,
            bypass=keyvault.NetworkRuleBypassOptions.AZURE_SERVICES,
            ip_rules=[keyvault.IPRuleArgs(value=item) for item in ranges],
        ),
    )
