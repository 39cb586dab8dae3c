"""Which identity may do what where: every role that connects one component of the platform to another.

The roles that a component's own identities need (the workspace's, the cluster's, the encryption's) are in
that component. `docs/access.md` lists all of them.
"""

import pulumi
from pulumi_azure_native import authorization, resources

from components.identity.custom_role import data_registrar
from components.identity.identity import Identity, Role, assign_role
from components.observability.observability import Observability
from components.storage.lake import CLEAN_CONTAINER, RAW_CONTAINER, Lake
from components.storage.registry import Registry
from components.storage.vault import Vault
from components.workspace.workspace import Workspace
from stacks.settings.stack import Settings


def grant_importer(
    settings: Settings,
    importer: Identity,
    *,
    lake: Lake,
    observability: Observability,
    registry: Registry,
    vault: Vault,
) -> None:
    """Let imports write data, log their outcome and read their one secret."""
    importer.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, RAW_CONTAINER, lake.raw_container_id)
    if any(item.curate for item in settings.imports):
        importer.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, CLEAN_CONTAINER, lake.clean_container_id)
    importer.grant(Role.ACR_PULL, "registry", settings.importer_registry_id or registry.resource_id)
    importer.grant(Role.MONITORING_METRICS_PUBLISHER, "import-log", observability.ingestion_rule_id)
    secret = settings.snowflake.secret_name
    if secret is not None:
        importer.grant(Role.KEY_VAULT_SECRETS_USER, "secret", vault.secret_id(secret))
    if settings.unloads and settings.snowflake.unload.storage_integration is None:
        # to sign the shared access signatures by which Snowflake writes
        importer.grant(Role.STORAGE_BLOB_DELEGATOR, "lake", lake.resource_id)


def grant_registration(
    settings: Settings, importer: Identity, group: resources.ResourceGroup, workspace: Workspace
) -> None:
    """Let imports use the workspace: it refers to their identity, so it is made after their other roles."""
    importer.grant(data_registrar(settings.name, group.id), "workspace", workspace.resource_id)
    _grant_code_and_logs(importer, workspace)


def _grant_code_and_logs(identity: Identity, workspace: Workspace) -> None:
    """Let jobs that act as `identity` read their code, and write their logs, in the workspace's own storage.

    The workspace holds no account key
    (https://learn.microsoft.com/azure/machine-learning/how-to-disable-local-auth-storage#scenarios-for-role-assignments).
    """
    for word, container_id in workspace.job_containers.items():
        identity.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, word, container_id)


def grant_image_builds(builder: Identity, workspace: Workspace, registry: Registry) -> None:
    """Let the builds of images read what they build, and push it."""
    builder.grant(Role.ACR_PUSH, "registry", registry.resource_id)
    _grant_code_and_logs(builder, workspace)


def grant_upload(
    settings: Settings, deployer_id: pulumi.Input[str], workspace: Workspace
) -> authorization.RoleAssignment:
    """Let the deployer upload the importer's code into the workspace's own storage."""
    return assign_role(
        f"{settings.name}-deployer-on-code",
        Role.STORAGE_BLOB_DATA_CONTRIBUTOR,
        workspace.job_containers["code"],
        deployer_id,
        None,
        pulumi.ResourceOptions(),
    )


def grant_snowflake(settings: Settings, lake: Lake) -> None:
    """Let the principal of Snowflake's storage integration write raw data, if an import unloads."""
    unload = settings.snowflake.unload
    if settings.unloads and unload.integration_principal is not None:
        assign_role(
            f"{settings.name}-snowflake-integration",
            Role.STORAGE_BLOB_DATA_CONTRIBUTOR,
            lake.raw_container_id,
            unload.integration_principal,
            authorization.PrincipalType.SERVICE_PRINCIPAL,
            pulumi.ResourceOptions(),
        )


def grant_data_scientists(settings: Settings, workspace: Workspace, lake: Lake) -> None:
    """Let the group of data scientists work in the workspace, and read the lake's data.

    Without account keys, their notebooks and jobs need roles on the workspace's own storage
    (https://learn.microsoft.com/azure/machine-learning/how-to-disable-local-auth-storage#create-a-new-workspace).

    Their jobs can also act as every identity that is attached to the workspace: the settings allow the group
    only beside `workspace.dataScientistsActAsWorkspaceIdentities`.
    """
    group = settings.workspace.data_scientists
    if group is None:
        return
    for on, role, scope in (
        ("workspace", Role.AZUREML_DATA_SCIENTIST, workspace.resource_id),
        ("blobs", Role.STORAGE_BLOB_DATA_CONTRIBUTOR, workspace.storage_account_id),
        ("files", Role.STORAGE_FILE_DATA_PRIVILEGED_CONTRIBUTOR, workspace.storage_account_id),
        (RAW_CONTAINER, Role.STORAGE_BLOB_DATA_READER, lake.raw_container_id),
        (CLEAN_CONTAINER, Role.STORAGE_BLOB_DATA_READER, lake.clean_container_id),
    ):
        assign_role(
            f"{settings.name}-data-scientists-on-{on}",
            role,
            scope,
            group,
            authorization.PrincipalType.GROUP,
            pulumi.ResourceOptions(),
        )


def grant_jobs(jobs: Identity, lake: Lake, registry: Registry, workspace: Workspace) -> None:
    """Let jobs on the compute clusters read the lake's data, and pull images."""
    _grant_code_and_logs(jobs, workspace)
    jobs.grant(Role.STORAGE_BLOB_DATA_READER, RAW_CONTAINER, lake.raw_container_id)
    jobs.grant(Role.STORAGE_BLOB_DATA_READER, CLEAN_CONTAINER, lake.clean_container_id)
    jobs.grant(Role.ACR_PULL, "registry", registry.resource_id)


def grant_workflows(workflows: Identity, lake: Lake) -> None:
    """Let workflows on the cluster read raw data, and write clean data."""
    workflows.grant(Role.STORAGE_BLOB_DATA_READER, RAW_CONTAINER, lake.raw_container_id)
    workflows.grant(Role.STORAGE_BLOB_DATA_CONTRIBUTOR, CLEAN_CONTAINER, lake.clean_container_id)
