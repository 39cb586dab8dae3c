"""Monitoring of a cluster: Prometheus metrics, container logs and Kubernetes events."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

from components.arm_id import part_of
from components.component import Args, AzureArgs, PrivateLinkArgs
from components.network.private_link import METRICS_ZONE, add_private_endpoint

_METRICS = monitor.KnownPrometheusForwarderDataSourceStreams.MICROSOFT_PROMETHEUS_METRICS

#: What containers print, and the events and inventory that explain it; Prometheus has the numbers
#: (https://learn.microsoft.com/azure/azure-monitor/containers/kubernetes-monitoring-enable-arm#stream-values).
_LOGS = (
    "Microsoft-ContainerLogV2",
    "Microsoft-KubeEvents",
    "Microsoft-KubeNodeInventory",
    "Microsoft-KubePodInventory",
)


@dataclass(kw_only=True)
class ClusterMonitoringArgs(Args):
    """What the monitoring of a cluster needs from outside."""

    azure: AzureArgs
    cluster_id: pulumi.Input[str]
    log_analytics_id: pulumi.Input[str]
    private_link: PrivateLinkArgs | None = None
    """How metrics are queried from inside a network, and from nowhere else then; its zones must have the
    region's `METRICS_ZONE`."""
    private_link_scope_id: pulumi.Input[str] | None = None
    """The Azure Monitor Private Link Scope, in the same resource group, by which the nodes send what they
    collect, and no other way then."""


class ClusterMonitoring(pulumi.ComponentResource):
    """Managed Prometheus and Container Insights of a cluster whose agents are switched on.

    Makes an Azure Monitor workspace for the metrics, and the rules by which the agents know what to collect
    and where to send it. Names of the associations are what the agents look for
    (https://learn.microsoft.com/azure/azure-monitor/containers/kubernetes-monitoring-enable-arm).
    What there is, nodes and pods, is recorded every 5 minutes, not each minute, as Azure's own preset for
    lower costs does (https://learn.microsoft.com/azure/azure-monitor/containers/container-insights-cost).
    Leaves alerts and dashboards to others.
    """

    azure_monitor_workspace_id: pulumi.Output[str]
    data_collection_endpoint_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: ClusterMonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai-platform:index:ClusterMonitoring", name, None, opts)
        self._name = name
        self._args = args = ClusterMonitoringArgs.of(args)
        self._child = pulumi.ResourceOptions(parent=self)
        workspace = self._workspace()
        endpoint = self._endpoint()
        self._collect_metrics(workspace, endpoint)
        self._collect_logs()
        self.azure_monitor_workspace_id = workspace.id
        self.data_collection_endpoint_id = endpoint.id
        self.register_outputs(
            {
                "azure_monitor_workspace_id": self.azure_monitor_workspace_id,
                "data_collection_endpoint_id": self.data_collection_endpoint_id,
            }
        )

    def _workspace(self) -> monitor.AzureMonitorWorkspace:
        args, link = self._args, self._args.private_link
        workspace = monitor.AzureMonitorWorkspace(
            f"{self._name}-metrics",
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            public_network_access=(
                monitor.PublicNetworkAccess.DISABLED if link else monitor.PublicNetworkAccess.ENABLED
            ),
            tags=args.azure.tags,
            opts=self._child,
        )
        if link:
            add_private_endpoint(
                f"{self._name}-metrics-queries",
                workspace.id,
                "prometheusMetrics",
                link,
                args.azure,
                self,
                zones=[_metrics_zone(link)],
            )
        return workspace

    def _endpoint(self) -> monitor.DataCollectionEndpoint:
        """Make what the agents send metrics to, and ask for their rules where they have no public way.

        https://learn.microsoft.com/azure/azure-monitor/containers/kubernetes-monitoring-private-link
        """
        args = self._args
        access = monitor.KnownPublicNetworkAccessOptions
        endpoint = monitor.DataCollectionEndpoint(
            f"{self._name}-endpoint",
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            kind=monitor.KnownDataCollectionEndpointResourceKind.LINUX,
            network_acls=monitor.DataCollectionEndpointNetworkAclsArgs(
                public_network_access=(
                    access.ENABLED if args.private_link_scope_id is None else access.DISABLED
                )
            ),
            tags=args.azure.tags,
            opts=self._child,
        )
        if args.private_link_scope_id is not None:
            scope_id = pulumi.Output.from_input(args.private_link_scope_id)
            scoped = monitor.PrivateLinkScopedResource(
                f"{self._name}-endpoint-in-scope",
                resource_group_name=args.azure.resource_group,
                scope_name=scope_id.apply(lambda known: part_of(known, "resource_name")),
                linked_resource_id=endpoint.id,
                opts=self._child,
            )
            monitor.DataCollectionRuleAssociation(
                f"{self._name}-endpoint-of-cluster",
                association_name="configurationAccessEndpoint",
                resource_uri=args.cluster_id,
                data_collection_endpoint_id=endpoint.id,
                opts=pulumi.ResourceOptions(parent=self, depends_on=[scoped]),
            )
        return endpoint

    def _collect_metrics(
        self, workspace: monitor.AzureMonitorWorkspace, endpoint: monitor.DataCollectionEndpoint
    ) -> None:
        rule = monitor.DataCollectionRule(
            f"{self._name}-metrics-rule",
            resource_group_name=self._args.azure.resource_group,
            location=self._args.azure.location,
            kind=monitor.KnownDataCollectionRuleResourceKind.LINUX,
            data_collection_endpoint_id=endpoint.id,
            data_sources=monitor.DataCollectionRuleDataSourcesArgs(
                prometheus_forwarder=[
                    monitor.PrometheusForwarderDataSourceArgs(name="prometheus", streams=[_METRICS])
                ]
            ),
            destinations=monitor.DataCollectionRuleDestinationsArgs(
                monitoring_accounts=[
                    monitor.MonitoringAccountDestinationArgs(
                        name="workspace", account_resource_id=workspace.id
                    )
                ]
            ),
            data_flows=[monitor.DataFlowArgs(streams=[_METRICS], destinations=["workspace"])],
            tags=self._args.azure.tags,
            opts=self._child,
        )
        self._associate("metrics", "ContainerInsightsMetricsExtension", rule)

    def _collect_logs(self) -> None:
        rule = monitor.DataCollectionRule(
            f"{self._name}-logs-rule",
            resource_group_name=self._args.azure.resource_group,
            location=self._args.azure.location,
            kind=monitor.KnownDataCollectionRuleResourceKind.LINUX,
            data_sources=monitor.DataCollectionRuleDataSourcesArgs(
                extensions=[
                    monitor.ExtensionDataSourceArgs(
                        name="ContainerInsightsExtension",
                        extension_name="ContainerInsights",
                        extension_settings={
                            "dataCollectionSettings": {
                                "interval": "5m",
                                "namespaceFilteringMode": "Off",
                                "enableContainerLogV2": True,
                            }
                        },
                        streams=list(_LOGS),
                    )
                ]
            ),
            destinations=monitor.DataCollectionRuleDestinationsArgs(
                log_analytics=[
                    monitor.LogAnalyticsDestinationArgs(
                        name="workspace", workspace_resource_id=self._args.log_analytics_id
                    )
                ]
            ),
            data_flows=[monitor.DataFlowArgs(streams=list(_LOGS), destinations=["workspace"])],
            tags=self._args.azure.tags,
            opts=self._child,
        )
        self._associate("logs", "ContainerInsightsExtension", rule)

    def _associate(self, what: str, association_name: str, rule: monitor.DataCollectionRule) -> None:
        monitor.DataCollectionRuleAssociation(
            f"{self._name}-{what}-of-cluster",
            association_name=association_name,
            resource_uri=self._args.cluster_id,
            data_collection_rule_id=rule.id,
            opts=self._child,
        )


def _metrics_zone(link: PrivateLinkArgs) -> str:
    """Return the zone of Prometheus' queries, which is no constant as its name has the region in it."""
    for zone in link.zone_ids:
        if zone.endswith(METRICS_ZONE):
            return zone
    raise ValueError(f"private_link.zone_ids: expected the zone privatelink.<region>.{METRICS_ZONE}")
