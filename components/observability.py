"""Where the platform's logs and traces go."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import applicationinsights, operationalinsights

from components.component import Args, Tags


@dataclass(kw_only=True)
class ObservabilityArgs(Args):
    """What observability needs from outside."""

    resource_group: pulumi.Input[str]
    location: pulumi.Input[str]
    retention_days: pulumi.Input[int]
    tags: Tags | None = None


class Observability(pulumi.ComponentResource):
    """A Log Analytics workspace, and Application Insights that stores in it.

    Leaves diagnostic settings to the components whose resources they watch.
    Log Analytics takes logs from Entra ID identities only; Application Insights still takes them by its
    connection string too, as Azure ML sends them so.
    """

    log_analytics_id: pulumi.Output[str]
    application_insights_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai-platform:index:Observability", name, None, opts)
        args = ObservabilityArgs.of(args)
        child = pulumi.ResourceOptions(parent=self)
        logs = operationalinsights.Workspace(
            f"{name}-logs",
            resource_group_name=args.resource_group,
            location=args.location,
            sku=operationalinsights.WorkspaceSkuArgs(
                name=operationalinsights.WorkspaceSkuNameEnum.PER_GB2018
            ),
            retention_in_days=args.retention_days,
            features=operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
            tags=args.tags,
            opts=child,
        )
        insights = applicationinsights.Component(
            f"{name}-insights",
            resource_group_name=args.resource_group,
            location=args.location,
            application_type=applicationinsights.ApplicationType.WEB,
            kind="web",
            workspace_resource_id=logs.id,
            ingestion_mode=applicationinsights.IngestionMode.LOG_ANALYTICS,
            tags=args.tags,
            opts=child,
        )
        self.log_analytics_id = logs.id
        self.application_insights_id = insights.id
        self.register_outputs(
            {
                "log_analytics_id": self.log_analytics_id,
                "application_insights_id": self.application_insights_id,
            }
        )
