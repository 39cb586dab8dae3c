"""Alerts on what a query of the logs finds."""

from dataclasses import dataclass
from enum import IntEnum

import pulumi
from pulumi_azure_native import monitor

from components.component import Args, AzureArgs


class Severity(IntEnum):
    """How bad an alert is, in Azure Monitor's terms.

    https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-overview
    """

    ERROR = 1
    WARNING = 2


@dataclass(kw_only=True)
class AlertArgs(Args):
    """What an alert on logs needs from outside."""

    azure: AzureArgs
    log_analytics_id: pulumi.Input[str]
    """The Log Analytics workspace that is queried."""
    action_group_id: pulumi.Input[str]
    """The action group that is notified when the alert fires, and when it is resolved."""


def add_log_alert(
    name: str,
    title: pulumi.Input[str],
    query: pulumi.Input[str],
    args: AlertArgs,
    parent: pulumi.Resource,
    *,
    frequency: str,
    window: str,
    description: str,
    dimension: str | None = None,
) -> monitor.ScheduledQueryRule:
    """Make an alert that fires while `query` returns a row for the last `window`, per value of `dimension`.

    `frequency` and `window` are ISO 8601 durations. A query sees at most the last two days, whatever range it
    names (https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule). The alert
    sends one message when it fires and one when it is resolved. The price of a rule depends on its frequency;
    15 minutes or more is the cheapest (https://azure.microsoft.com/pricing/details/monitor/).
    """
    return monitor.ScheduledQueryRule(
        name,
        resource_group_name=args.azure.resource_group,
        location=args.azure.location,
        display_name=title,
        description=description,
        severity=Severity.ERROR,
        enabled=True,
        scopes=[args.log_analytics_id],
        evaluation_frequency=frequency,
        window_size=window,
        criteria=monitor.ScheduledQueryRuleCriteriaArgs(
            all_of=[
                monitor.ConditionArgs(
                    criterion_type=monitor.CriterionType.STATIC_THRESHOLD_CRITERION,
                    query=query,
                    time_aggregation=monitor.TimeAggregation.COUNT,
                    # `monitor.ConditionOperator` has the operators of another resource
                    operator=monitor.Operator.GREATER_THAN,
                    threshold=0,
                    dimensions=[
                        monitor.DimensionArgs(
                            name=dimension, operator=monitor.DimensionOperator.INCLUDE, values=["*"]
                        )
                    ]
                    if dimension
                    else [],
                    failing_periods=monitor.ConditionFailingPeriodsArgs(
                        number_of_evaluation_periods=1, min_failing_periods_to_alert=1
                    ),
                )
            ]
        ),
        actions=monitor.ActionsArgs(action_groups=[args.action_group_id]),
        auto_mitigate=True,
        # a table is known to the validation only some time after it is made, or has its first row
        skip_query_validation=True,
        tags=args.azure.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
