"""Which components the platform has and how they connect; the only file that knows them all."""

import pulumi
from pulumi_azure_native import authorization, resources

from components import secrets
from components.argo import Argo, ArgoArgs
from components.cluster import Cluster, ClusterArgs
from components.dynamic.snowflake_connection import SnowflakeConnection, SnowflakeConnectionArgs
from components.dynamic.workspace import WorkspaceRefArgs
from components.identity import Identity, IdentityArgs, Role
from components.lake import CLEAN_CONTAINER, RAW_CONTAINER, Lake, LakeArgs
from components.observability import Observability, ObservabilityArgs
from components.registry import Registry, RegistryArgs
from components.snowflake_import import SnowflakeImport, SnowflakeImportArgs
from components.vault import Vault, VaultArgs
from components.workspace import Workspace, WorkspaceArgs
from stacks.settings import PROJECT, ImportSettings, Settings

#: The name in the workspace of how the importer reaches Snowflake.
CONNECTION = "snowflake"


class Platform:
    """The platform of one stack: every component, made from the stack's settings.

    `outputs` are the stack's outputs, the names that a person or a script starts from.
    """

    def __init__(self, settings: Settings, stack: str) -> None:
        self._settings = settings
        self._tags = {"project": PROJECT, "stack": stack, **settings.tags}
        self._azure = authorization.get_client_config_output()
        self._group = resources.ResourceGroup(
            f"{settings.name}-group",
            resource_group_name=f"rg-{settings.name}",
            location=settings.location,
            tags=self._tags,
        )
        self._observability = self._make_observability()
        self._vault = self._make_vault()
        self._registry = self._make_registry()
        self._lake = self._make_lake()
        self._importer = self._make_identity("importer")
        self._workspace = self._make_workspace()
        self._grant_importer()
        self._cluster = self._make_cluster()
        self._make_argo()
        self._make_secrets()
        self._connection = self._make_connection()
        self._imports = {item.name: self._make_import(item) for item in settings.imports}
        self.outputs = self._make_outputs()

    def _name(self, component: str) -> str:
        return f"{self._settings.name}-{component}"

    def _make_observability(self) -> Observability:
        return Observability(
            self._name("observability"),
            ObservabilityArgs(
                resource_group=self._group.name,
                location=self._settings.location,
                retention_days=self._settings.log_retention_days,
                tags=self._tags,
            ),
        )

    def _make_vault(self) -> Vault:
        return Vault(
            self._name("kv"),
            VaultArgs(
                resource_group=self._group.name,
                location=self._settings.location,
                tenant_id=self._azure.tenant_id,
                tags=self._tags,
            ),
        )

    def _make_registry(self) -> Registry:
        return Registry(
            f"{self._settings.name}registry",
            RegistryArgs(resource_group=self._group.name, location=self._settings.location, tags=self._tags),
        )

    def _make_lake(self) -> Lake:
        return Lake(
            f"{self._settings.name}lake",
            LakeArgs(resource_group=self._group.name, location=self._settings.location, tags=self._tags),
        )

    def _make_workspace(self) -> Workspace:
        workspace = Workspace(
            f"{self._settings.name}mlw",
            WorkspaceArgs(
                resource_group=self._group.name,
                location=self._settings.location,
                application_insights_id=self._observability.application_insights_id,
                tenant_id=self._azure.tenant_id,
                job_identity_ids=[self._importer.resource_id],
                registry_id=self._registry.resource_id,
                tags=self._tags,
            ),
        )
        containers = {RAW_CONTAINER: self._lake.raw_container, CLEAN_CONTAINER: self._lake.clean_container}
        for datastore, container in containers.items():
            workspace.add_datastore(datastore, self._lake.account_name, self._lake.endpoint, container)
        return workspace

    def _grant_importer(self) -> None:
        """Let imports write raw data, register it in the workspace, and read the one secret they need."""
        importer = self._importer
        importer.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "rawdata", self._lake.raw_container_id)
        importer.grant(Role.AZUREML_DATA_SCIENTIST, "workspace", self._workspace.resource_id)
        importer.grant(Role.ACR_PULL, "registry", self._registry.resource_id)
        secret = self._settings.snowflake.secret_name
        if secret is not None:
            importer.grant(Role.KEY_VAULT_SECRETS_USER, "secret", self._vault.secret_id(secret))

    def _make_cluster(self) -> Cluster:
        cluster = self._settings.cluster
        return Cluster(
            self._name("aks"),
            ClusterArgs(
                resource_group=self._group.name,
                location=self._settings.location,
                registry_id=self._registry.resource_id,
                kubernetes_version=cluster.kubernetes_version,
                node_size=cluster.node_size,
                min_nodes=cluster.min_nodes,
                max_nodes=cluster.max_nodes,
                administrators=cluster.administrators or self._azure.object_id,
                tags=self._tags,
            ),
        )

    def _make_argo(self) -> None:
        """Make Argo, and the identity that its workflows run as: it reads raw data and writes clean data."""
        argo = Argo(self._name("argo"), ArgoArgs(), self._on_cluster())
        workflows = self._make_identity("workflows")
        workflows.grant(Role.STORAGE_BLOB_DATA_READER, "rawdata", self._lake.raw_container_id)
        workflows.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "cleandata", self._lake.clean_container_id)
        workflows.federate(self._cluster.oidc_issuer, argo.namespace, "workflows")

    def _make_secrets(self) -> None:
        """Make External Secrets, and its identity; a role on each secret comes with what needs the secret."""
        reader = self._make_identity("secrets")
        reader.federate(self._cluster.oidc_issuer, secrets.NAMESPACE, secrets.SERVICE_ACCOUNT)
        secrets.Secrets(
            self._name("external-secrets"),
            secrets.SecretsArgs(client_id=reader.client_id, tenant_id=self._azure.tenant_id),
            self._on_cluster(),
        )

    def _make_connection(self) -> SnowflakeConnection:
        secret = self._settings.snowflake.secret_name
        target = self._settings.snowflake_target()
        return SnowflakeConnection(
            self._name("snowflake"),
            SnowflakeConnectionArgs(
                workspace=self._workspace_ref(),
                connection_name=CONNECTION,
                account=target.account,
                host=target.host,
                port=target.port,
                protocol=target.protocol,
                warehouse=target.warehouse,
                role=target.role,
                user=target.user,
                sign_in=target.sign_in,
                secret_uri=self._vault.secret_uri(secret) if secret is not None else None,
                queries={item.name: item.query for item in self._settings.imports},
            ),
        )

    def _make_import(self, settings: ImportSettings) -> SnowflakeImport:
        return SnowflakeImport(
            self._name(settings.name),
            SnowflakeImportArgs(
                workspace=self._workspace_ref(),
                connection=self._connection.connection_name,
                columns=self._connection.columns,
                datastore=RAW_CONTAINER,
                import_name=settings.name,
                query=settings.query,
                mode=settings.mode,
                keep_versions=settings.keep_versions,
                cron=settings.schedule,
                time_zone=settings.time_zone,
                enabled=settings.enabled,
                run_on_create=settings.run_on_create,
                image=self._settings.importer_image,
                identity_client_id=self._importer.client_id,
                tags=self._tags,
            ),
            # the first import starts as soon as its schedule is there, and needs the datastore and its roles
            pulumi.ResourceOptions(depends_on=[self._workspace, self._importer]),
        )

    def _make_identity(self, name: str) -> Identity:
        return Identity(
            self._name(name),
            IdentityArgs(resource_group=self._group.name, location=self._settings.location, tags=self._tags),
        )

    def _on_cluster(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(providers=[self._cluster.provider])

    def _workspace_ref(self) -> WorkspaceRefArgs:
        return {
            "subscription_id": self._azure.subscription_id,
            "resource_group": self._group.name,
            "name": self._workspace.workspace_name,
        }

    def _make_outputs(self) -> dict[str, pulumi.Input[object]]:
        return {
            "resourceGroup": self._group.name,
            "workspace": self._workspace.workspace_name,
            "storageAccount": self._lake.account_name,
            "rawContainer": self._lake.raw_container,
            "cleanContainer": self._lake.clean_container,
            "vaultUri": self._vault.uri,
            "registry": self._registry.login_server,
            "cluster": self._cluster.cluster_name,
            "imports": {
                name: {
                    "schedule": item.schedule_name,
                    "asset": item.asset_name,
                    "mode": item.mode,
                    "columns": item.columns.apply(_type_by_name),
                }
                for name, item in self._imports.items()
            },
        }


def _type_by_name(columns: list[dict[str, object]]) -> dict[str, str]:
    """Return a query's columns for a reader: a line each, such as `SALE_PRICE: NUMBER(38,0)`."""
    return {str(c["name"]): f"{c['type']}{'' if c['nullable'] else ' NOT NULL'}" for c in columns}
