"""Log Analytics and Application Insights: the platform's logs and traces."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import applicationinsights, monitor, operationalinsights

from components.component import Args, AzureArgs, PrivateLinkArgs
from components.deletion_protection import kept
from components.network.private_link import add_private_endpoint
from components.observability.diagnostics import add_diagnostics
from importer.spec.run_record import COLUMNS, STREAM, TABLE


@dataclass(kw_only=True)
class ObservabilityArgs(Args):
    """What observability needs from outside."""

    azure: AzureArgs
    retention_days: pulumi.Input[int]
    private: bool = False
    """Whether logs are sent and read only from inside the network of `connect`."""
    keep: bool = False
    """Whether the logs are protected from deletion, by Pulumi and by Azure."""


class Observability(pulumi.ComponentResource):
    """A Log Analytics workspace, Application Insights that stores its data there, and a table of import runs.

    An identity with the role Monitoring Metrics Publisher on the rule `ingestion_rule_id` can add records to
    the table: it sends them to `ingestion_endpoint` and names `ingestion_rule_immutable_id`. Log Analytics
    accepts logs from Entra ID identities only. Application Insights also accepts them with its connection
    string, because Azure ML uses that. Neither has a list of allowed addresses, so in a public stack only
    identities protect them.

    In a private stack, both are reached through a private link scope. `connect` adds its private endpoint
    later, because the network's own diagnostic settings need Log Analytics first. The endpoint answers for
    host names that all of Azure Monitor shares: every network with the same DNS zones reaches Azure Monitor
    through this scope and sees only what is in it, so such networks can have only one scope
    (https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-design). To add a resource to
    the scope, use `private_link_scope_id`. Diagnostic settings of Azure services need no endpoint. Workbooks
    and queries work from inside the network only.

    There is no daily cap, because it would also drop audit logs and records of import runs. Leaves diagnostic
    settings to the components whose resources they watch.
    """

    log_analytics_id: pulumi.Output[str]
    application_insights_id: pulumi.Output[str]
    private_link_scope_id: pulumi.Output[str] | None
    imports_table: pulumi.Output[str]
    ingestion_endpoint: pulumi.Output[str]
    ingestion_rule_id: pulumi.Output[str]
    ingestion_rule_immutable_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai-platform:index:Observability", name, None, opts)
        self._name = name
        self._args = args = ObservabilityArgs.of(args)
        logs = self._make_logs()
        insights = self._make_insights(logs)
        table = self._make_table(logs)
        endpoint = self._make_ingestion_endpoint()
        rule = self._make_ingestion_rule(logs, table, endpoint)
        self.private_link_scope_id = self._make_scope(logs, insights, endpoint) if args.private else None
        self.log_analytics_id = logs.id
        self.application_insights_id = insights.id
        self.imports_table = table.name
        self.ingestion_endpoint = endpoint.logs_ingestion.apply(
            lambda found: (found.endpoint if found else None) or ""
        )
        self.ingestion_rule_id = rule.id
        self.ingestion_rule_immutable_id = rule.immutable_id
        self.register_outputs(
            {
                "log_analytics_id": self.log_analytics_id,
                "application_insights_id": self.application_insights_id,
                "private_link_scope_id": self.private_link_scope_id,
                "imports_table": self.imports_table,
                "ingestion_endpoint": self.ingestion_endpoint,
                "ingestion_rule_id": self.ingestion_rule_id,
                "ingestion_rule_immutable_id": self.ingestion_rule_immutable_id,
            }
        )

    def connect(self, link: PrivateLinkArgs) -> None:
        """Make the endpoint by which a network reaches what is in the private link scope."""
        scope_id = self.private_link_scope_id
        if scope_id is None:
            raise ValueError("only private observability has an endpoint")
        added = add_private_endpoint(
            f"{self._name}-endpoint", scope_id, "azuremonitor", link, self._args.azure, self
        )
        # the scope takes one change at a time: the next change depends on this one
        self.private_link_scope_id = pulumi.Output.all(scope_id, added.endpoint.id).apply(
            lambda known: str(known[0])
        )

    def _make_logs(self) -> operationalinsights.Workspace:
        name, args = f"{self._name}-logs", self._args
        access = self._public_access()
        logs = operationalinsights.Workspace(
            name,
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            sku=operationalinsights.WorkspaceSkuArgs(
                name=operationalinsights.WorkspaceSkuNameEnum.PER_GB2018
            ),
            retention_in_days=args.retention_days,
            features=operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
            public_network_access_for_ingestion=access,
            public_network_access_for_query=access,
            tags=args.azure.tags,
            opts=kept(self, args.keep),
        )
        # audit logs of queries; Azure Monitor stores its metrics without a setting
        add_diagnostics(name, logs.id, logs.id, self, log_categories=["Audit"], metrics=False)
        return logs

    def _make_insights(self, logs: operationalinsights.Workspace) -> applicationinsights.Component:
        """Make Application Insights, which needs no diagnostic setting: what it has is in Log Analytics."""
        access = self._public_access()
        return applicationinsights.Component(
            f"{self._name}-insights",
            resource_group_name=self._args.azure.resource_group,
            location=self._args.azure.location,
            application_type=applicationinsights.ApplicationType.WEB,
            kind="web",
            workspace_resource_id=logs.id,
            ingestion_mode=applicationinsights.IngestionMode.LOG_ANALYTICS,
            public_network_access_for_ingestion=access,
            public_network_access_for_query=access,
            tags=self._args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_table(self, logs: operationalinsights.Workspace) -> operationalinsights.Table:
        """Make the table; no alert can look at one of another plan than Analytics.

        https://learn.microsoft.com/azure/azure-monitor/logs/data-platform-logs#table-plans
        """
        return operationalinsights.Table(
            f"{self._name}-imports",
            resource_group_name=self._args.azure.resource_group,
            workspace_name=logs.name,
            table_name=TABLE,
            plan=operationalinsights.TablePlanEnum.ANALYTICS,
            schema=operationalinsights.SchemaArgs(
                name=TABLE,
                columns=[
                    operationalinsights.ColumnArgs(
                        name=column, type="dateTime" if kind == "datetime" else kind
                    )
                    for column, kind in COLUMNS.items()
                ],
            ),
            opts=kept(self, self._args.keep),
        )

    def _make_ingestion_endpoint(self) -> monitor.DataCollectionEndpoint:
        """Make the endpoint that records are sent to.

        A private link needs one; without it a rule could have its own, but the API version that azure-native
        has of rules cannot tell its address
        (https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview#endpoint).
        """
        return monitor.DataCollectionEndpoint(
            f"{self._name}-imports",
            resource_group_name=self._args.azure.resource_group,
            location=self._args.azure.location,
            network_acls=monitor.DataCollectionEndpointNetworkAclsArgs(
                public_network_access=self._public_access()
            ),
            tags=self._args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _make_ingestion_rule(
        self,
        logs: operationalinsights.Workspace,
        table: operationalinsights.Table,
        endpoint: monitor.DataCollectionEndpoint,
    ) -> monitor.DataCollectionRule:
        name = f"{self._name}-imports"
        rule = monitor.DataCollectionRule(
            name,
            resource_group_name=self._args.azure.resource_group,
            location=self._args.azure.location,
            data_collection_endpoint_id=endpoint.id,
            stream_declarations={
                STREAM: monitor.StreamDeclarationArgs(
                    columns=[
                        monitor.ColumnDefinitionArgs(name=column, type=kind)
                        for column, kind in COLUMNS.items()
                    ]
                )
            },
            destinations=monitor.DataCollectionRuleDestinationsArgs(
                log_analytics=[
                    monitor.LogAnalyticsDestinationArgs(name="logs", workspace_resource_id=logs.id)
                ]
            ),
            data_flows=[
                monitor.DataFlowArgs(
                    streams=[STREAM], destinations=["logs"], transform_kql="source", output_stream=STREAM
                )
            ],
            tags=self._args.azure.tags,
            # Azure checks that the table is there
            opts=pulumi.ResourceOptions(parent=self, depends_on=[table]),
        )
        # records that the rule rejected
        add_diagnostics(name, rule.id, logs.id, self, log_categories=["LogErrors"], metrics=False)
        return rule

    def _make_scope(
        self,
        logs: operationalinsights.Workspace,
        insights: applicationinsights.Component,
        endpoint: monitor.DataCollectionEndpoint,
    ) -> pulumi.Output[str]:
        """Make the scope, and return its id once all is in it: it takes one change at a time."""
        scope = monitor.PrivateLinkScope(
            f"{self._name}-scope",
            resource_group_name=self._args.azure.resource_group,
            location="global",
            access_mode_settings=monitor.AccessModeSettingsArgs(
                ingestion_access_mode=monitor.AccessMode.PRIVATE_ONLY,
                query_access_mode=monitor.AccessMode.PRIVATE_ONLY,
            ),
            tags=self._args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        scoped: list[monitor.PrivateLinkScopedResource] = []
        for word, resource in {"logs": logs, "insights": insights, "imports": endpoint}.items():
            scoped.append(
                monitor.PrivateLinkScopedResource(
                    f"{self._name}-scope-{word}",
                    resource_group_name=self._args.azure.resource_group,
                    scope_name=scope.name,
                    linked_resource_id=resource.id,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=scoped[-1:]),
                )
            )
        return pulumi.Output.all(scope.id, scoped[-1].id).apply(lambda known: str(known[0]))

    def _public_access(self) -> str:
        return "Disabled" if self._args.private else "Enabled"
