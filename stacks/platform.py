"""The platform of a stack, as a table of contents: what is made, in which order, and what each part is given.

How settings become arguments: `stacks.arguments`, a module for each room of `components`. Which identity gets
which role: `stacks.grants`.
"""

from datetime import datetime

import pulumi
from pulumi_azure_native import authorization, resources

from components.cluster import external_secrets
from components.cluster.argo import Argo, ArgoArgs
from components.cluster.cluster import Cluster
from components.component import AzureArgs, after
from components.dynamic.roles_in_effect import RolesInEffect, RolesInEffectArgs
from components.identity.identity import Identity
from components.imports.import_alert import ImportAlert
from components.network.network import Network
from components.observability.alerts import Alerts
from components.observability.imports_workbook import ImportsWorkbook, ImportsWorkbookArgs
from components.observability.observability import Observability
from components.storage.encryption import Encryption
from components.storage.lake import CLEAN_CONTAINER, RAW_CONTAINER, Lake
from components.storage.registry import Registry, RegistryArgs
from components.storage.vault import Vault, VaultArgs
from components.workspace.workspace import Workspace
from stacks import grants
from stacks.arguments.cluster import cluster_args
from stacks.arguments.network import make_api_server_zone, make_private_link, network_args
from stacks.arguments.observability import alerts_args, import_alert_args, observability_args
from stacks.arguments.storage import encryption_args, lake_args, service_args
from stacks.arguments.workspace import compute_cluster_args, image_build_args, workspace_args
from stacks.imports import Destination, Imports
from stacks.settings.stack import PROJECT, Settings
from stacks.settings.workspace import IMAGE_BUILD_COMPUTE

#: The name of the connection to Snowflake in the platform's own workspace.
CONNECTION = "snowflake"

#: The Kubernetes namespace that Argo and its workflows run in.
ARGO_NAMESPACE = "argo"


class Platform:
    """The platform of one stack: every component, made from the stack's settings.

    `now` is when it is deployed. `outputs` are the stack's outputs: the names that people and scripts start
    from.
    """

    def __init__(self, settings: Settings, stack: str, now: datetime) -> None:
        name = settings.name
        deployer = authorization.get_client_config_output()
        tags = {"project": PROJECT, "stack": stack, **settings.tags}
        group = resources.ResourceGroup(
            f"{name}-group",
            resource_group_name=f"rg-{name}",
            location=settings.location,
            tags=tags,
            opts=pulumi.ResourceOptions(protect=settings.keep),
        )
        azure = AzureArgs(resource_group=group.name, location=settings.location, tags=tags)

        observability = Observability(f"{name}-observability", observability_args(settings, azure))
        logs = observability.log_analytics_id
        network = (
            Network(f"{name}-network", network_args(settings, azure, logs))
            if settings.makes_network
            else None
        )
        private_link = make_private_link(settings, azure, network)
        if private_link is not None and settings.is_private:
            observability.connect(private_link)
        service = service_args(settings, azure, logs, private_link)

        encryption = (
            Encryption(f"{name}-cmk", encryption_args(settings, service, deployer.tenant_id))
            if settings.customer_managed_key
            else None
        )
        key = encryption.key if encryption else None
        vault = Vault(f"{name}-kv", VaultArgs(service=service, tenant_id=deployer.tenant_id))
        registry = Registry(
            f"{name}registry", RegistryArgs(service=service, zones=settings.zones, encryption_key=key)
        )
        lake = Lake(f"{name}lake", lake_args(settings, service, key))

        importer = Identity(f"{name}-importer", azure)
        grants.grant_importer(
            settings, importer, lake=lake, observability=observability, registry=registry, vault=vault
        )
        workspace = Workspace(
            f"{name}mlw",
            workspace_args(
                settings,
                service,
                tenant_id=deployer.tenant_id,
                key=key,
                importer=importer,
                lake=lake,
                observability=observability,
                registry=registry,
                vault=vault,
            ),
        )
        workspace.add_datastore(RAW_CONTAINER, lake.account_name, lake.endpoint, lake.raw_container)
        workspace.add_datastore(CLEAN_CONTAINER, lake.account_name, lake.endpoint, lake.clean_container)
        if settings.workspace.compute_clusters:
            jobs = Identity(f"{name}-jobs", azure)
            grants.grant_jobs(jobs, lake, registry, workspace)
            jobs_ready = jobs.in_effect()
            for compute in settings.workspace.compute_clusters:
                workspace.add_compute_cluster(compute.name, compute_cluster_args(compute, jobs, jobs_ready))
        builds = _build_importer(settings, azure, workspace, registry, deployer.object_id)
        grants.grant_data_scientists(settings, workspace, lake)
        grants.grant_registration(settings, importer, group, workspace)
        importer_ready = importer.in_effect()
        grants.grant_snowflake(settings, lake)

        cluster = None
        if settings.cluster.enabled:
            cluster = Cluster(
                f"{name}-aks",
                cluster_args(
                    settings,
                    azure,
                    encryption=encryption,
                    network=network,
                    observability=observability,
                    private_dns_zone_id=make_api_server_zone(settings, azure, network),
                    private_link=private_link,
                    registry=registry,
                ),
            )
            _run_on_cluster(settings, cluster, azure, importer, importer_ready, lake, deployer.tenant_id)

        alerts = Alerts(
            f"{name}-alerts",
            alerts_args(
                settings,
                azure,
                cluster=cluster,
                encryption=encryption,
                group=group,
                lake=lake,
                logs=logs,
                now=now,
                vault=vault,
                workspace=workspace,
            ),
        )
        secret = settings.snowflake.secret_name
        imports = Imports(
            settings,
            Destination(
                workspace={
                    "subscription_id": deployer.subscription_id,
                    "resource_group": group.name,
                    "name": workspace.workspace_name,
                },
                connection=CONNECTION,
                datastore=RAW_CONTAINER,
                clean_datastore=CLEAN_CONTAINER,
                identity_client_id=after(importer.client_id, [importer_ready]),
                tags=tags,
                now=now,
                # an import needs the datastore, and the builder of its environment
                ready=[workspace, *builds],
                secret_uri=vault.secret_uri(secret) if secret is not None else None,
                log_endpoint=observability.ingestion_endpoint,
                log_rule=observability.ingestion_rule_immutable_id,
                late_after_minutes=settings.alerts.late_after_minutes,
            ),
        )
        ImportsWorkbook(
            f"{name}-imports",
            ImportsWorkbookArgs(azure=azure, log_analytics_id=logs, table=observability.imports_table),
        )
        for item in settings.imports:
            if item.enabled:
                ImportAlert(
                    f"{name}-{item.name}-alert",
                    import_alert_args(settings, azure, item, alerts, imports, observability),
                )

        self.outputs: dict[str, pulumi.Input[object]] = {
            "resourceGroup": group.name,
            "workspace": workspace.workspace_name,
            "storageAccount": lake.account_name,
            "rawContainer": lake.raw_container,
            "cleanContainer": lake.clean_container,
            "vaultUri": vault.uri,
            "registry": registry.login_server,
            "cluster": cluster.cluster_name if cluster else "",
            "imports": imports.outputs,
        }


def _build_importer(
    settings: Settings,
    azure: AzureArgs,
    workspace: Workspace,
    registry: Registry,
    deployer_id: pulumi.Input[str],
) -> list[pulumi.Resource]:
    """Make what builds the environment of imports without an image; return what their code depends on."""
    if not settings.builds_importer:
        return []
    builder = Identity(f"{settings.name}-image-builds", azure)
    grants.grant_image_builds(builder, workspace, registry)
    workspace.add_compute_cluster(IMAGE_BUILD_COMPUTE, image_build_args(builder, builder.in_effect()))
    upload = grants.grant_upload(settings, deployer_id, workspace)
    return [RolesInEffect(f"{settings.name}-deployer-roles", RolesInEffectArgs(roles=[upload]))]


def _run_on_cluster(
    settings: Settings,
    cluster: Cluster,
    azure: AzureArgs,
    importer: Identity,
    importer_ready: RolesInEffect,
    lake: Lake,
    tenant_id: pulumi.Input[str],
) -> None:
    """Install Argo and External Secrets, and let their service accounts act as identities of Azure.

    Workflows act as an identity of their own or as the importer. External Secrets may read no secret at
    first: a role on a secret comes with the component that needs it.
    """
    name, on_cluster = settings.name, pulumi.ResourceOptions(providers=[cluster.provider])
    argo = Argo(f"{name}-argo", ArgoArgs(namespace=ARGO_NAMESPACE), on_cluster)
    workflows = Identity(f"{name}-workflows", azure)
    grants.grant_workflows(workflows, lake)
    for account, identity, ready in (
        ("workflows", workflows, workflows.in_effect()),
        ("importer", importer, importer_ready),
    ):
        identity.federate(cluster.oidc_issuer, argo.namespace, account)
        argo.add_service_account(account, after(identity.client_id, [ready]))

    secrets = Identity(f"{name}-secrets", azure)
    secrets.federate(cluster.oidc_issuer, external_secrets.NAMESPACE, external_secrets.SERVICE_ACCOUNT)
    external_secrets.Secrets(
        f"{name}-external-secrets",
        external_secrets.SecretsArgs(client_id=secrets.client_id, tenant_id=tenant_id),
        on_cluster,
    )
