"""Where the platform keeps secrets."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import keyvault

from components.component import Args, Tags


@dataclass(kw_only=True)
class VaultArgs(Args):
    """What a vault needs from outside."""

    resource_group: pulumi.Input[str]
    location: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    tags: Tags | None = None


class Vault(pulumi.ComponentResource):
    """A Key Vault that only Entra ID opens: role assignments, no access policies.

    Leaves role assignments to `Identity.grant`, next to the identity that needs them, and its secrets to
    those who own them: none passes through the program or its state.
    A deleted vault can be recovered for 90 days, and its name is taken for as long.
    """

    resource_id: pulumi.Output[str]
    uri: pulumi.Output[str]

    def __init__(self, name: str, args: VaultArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Vault", name, None, opts)
        args = VaultArgs.of(args)
        vault = keyvault.Vault(
            name,
            resource_group_name=args.resource_group,
            location=args.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=args.tenant_id,
                sku=keyvault.SkuArgs(family=keyvault.SkuFamily.A, name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=90,
            ),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.resource_id = vault.id
        self.uri = vault.properties.vault_uri
        self.register_outputs({"resource_id": self.resource_id, "uri": self.uri})

    def secret_id(self, secret_name: str) -> pulumi.Output[str]:
        """Return the ARM id of a secret: the scope of who may read that one alone."""
        return pulumi.Output.format("{0}/secrets/{1}", self.resource_id, secret_name)

    def secret_uri(self, secret_name: str) -> pulumi.Output[str]:
        """Return the address of a secret's newest version."""
        return pulumi.Output.format("{0}secrets/{1}", self.uri, secret_name)
