"""How settings become the arguments of logs and alerts."""

from datetime import datetime

import pulumi
from pulumi_azure_native import resources

from components.cluster.cluster import Cluster
from components.component import AzureArgs
from components.imports.import_alert import ImportAlertArgs
from components.observability.alerts import Alerts, AlertsArgs, start_of_month
from components.observability.observability import Observability, ObservabilityArgs
from components.storage.encryption import Encryption
from components.storage.lake import Lake
from components.storage.vault import Vault
from components.workspace.workspace import Workspace
from importer.spec.schedule import windows_time_zone
from stacks.imports import Imports
from stacks.settings.imports import ImportSettings
from stacks.settings.stack import Settings


def observability_args(settings: Settings, azure: AzureArgs) -> ObservabilityArgs:
    """Return the arguments of Log Analytics and Application Insights."""
    return ObservabilityArgs(
        azure=azure,
        retention_days=settings.log_retention_days,
        private=settings.is_private,
        keep=settings.keep,
    )


def alerts_args(
    settings: Settings,
    azure: AzureArgs,
    *,
    cluster: Cluster | None,
    encryption: Encryption | None,
    group: resources.ResourceGroup,
    lake: Lake,
    logs: pulumi.Input[str],
    now: datetime,
    vault: Vault,
    workspace: Workspace,
) -> AlertsArgs:
    """Return the arguments of the alerts on vaults, storage, nodes and costs."""
    vaults = {"platform": vault.resource_id, "workspace": workspace.vault_id}
    if encryption is not None:
        vaults["key"] = encryption.vault_id
    return AlertsArgs(
        azure=azure,
        log_analytics_id=logs,
        emails=settings.alerts.emails,
        cluster_id=cluster.cluster_id if cluster else None,
        vaults=vaults,
        storage_accounts={"lake": lake.resource_id, "workspace": workspace.storage_account_id},
        resource_group_id=group.id,
        monthly_budget=settings.alerts.monthly_budget,
        budget_start=start_of_month(now),
    )


def import_alert_args(
    settings: Settings,
    azure: AzureArgs,
    item: ImportSettings,
    alerts: Alerts,
    imports: Imports,
    observability: Observability,
) -> ImportAlertArgs:
    """Return the arguments of the alerts on one import."""
    return ImportAlertArgs(
        azure=azure,
        log_analytics_id=observability.log_analytics_id,
        action_group_id=alerts.action_group_id,
        import_name=item.name,
        table=observability.imports_table,
        cron=item.schedule,
        time_zone=windows_time_zone(item.time_zone),
        late_after_minutes=settings.alerts.late_after_minutes,
        scheduled_since=imports.by_name[item.name].scheduled_since,
    )
