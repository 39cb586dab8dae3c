"""Automatic upgrades of a cluster, and their maintenance window."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerservice as aks

from components.component import Args

#: The shortest window in which AKS upgrades reliably
#: (https://learn.microsoft.com/azure/aks/planned-maintenance#create-a-maintenance-window).
MAINTENANCE_HOURS = 4


@dataclass(kw_only=True)
class MaintenanceArgs(Args):
    """The hours of each week in which upgrades may run."""

    maintenance_day: pulumi.Input[str] = "Sunday"
    maintenance_hour: pulumi.Input[int] = 2
    """The hour (UTC) at which the four hours start in which Kubernetes and node images are upgraded."""


def upgrade_profile(kubernetes_version: pulumi.Input[str] | None) -> aks.ManagedClusterAutoUpgradeProfileArgs:
    """Return the upgrade channel: patches of the given minor version, or every minor version but the newest.

    https://learn.microsoft.com/azure/aks/auto-upgrade-cluster#cluster-auto-upgrade-channels
    """
    return aks.ManagedClusterAutoUpgradeProfileArgs(
        upgrade_channel=(
            aks.UpgradeChannel.STABLE if kubernetes_version is None else aks.UpgradeChannel.PATCH
        ),
        node_os_upgrade_channel=aks.NodeOSUpgradeChannel.NODE_IMAGE,
    )


def schedule_upgrades(
    name: str,
    resource_group: pulumi.Input[str],
    cluster_name: pulumi.Input[str],
    args: MaintenanceArgs,
    parent: pulumi.Resource,
) -> None:
    """Set the maintenance windows of Kubernetes upgrades and of node image upgrades.

    Azure identifies the two by fixed names (https://learn.microsoft.com/azure/aks/planned-maintenance). AKS's
    weekly releases and urgent repairs ignore these windows.
    """
    window = aks.MaintenanceWindowArgs(
        schedule=aks.ScheduleArgs(
            weekly=aks.WeeklyScheduleArgs(day_of_week=args.maintenance_day, interval_weeks=1)
        ),
        start_time=pulumi.Output.from_input(args.maintenance_hour).apply(lambda hour: f"{hour:02}:00"),
        utc_offset="+00:00",
        duration_hours=MAINTENANCE_HOURS,
    )
    for what, config_name in (
        ("upgrades", "aksManagedAutoUpgradeSchedule"),
        ("image-upgrades", "aksManagedNodeOSUpgradeSchedule"),
    ):
        aks.MaintenanceConfiguration(
            f"{name}-{what}",
            resource_group_name=resource_group,
            resource_name_=cluster_name,
            config_name=config_name,
            maintenance_window=window,
            opts=pulumi.ResourceOptions(parent=parent),
        )
