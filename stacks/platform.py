"""Which components the platform has and how they connect; the only file that knows them all."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
from pulumi_azure_native import authorization, resources
from pulumi_azure_native.storage import SkuName

from components.cluster import external_secrets as secrets
from components.cluster.argo import Argo, ArgoArgs
from components.cluster.cluster import Cluster, ClusterArgs
from components.component import PrivateLinkArgs
from components.identity.custom_role import data_registrar
from components.identity.identity import Identity, IdentityArgs, Role, assign_role
from components.imports.import_alert import ImportAlert, ImportAlertArgs
from components.network.network import Network, NetworkArgs
from components.network.outbound import OutboundServiceArgs, snowflake_hosts, snowflake_service_tags
from components.network.private_dns import PrivateDns, PrivateDnsArgs
from components.observability.alerts import Alerts, AlertsArgs
from components.observability.imports_workbook import ImportsWorkbook, ImportsWorkbookArgs
from components.observability.observability import Observability, ObservabilityArgs
from components.storage.encryption import Encryption, EncryptionArgs
from components.storage.lake import CLEAN_CONTAINER, RAW_CONTAINER, Lake, LakeArgs
from components.storage.registry import Registry, RegistryArgs
from components.storage.vault import Vault, VaultArgs
from components.workspace.workspace import ComputeClusterArgs, Workspace, WorkspaceArgs
from stacks.imports import Destination, Imports
from stacks.settings.network import Isolation, Outbound, own_zones
from stacks.settings.stack import PROJECT, Settings

#: How stored data is copied, by whether the zones and the paired region have a copy
#: (https://learn.microsoft.com/azure/storage/common/storage-redundancy).
_REDUNDANCY = {
    (False, False): SkuName.STANDARD_LRS,
    (True, False): SkuName.STANDARD_ZRS,
    (False, True): SkuName.STANDARD_GRS,
    (True, True): SkuName.STANDARD_GZRS,
}


class _Common(TypedDict):
    """What every component of Azure's takes."""

    resource_group: pulumi.Input[str]
    location: str
    tags: Mapping[str, str]


class _Service(_Common):
    """What every service takes that data or secrets lie in."""

    log_analytics_id: pulumi.Input[str]
    private_link: PrivateLinkArgs | None
    allowed_address_ranges: list[str]
    keep: bool


class Platform:
    """The platform of one stack: every component, made from the stack's settings.

    `outputs` are the stack's outputs, the names that a person or a script starts from.
    """

    def __init__(self, settings: Settings, stack: str) -> None:
        self._settings = settings
        self._is_private = settings.isolation is Isolation.PRIVATE
        tags = {"project": PROJECT, "stack": stack, **settings.tags}
        self._azure = authorization.get_client_config_output()
        self._group = resources.ResourceGroup(
            f"{settings.name}-group",
            resource_group_name=f"rg-{settings.name}",
            location=settings.location,
            tags=tags,
            opts=pulumi.ResourceOptions(protect=settings.keep),
        )
        self._common = _Common(resource_group=self._group.name, location=settings.location, tags=tags)
        self._observability = self._make_observability()
        self._network = self._make_network()
        self._private_link = self._make_private_link()
        self._service = _Service(
            **self._common,
            log_analytics_id=self._observability.log_analytics_id,
            private_link=self._private_link,
            allowed_address_ranges=self._allowed_address_ranges(),
            keep=settings.keep,
        )
        self._encryption = self._make_encryption()
        self._key = self._encryption.key if self._encryption else None
        self._vault = Vault(self._name("kv"), VaultArgs(**self._service, tenant_id=self._azure.tenant_id))
        self._registry = Registry(
            f"{settings.name}registry",
            RegistryArgs(**self._service, zones=settings.zones, encryption_key=self._key),
        )
        self._lake = self._make_lake()
        self._importer = self._make_identity("importer")
        self._workspace = self._make_workspace()
        self._grant_importer()
        self._cluster = self._make_cluster() if settings.cluster.enabled else None
        if self._cluster is not None:
            self._make_argo(self._cluster)
            self._make_secrets(self._cluster)
        self._alerts = self._make_alerts()
        self._imports = self._make_imports()
        self._make_import_alerts()
        self.outputs = self._make_outputs()

    def _allowed_address_ranges(self) -> list[str]:
        return [] if self._is_private else list(map(str, self._settings.network.allowed_address_ranges))

    def _name(self, component: str) -> str:
        return f"{self._settings.name}-{component}"

    def _make_observability(self) -> Observability:
        return Observability(
            self._name("observability"),
            ObservabilityArgs(
                **self._common,
                retention_days=self._settings.log_retention_days,
                private=self._is_private,
                keep=self._settings.keep,
            ),
        )

    def _make_network(self) -> Network | None:
        """Make the network, unless it is given, or nothing would be in it."""
        network, cluster = self._settings.network, self._settings.cluster
        if not network.is_own or not (self._is_private or cluster.enabled):
            return None
        subnets = network.subnets
        return Network(
            self._name("network"),
            NetworkArgs(
                **self._common,
                log_analytics_id=self._observability.log_analytics_id,
                address_space=str(network.address_space),
                nodes_range=str(subnets.nodes),
                endpoints_range=str(subnets.endpoints),
                runners_range=str(subnets.runners),
                pod_range=str(cluster.pod_range),
                zones=self._settings.zones,
            ),
        )

    def _make_private_link(self) -> PrivateLinkArgs | None:
        """Make the private DNS zones that no hub has, and return where private endpoints go.

        A public platform has them too, where there are nodes: storage knows no addresses of its own region
        (https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations).
        """
        settings = self._settings.network
        subnet_id = self._network.endpoints_subnet_id if self._network else settings.endpoints_subnet_id
        if subnet_id is None:
            return None
        zones = PrivateDns(
            self._name("dns"),
            PrivateDnsArgs(
                **self._common,
                virtual_network_id=pulumi.Output.from_input(subnet_id).apply(
                    lambda known: known.rsplit("/subnets/", 1)[0]
                ),
                zones=[
                    zone
                    for zone in own_zones(self._settings.isolation, self._settings.location)
                    if zone not in settings.dns_zone_ids
                ],
            ),
        )
        link = PrivateLinkArgs(subnet_id=subnet_id, zone_ids={**settings.dns_zone_ids, **zones.zone_ids})
        if self._is_private:
            self._observability.connect(link)
        return link

    def _make_encryption(self) -> Encryption | None:
        if not self._settings.customer_managed_key:
            return None
        return Encryption(
            self._name("cmk"),
            EncryptionArgs(
                **self._service,
                tenant_id=self._azure.tenant_id,
                cosmos_db_principal_id=self._settings.workspace.cosmos_db_principal,
            ),
        )

    def _make_lake(self) -> Lake:
        settings = self._settings
        return Lake(
            f"{settings.name}lake",
            LakeArgs(
                **self._service,
                sku=self._redundancy(),
                encryption_key=self._key,
                cool_after_days=settings.lake.cool_after_days,
                immutable_days=settings.lake.immutable_days,
                snowflake_subnet_ids=settings.snowflake.unload.subnet_ids if settings.unloads else (),
            ),
        )

    def _redundancy(self) -> SkuName:
        return _REDUNDANCY[bool(self._settings.zones), self._settings.geo_redundant]

    def _make_workspace(self) -> Workspace:
        settings = self._settings.workspace
        workspace = Workspace(
            f"{self._settings.name}mlw",
            WorkspaceArgs(
                **self._service,
                application_insights_id=self._observability.application_insights_id,
                tenant_id=self._azure.tenant_id,
                job_identity_ids=[self._importer.resource_id],
                registry_id=self._registry.resource_id,
                storage_sku=self._redundancy(),
                encryption_key=self._key,
                hbi=settings.hbi,
                managed_network=settings.managed_network,
                outbound_hosts=self._outbound_hosts(),
                outbound_service_tags=self._outbound_service_tags(),
                outbound_services=self._outbound_services(),
                compute_subnet_id=settings.compute_subnet_id,
            ),
        )
        containers = {RAW_CONTAINER: self._lake.raw_container, CLEAN_CONTAINER: self._lake.clean_container}
        for datastore, container in containers.items():
            workspace.add_datastore(datastore, self._lake.account_name, self._lake.endpoint, container)
        workspace.let_studio_read("rawdata", self._lake.raw_container_id)
        workspace.let_studio_read("cleandata", self._lake.clean_container_id)
        self._let_in_data_scientists(workspace)
        self._add_compute_clusters(workspace)
        return workspace

    def _let_in_data_scientists(self, workspace: Workspace) -> None:
        """Let the group of data scientists work in the workspace, and read the lake's data."""
        group = self._settings.workspace.data_scientists
        if group is None:
            return
        for on, role, scope in (
            ("workspace", Role.AZUREML_DATA_SCIENTIST, workspace.resource_id),
            ("rawdata", Role.STORAGE_BLOB_DATA_READER, self._lake.raw_container_id),
            ("cleandata", Role.STORAGE_BLOB_DATA_READER, self._lake.clean_container_id),
        ):
            assign_role(
                self._name(f"data-scientists-on-{on}"),
                role,
                scope,
                group,
                authorization.PrincipalType.GROUP,
                pulumi.ResourceOptions(),
            )

    def _add_compute_clusters(self, workspace: Workspace) -> None:
        """Add the compute clusters, whose jobs read the lake's data, and may pull images."""
        clusters = self._settings.workspace.compute_clusters
        if not clusters:
            return
        jobs = self._make_identity("jobs")
        jobs.grant(Role.STORAGE_BLOB_DATA_READER, "rawdata", self._lake.raw_container_id)
        jobs.grant(Role.STORAGE_BLOB_DATA_READER, "cleandata", self._lake.clean_container_id)
        jobs.grant(Role.ACR_PULL, "registry", self._registry.resource_id)
        for cluster in clusters:
            workspace.add_compute_cluster(
                cluster.name,
                ComputeClusterArgs(
                    vm_size=cluster.vm_size,
                    max_nodes=cluster.max_nodes,
                    identity_id=jobs.resource_id,
                    idle_seconds=60 * cluster.idle_minutes,
                ),
            )

    def _outbound_hosts(self) -> list[str]:
        """Return the hosts that jobs reach: Snowflake's, the registry of the importer's image, and more.

        Without an image, what its environment is built of comes from hosts that the settings name.
        """
        snowflake = self._settings.snowflake
        hosts = snowflake_hosts(snowflake.account, snowflake.host, snowflake.stage_hosts)
        image = self._settings.importer_image
        registry = [image.split("/")[0]] if image is not None else []
        return [*hosts, *registry, *self._settings.workspace.outbound_hosts]

    def _outbound_service_tags(self) -> list[str]:
        """Return the tags that large results come through, where an import streams them."""
        snowflake = self._settings.snowflake
        if all(item.mode == "unload" for item in self._settings.imports):
            return []
        return snowflake_service_tags(snowflake.account, snowflake.stage_hosts)

    def _outbound_services(self) -> Mapping[str, OutboundServiceArgs]:
        """Return what jobs reach by private endpoint, besides what belongs to the workspace."""
        services = {
            "lake-blob": OutboundServiceArgs(resource_id=self._lake.resource_id, group="blob"),
            "lake-dfs": OutboundServiceArgs(resource_id=self._lake.resource_id, group="dfs"),
            "vault": OutboundServiceArgs(resource_id=self._vault.resource_id, group="vault"),
        }
        scope_id = self._observability.private_link_scope_id
        if scope_id is not None:
            services["monitor"] = OutboundServiceArgs(resource_id=scope_id, group="azuremonitor")
        return services

    def _grant_importer(self) -> None:
        """Let imports write data, register it in the workspace, and read the one secret they need."""
        importer = self._importer
        register = data_registrar(self._settings.name, self._group.id)
        importer.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "rawdata", self._lake.raw_container_id)
        if any(item.curate for item in self._settings.imports):
            importer.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "cleandata", self._lake.clean_container_id)
        importer.grant(register, "workspace", self._workspace.resource_id)
        importer.grant(Role.ACR_PULL, "registry", self._registry.resource_id)
        importer.grant(Role.MONITORING_METRICS_PUBLISHER, "import-log", self._observability.ingestion_rule_id)
        secret = self._settings.snowflake.secret_name
        if secret is not None:
            importer.grant(Role.KEY_VAULT_SECRETS_USER, "secret", self._vault.secret_id(secret))
        if self._settings.unloads:
            self._grant_unload()

    def _grant_unload(self) -> None:
        """Let Snowflake write raw data: by signatures of the importer's, or as its own service principal."""
        unload = self._settings.snowflake.unload
        if unload.storage_integration is None:
            self._importer.grant(Role.STORAGE_BLOB_DELEGATOR, "lake", self._lake.resource_id)
        elif unload.integration_principal is not None:
            assign_role(
                self._name("snowflake-integration"),
                Role.STORAGE_BLOB_DATA_CONTRIBUTOR,
                self._lake.raw_container_id,
                unload.integration_principal,
                authorization.PrincipalType.SERVICE_PRINCIPAL,
                pulumi.ResourceOptions(),
            )

    def _make_cluster(self) -> Cluster:
        settings, network = self._settings.cluster, self._settings.network
        subnet_id = self._network.nodes_subnet_id if self._network else network.nodes_subnet_id
        if subnet_id is None:
            raise ValueError("a cluster needs a subnet for its nodes")
        return Cluster(
            self._name("aks"),
            ClusterArgs(
                **self._common,
                log_analytics_id=self._observability.log_analytics_id,
                registry_id=self._registry.resource_id,
                kubernetes_version=settings.kubernetes_version,
                node_size=settings.node_size,
                min_nodes=settings.min_nodes,
                max_nodes=settings.max_nodes,
                system_node_size=settings.system_node_size,
                min_system_nodes=settings.min_system_nodes,
                max_system_nodes=settings.max_system_nodes,
                ephemeral_os_disk=settings.ephemeral_os_disk,
                encryption_at_host=settings.encryption_at_host,
                disk_encryption_set_id=self._encryption.disk_encryption_set_id if self._encryption else None,
                zones=self._settings.zones,
                subnet_id=subnet_id,
                private=self._is_private,
                private_dns_zone_id=network.api_server_zone_id(self._settings.location),
                allowed_address_ranges=self._api_server_ranges(),
                egress_address=self._network.egress_address if self._network else None,
                user_defined_routing=network.outbound is Outbound.USER_DEFINED_ROUTING,
                pod_range=str(settings.pod_range),
                service_range=str(settings.service_range),
                maintenance_day=settings.maintenance_day,
                maintenance_hour=settings.maintenance_hour,
                private_link=self._private_link if self._is_private else None,
                private_link_scope_id=self._observability.private_link_scope_id,
                administrators=settings.administrators,
            ),
        )

    def _api_server_ranges(self) -> list[str]:
        """Return who may reach a public API server: the allowed, and the nodes of an existing subnet."""
        if self._is_private:
            return []
        egress = self._settings.network.egress_address_ranges
        return [*self._service["allowed_address_ranges"], *map(str, egress)]

    def _make_argo(self, cluster: Cluster) -> None:
        """Make Argo, and who its workflows act as: the importer, or who reads raw and writes clean data."""
        argo = Argo(self._name("argo"), ArgoArgs(), _on(cluster))
        workflows = self._make_identity("workflows")
        workflows.grant(Role.STORAGE_BLOB_DATA_READER, "rawdata", self._lake.raw_container_id)
        workflows.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "cleandata", self._lake.clean_container_id)
        for account, identity in {"workflows": workflows, "importer": self._importer}.items():
            identity.federate(cluster.oidc_issuer, argo.namespace, account)
            argo.add_service_account(account, identity.client_id)

    def _make_secrets(self, cluster: Cluster) -> None:
        """Make External Secrets, and its identity; a role on each secret comes with what needs the secret."""
        reader = self._make_identity("secrets")
        reader.federate(cluster.oidc_issuer, secrets.NAMESPACE, secrets.SERVICE_ACCOUNT)
        secrets.Secrets(
            self._name("external-secrets"),
            secrets.SecretsArgs(client_id=reader.client_id, tenant_id=self._azure.tenant_id),
            _on(cluster),
        )

    def _make_alerts(self) -> Alerts:
        settings = self._settings.alerts
        vaults = {"platform": self._vault.resource_id, "workspace": self._workspace.vault_id}
        if self._encryption is not None:
            vaults["key"] = self._encryption.vault_id
        return Alerts(
            self._name("alerts"),
            AlertsArgs(
                **self._common,
                log_analytics_id=self._observability.log_analytics_id,
                emails=settings.emails,
                cluster_id=self._cluster.cluster_id if self._cluster else None,
                vaults=vaults,
                storage_accounts={
                    "lake": self._lake.resource_id,
                    "workspace": self._workspace.storage_account_id,
                },
                resource_group_id=self._group.id,
                monthly_budget=settings.monthly_budget,
            ),
        )

    def _make_imports(self) -> Imports:
        secret = self._settings.snowflake.secret_name
        return Imports(
            self._settings,
            Destination(
                workspace={
                    "subscription_id": self._azure.subscription_id,
                    "resource_group": self._group.name,
                    "name": self._workspace.workspace_name,
                },
                datastore=RAW_CONTAINER,
                clean_datastore=CLEAN_CONTAINER,
                identity_client_id=self._importer.client_id,
                tags=self._common["tags"],
                # an import needs the datastore, and the roles of who it acts as
                ready=[self._workspace, self._importer],
                secret_uri=self._vault.secret_uri(secret) if secret is not None else None,
                log_endpoint=self._observability.ingestion_endpoint,
                log_rule=self._observability.ingestion_rule_immutable_id,
            ),
        )

    def _make_import_alerts(self) -> None:
        """Make what tells how imports go: a workbook, and the alerts of each import that is enabled."""
        table = self._observability.imports_table
        logs = self._observability.log_analytics_id
        ImportsWorkbook(
            self._name("imports"), ImportsWorkbookArgs(**self._common, log_analytics_id=logs, table=table)
        )
        for item in self._settings.imports:
            if item.enabled:
                ImportAlert(
                    self._name(f"{item.name}-alert"),
                    ImportAlertArgs(
                        **self._common,
                        log_analytics_id=logs,
                        action_group_id=self._alerts.action_group_id,
                        import_name=item.name,
                        table=table,
                        cron=item.schedule,
                        time_zone=item.time_zone,
                        late_after_minutes=self._settings.alerts.late_after_minutes,
                        scheduled_since=self._imports.by_name[item.name].scheduled_since,
                    ),
                )

    def _make_identity(self, name: str) -> Identity:
        return Identity(self._name(name), IdentityArgs(**self._common))

    def _make_outputs(self) -> dict[str, pulumi.Input[object]]:
        return {
            "resourceGroup": self._group.name,
            "workspace": self._workspace.workspace_name,
            "storageAccount": self._lake.account_name,
            "rawContainer": self._lake.raw_container,
            "cleanContainer": self._lake.clean_container,
            "vaultUri": self._vault.uri,
            "registry": self._registry.login_server,
            "cluster": self._cluster.cluster_name if self._cluster else "",
            "imports": self._imports.outputs,
        }


def _on(cluster: Cluster) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(providers=[cluster.provider])
