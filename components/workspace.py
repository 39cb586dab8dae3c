"""Where data scientists work."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml
from pulumi_azure_native import storage

from components.component import Args, Tags
from components.identity import Identity, IdentityArgs, Role
from components.vault import Vault, VaultArgs


@dataclass(kw_only=True)
class WorkspaceArgs(Args):
    """What a workspace needs from outside."""

    resource_group: pulumi.Input[str]
    location: pulumi.Input[str]
    application_insights_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    job_identity_ids: Sequence[pulumi.Input[str]] = ()
    """Identities that jobs of the workspace may act as."""
    tags: Tags | None = None


class Workspace(pulumi.ComponentResource):
    """An Azure ML workspace with an identity, a storage account and a vault of its own.

    `name`, of lower-case letters and digits, starts the names of all of them. The vault is for what the
    workspace itself keeps: who may submit jobs can read it, so other secrets belong elsewhere.
    The identity gets the roles that Azure ML asks for, most of them before the workspace is made
    (https://learn.microsoft.com/azure/machine-learning/how-to-identity-based-service-authentication).
    Datastores hold no key: who reads or writes does so as themselves. `add_datastore` adds one.
    Leaves who may use the workspace to `Identity.grant`.
    """

    workspace_name: pulumi.Output[str]
    resource_id: pulumi.Output[str]

    def __init__(self, name: str, args: WorkspaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Workspace", name, None, opts)
        self._name = name
        self._args = args = WorkspaceArgs.of(args)
        account = self._storage_account()
        vault = Vault(
            f"{name}kv",
            VaultArgs(
                resource_group=args.resource_group,
                location=args.location,
                tenant_id=args.tenant_id,
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        identity = Identity(
            f"{name}-identity",
            IdentityArgs(resource_group=args.resource_group, location=args.location, tags=args.tags),
            pulumi.ResourceOptions(parent=self),
        )
        self._workspace = ml.Workspace(
            name,
            resource_group_name=args.resource_group,
            location=args.location,
            kind="Default",
            sku=ml.SkuArgs(name="Basic", tier=ml.SkuTier.BASIC),
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[identity.resource_id, *args.job_identity_ids],
            ),
            primary_user_assigned_identity=identity.resource_id,
            storage_account=account.id,
            key_vault=vault.resource_id,
            application_insights=args.application_insights_id,
            container_registry=args.registry_id,
            system_datastores_auth_mode=ml.SystemDatastoresAuthMode.IDENTITY,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._roles(identity, account.id, vault)),
        )
        identity.grant(Role.CONTRIBUTOR, "workspace", self._workspace.id)
        self.workspace_name = self._workspace.name
        self.resource_id = self._workspace.id
        self.register_outputs({"workspace_name": self.workspace_name, "resource_id": self.resource_id})

    def add_datastore(
        self,
        datastore_name: str,
        account_name: pulumi.Input[str],
        endpoint: pulumi.Input[str],
        container_name: pulumi.Input[str],
    ) -> ml.Datastore:
        """Make a container of another storage account a datastore that holds no credential."""
        return ml.Datastore(
            f"{self._name}-{datastore_name}",
            resource_group_name=self._args.resource_group,
            workspace_name=self._workspace.name,
            name=datastore_name,
            properties=ml.AzureBlobDatastoreArgs(
                datastore_type="AzureBlob",
                account_name=account_name,
                container_name=container_name,
                endpoint=endpoint,
                protocol="https",
                credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
                service_data_access_auth_identity=(
                    ml.ServiceDataAccessAuthIdentity.WORKSPACE_USER_ASSIGNED_IDENTITY
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _storage_account(self) -> storage.StorageAccount:
        # The workspace's own account cannot have a hierarchical namespace.
        return storage.StorageAccount(
            self._name,
            resource_group_name=self._args.resource_group,
            location=self._args.location,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=storage.SkuName.STANDARD_ZRS),
            allow_shared_key_access=False,
            allow_blob_public_access=False,
            default_to_o_auth_authentication=True,
            enable_https_traffic_only=True,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _roles(
        self, identity: Identity, account_id: pulumi.Output[str], vault: Vault
    ) -> Sequence[pulumi.Resource]:
        return [
            identity.grant(Role.CONTRIBUTOR, "storage", account_id),
            identity.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "storage", account_id),
            identity.grant(Role.CONTRIBUTOR, "vault", vault.resource_id),
            identity.grant(Role.KEY_VAULT_ADMINISTRATOR, "vault", vault.resource_id),
            identity.grant(Role.CONTRIBUTOR, "registry", self._args.registry_id),
            identity.grant(Role.CONTRIBUTOR, "insights", self._args.application_insights_id),
        ]
