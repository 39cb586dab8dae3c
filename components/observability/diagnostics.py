"""Diagnostic settings: they send a resource's logs and metrics to Log Analytics."""

from collections.abc import Sequence

import pulumi
from pulumi_azure_native import monitor

#: The category group of all the resource logs that a service has
#: (https://learn.microsoft.com/azure/azure-monitor/platform/diagnostic-settings#category-groups).
ALL_LOGS = "allLogs"


def add_diagnostics(
    name: str,
    resource_id: pulumi.Input[str],
    log_analytics_id: pulumi.Input[str],
    parent: pulumi.Resource,
    *,
    logs: bool = True,
    log_categories: Sequence[str] = (),
    metrics: bool = True,
) -> monitor.DiagnosticSetting:
    """Send a resource's logs (all of them, or only `log_categories`) and metrics to Log Analytics.

    Some services have only one of the two: https://learn.microsoft.com/azure/azure-monitor/platform/resource-logs-categories
    """
    categories = [monitor.DiagnosticsLogSettingsArgs(category=name, enabled=True) for name in log_categories]
    everything = [monitor.DiagnosticsLogSettingsArgs(category_group=ALL_LOGS, enabled=True)] if logs else []
    return monitor.DiagnosticSetting(
        f"{name}-diagnostics",
        name="log-analytics",
        resource_uri=resource_id,
        workspace_id=log_analytics_id,
        logs=categories or everything,
        metrics=[monitor.DiagnosticsMetricSettingsArgs(category="AllMetrics", enabled=True)]
        if metrics
        else [],
        opts=pulumi.ResourceOptions(parent=parent),
    )
