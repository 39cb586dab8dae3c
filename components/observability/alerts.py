"""Alerts on nodes, refused requests and costs, and the action group that all alerts notify."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pulumi
from pulumi_azure_native import consumption, monitor

from components.component import Args, AzureArgs
from components.observability.log_alert import AlertArgs, Severity, add_log_alert

#: The refused requests in a quarter of an hour that raise an alert: a wrong click in the portal causes a few,
#: a missing role or an attack more.
_DENIED_REQUESTS = 10

#: The shares of the budget, in percent, that raise an alert.
_BUDGET_THRESHOLDS = (80, 100)


@dataclass(kw_only=True)
class AlertsArgs(Args):
    """What alerts need from outside."""

    azure: AzureArgs
    log_analytics_id: pulumi.Input[str]
    emails: Sequence[str] = ()
    """Addresses that get a mail; without any, alerts show in the Azure portal only."""
    cluster_id: pulumi.Input[str] | None = None
    """A cluster whose nodes Container Insights records in `log_analytics_id`."""
    vaults: Mapping[str, pulumi.Input[str]] | None = None
    """The ids of vaults, each by a word for it."""
    storage_accounts: Mapping[str, pulumi.Input[str]] | None = None
    """The ids of storage accounts, each by a word for it."""
    resource_group_id: pulumi.Input[str]
    """The resource group whose costs count."""
    monthly_budget: float | None = None
    """Amount a month, in the currency of the subscription; without one, there are no alerts on costs."""
    budget_start: pulumi.Input[str] | None = None
    """The first day of the budget, as `start_of_month` writes it; without one, the first of this month."""


class Alerts(pulumi.ComponentResource):
    """The action group that receives alerts, and all alerts except those on imports.

    Alerts on nodes that are not ready for ten minutes, on requests that vaults and storage accounts refuse,
    and on costs above 80 and 100 % of the budget. Azure updates costs within a day, and a budget stops
    nothing. Refused requests are counted by the services' own metrics; the logs say which identity was
    refused. Leaves the alerts on each import to `ImportAlert`.
    """

    action_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Alerts", name, None, opts)
        self._name = name
        self._args = args = AlertsArgs.of(args)
        group = self._make_action_group()
        self.action_group_id = group.id
        if args.cluster_id is not None:
            self._watch_nodes(args.cluster_id)
        for word, vault_id in (args.vaults or {}).items():
            # 401 is left out: it is how a vault tells every client where to sign in
            # (https://learn.microsoft.com/azure/key-vault/general/authentication#key-vault-request-operation-flow-with-authentication)
            self._watch_denials(f"{word}-vault", vault_id, "ServiceApiResult", "Count", "StatusCode", "403")
        for word, account_id in (args.storage_accounts or {}).items():
            self._watch_denials(
                f"{word}-storage", account_id, "Transactions", "Total", "ResponseType", "AuthorizationError"
            )
        if args.monthly_budget is not None:
            self._make_budget(args.monthly_budget)
        self.register_outputs({"action_group_id": self.action_group_id})

    def _make_action_group(self) -> monitor.ActionGroup:
        return monitor.ActionGroup(
            self._name,
            resource_group_name=self._args.azure.resource_group,
            location="global",
            enabled=True,
            # at most 12 characters; mails and text messages show it
            # (https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups)
            group_short_name="ai-platform",
            email_receivers=[
                monitor.MicrosoftCommonEmailReceiverArgs(
                    name=email, email_address=email, use_common_alert_schema=True
                )
                for email in self._args.emails
            ],
            tags=self._args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _watch_nodes(self, cluster_id: pulumi.Input[str]) -> None:
        """Alert for each node that has reported for ten minutes and was not ready once.

        https://learn.microsoft.com/azure/azure-monitor/containers/container-insights-log-alerts
        """
        add_log_alert(
            f"{self._name}-nodes",
            "A node is not ready",
            pulumi.Output.from_input(cluster_id).apply(nodes_query),
            AlertArgs(
                azure=self._args.azure,
                log_analytics_id=self._args.log_analytics_id,
                action_group_id=self.action_group_id,
            ),
            self,
            frequency="PT5M",
            window="PT15M",
            description="A node of the cluster has not been ready for ten minutes.",
            dimension="Computer",
        )

    def _watch_denials(
        self,
        target: str,
        resource_id: pulumi.Input[str],
        metric: str,
        aggregation: str,
        dimension: str,
        value: str,
    ) -> None:
        """Alert where a service refuses requests, by the metric and the dimension that count them.

        https://learn.microsoft.com/azure/key-vault/general/monitor-key-vault-reference
        https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage-reference#metrics-dimensions
        """
        monitor.MetricAlert(
            f"{self._name}-{target}",
            resource_group_name=self._args.azure.resource_group,
            location="global",
            description=f"The {target.replace('-', ' ')} refuses requests: its logs say whose.",
            severity=Severity.WARNING,
            enabled=True,
            scopes=[resource_id],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    monitor.MetricCriteriaArgs(
                        criterion_type=monitor.CriterionType.STATIC_THRESHOLD_CRITERION,
                        name="denied",
                        metric_name=metric,
                        time_aggregation=aggregation,
                        operator=monitor.Operator.GREATER_THAN_OR_EQUAL,
                        threshold=_DENIED_REQUESTS,
                        dimensions=[
                            monitor.MetricDimensionArgs(name=dimension, operator="Include", values=[value])
                        ],
                    )
                ],
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=self.action_group_id)],
            auto_mitigate=True,
            tags=self._args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_budget(self, amount: float) -> None:
        """Make a budget that starts with the month in which it is made, as Azure never moves that again.

        An update must carry the latest eTag, which only Azure knows. So another amount is another budget,
        with a name of its own, and the old one is deleted: a budget holds no data.
        https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update
        """
        consumption.Budget(
            f"{self._name}-budget-{amount:.0f}",
            scope=self._args.resource_group_id,
            category=consumption.CategoryType.COST,
            amount=amount,
            time_grain=consumption.TimeGrainType.MONTHLY,
            time_period=consumption.BudgetTimePeriodArgs(
                start_date=self._args.budget_start or start_of_month(datetime.now(UTC))
            ),
            notifications={
                f"actual-{threshold}": consumption.NotificationArgs(
                    enabled=True,
                    operator=consumption.OperatorType.GREATER_THAN_OR_EQUAL_TO,
                    threshold=threshold,
                    threshold_type=consumption.ThresholdType.ACTUAL,
                    contact_emails=[],
                    contact_groups=[self.action_group_id],
                )
                for threshold in _BUDGET_THRESHOLDS
            },
            # what Azure holds fixed must not change with the month in which the program runs
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["timePeriod"]),
        )


def nodes_query(cluster_id: str) -> str:
    """Return a query that has a row for each node that was not ready in the time that the alert looks back.

    A node that is new has not reported for long, one that the autoscaler has taken away was ready.
    """
    return f"""KubeNodeInventory
| where ClusterId =~ "{cluster_id}"
| summarize ReadyReports = countif(Status contains "Ready"), First = min(TimeGenerated) by Computer
| where ReadyReports == 0 and First <= ago(10m)"""


def start_of_month(moment: datetime) -> str:
    """Return the first of a month, where every budget starts, as Azure writes it."""
    return f"{moment:%Y-%m}-01T00:00:00Z"
