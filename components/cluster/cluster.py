"""The AKS cluster, which runs workflows."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from pulumi_azure_native import authorization
from pulumi_azure_native import containerservice as aks

from components.arm_id import virtual_network_id
from components.cluster.monitoring import ClusterMonitoring, ClusterMonitoringArgs
from components.cluster.node_pool import FIXED, NodePoolArgs, NodesArgs, add_user_pool, system_pool
from components.cluster.nodes_network import ClusterNetworkArgs, api_server_access, network_profile
from components.cluster.upgrades import MaintenanceArgs, schedule_upgrades, upgrade_profile
from components.component import AzureArgs, PrivateLinkArgs
from components.dynamic.roles_in_effect import RolesInEffect, RolesInEffectArgs
from components.identity.identity import Identity, Role, assign_role
from components.observability.diagnostics import add_diagnostics

#: The application id of AKS's Entra ID server, the same in every tenant
#: (https://azure.github.io/kubelogin/concepts/aks.html).
AKS_SERVER_ID = "6dae42f8-4368-4678-94ff-3960e28e3630"

#: What the control plane logs of changes, sign-ins and faults. `kube-audit` has every read besides, which is
#: most of it (https://learn.microsoft.com/azure/aks/monitor-aks#aks-control-planeresource-logs).
LOG_CATEGORIES = (
    "cluster-autoscaler",
    "guard",
    "kube-apiserver",
    "kube-audit-admin",
    "kube-controller-manager",
)

_POOLS = "agentPoolProfiles[*]"

#: Properties that AKS never changes, and that azure-native would try to change. It replaces by itself a
#: cluster with another disk encryption set, DNS prefix or network profile
#: (https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go). AKS lists the
#: pools of a cluster in any order, so no path names the first one.
REPLACING = [
    "apiServerAccessProfile.enablePrivateCluster",
    "apiServerAccessProfile.privateDNSZone",
    *(f"{_POOLS}.{name}" for name in FIXED),
]


@dataclass(kw_only=True)
class ClusterArgs(NodesArgs, ClusterNetworkArgs, MaintenanceArgs):
    """What a cluster needs from outside."""

    azure: AzureArgs
    registry_id: pulumi.Input[str]
    log_analytics_id: pulumi.Input[str]
    administrators: pulumi.Input[str] | None = None
    """Object id of the Entra ID principal, best a group, that administers what runs on the cluster. Without
    one, the first deployer stays administrator."""
    node_size: pulumi.Input[str]
    """The size of the nodes that run workflows."""
    min_nodes: pulumi.Input[int]
    max_nodes: pulumi.Input[int]
    system_node_size: pulumi.Input[str] = "Standard_D4ds_v5"
    """The size of the nodes that run the cluster itself, of at least 4 vCPUs and not of the B series
    (https://learn.microsoft.com/azure/aks/use-system-pools#system-and-user-node-pools). Another size, as all
    else that is fixed about these nodes, makes a new cluster."""
    min_system_nodes: pulumi.Input[int] = 2
    max_system_nodes: pulumi.Input[int] = 3
    disk_encryption_set_id: pulumi.Input[str] | None = None
    """Encrypts the nodes' disks with the platform's own key instead of Microsoft's."""
    private_link: PrivateLinkArgs | None = None
    private_link_scope_id: pulumi.Input[str] | None = None
    """Both as `ClusterMonitoringArgs` has them."""


class Cluster(pulumi.ComponentResource):
    """An AKS cluster in an existing subnet: sign-in by Entra ID only, and workload identity for its pods.

    It follows the AKS baseline
    (https://learn.microsoft.com/azure/architecture/reference-architectures/containers/aks/baseline-aks).
    System nodes run the cluster itself, user nodes run everything else; both run Azure Linux. The control
    plane and the nodes have an identity each, and the nodes' identity may pull from the registry.

    Local accounts are off, so `kubeconfig` holds no credential: it signs in with kubelogin, as the person or
    pipeline that is signed in to the Azure CLI. Owners of the subscription have no rights on the cluster
    unless they are among its administrators. A private API server can be reached from its network only, also
    by Pulumi. `az aks command invoke` is off, because it bypasses the network's rules.

    The nodes' resource group is locked against changes by hand. Upgrades run by themselves in the maintenance
    window. Azure Policy is on and enforces the policies that the subscription assigns. Defender's sensor is
    on; it works if the subscription has the plan Defender for Containers.

    A change that AKS does not accept for an existing cluster creates a new cluster, and then deletes the old
    one. Leaves to others: what runs on the cluster (use `provider`), outbound routing of the subnet, and
    alerts.
    """

    cluster_id: pulumi.Output[str]
    cluster_name: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    azure_monitor_workspace_id: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Cluster", name, None, opts)
        self._name = name
        self._args = args = ClusterArgs.of(args)
        cluster = self._make_cluster()
        pool = add_user_pool(
            f"{name}-user", args.azure.resource_group, cluster.name, self._user_nodes(), self
        )
        schedule_upgrades(name, args.azure.resource_group, cluster.name, args, self)
        add_diagnostics(name, cluster.id, args.log_analytics_id, self, log_categories=LOG_CATEGORIES)
        monitoring = self._add_monitoring(cluster)
        self.cluster_id = cluster.id
        self.cluster_name = cluster.name
        self.oidc_issuer = cluster.oidc_issuer_profile.apply(
            lambda profile: profile.issuer_url if profile else ""
        )
        credentials = aks.list_managed_cluster_user_credentials_output(
            resource_group_name=args.azure.resource_group, resource_name=cluster.name
        )
        self.kubeconfig = credentials.apply(lambda result: kubelogin_config(result.kubeconfigs[0].value))
        self.azure_monitor_workspace_id = monitoring.azure_monitor_workspace_id
        self.provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            # only another cluster replaces what runs on it, and not a rotated certificate of its API server
            # (https://github.com/pulumi/pulumi-kubernetes/issues/2745)
            cluster_identifier=cluster.id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._add_administrators(cluster), pool]),
        )
        self.register_outputs(
            {
                "cluster_id": self.cluster_id,
                "cluster_name": self.cluster_name,
                "oidc_issuer": self.oidc_issuer,
                "kubeconfig": self.kubeconfig,
                "azure_monitor_workspace_id": self.azure_monitor_workspace_id,
            }
        )

    def _make_cluster(self) -> aks.ManagedCluster:
        args, name = self._args, self._name
        control_plane = self._identity(f"{name}-control-plane")
        nodes = self._identity(f"{name}-nodes")
        nodes.grant(Role.ACR_PULL, "registry", args.registry_id)
        return aks.ManagedCluster(
            name,
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            dns_prefix=name,
            kubernetes_version=args.kubernetes_version,
            sku=aks.ManagedClusterSKUArgs(
                name=aks.ManagedClusterSKUName.BASE, tier=aks.ManagedClusterSKUTier.STANDARD
            ),
            identity=aks.ManagedClusterIdentityArgs(
                type=aks.ResourceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[control_plane.resource_id],
            ),
            identity_profile={
                "kubeletidentity": aks.UserAssignedIdentityArgs(
                    resource_id=nodes.resource_id,
                    client_id=nodes.client_id,
                    object_id=nodes.principal_id,
                )
            },
            aad_profile=aks.ManagedClusterAADProfileArgs(managed=True, enable_azure_rbac=True),
            disable_local_accounts=True,
            enable_rbac=True,
            oidc_issuer_profile=aks.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            api_server_access_profile=api_server_access(args),
            network_profile=network_profile(args),
            security_profile=self._security(),
            addon_profiles=self._addons(),
            azure_monitor_profile=aks.ManagedClusterAzureMonitorProfileArgs(
                metrics=aks.ManagedClusterAzureMonitorProfileMetricsArgs(enabled=True)
            ),
            auto_upgrade_profile=upgrade_profile(args.kubernetes_version),
            node_resource_group_profile=aks.ManagedClusterNodeResourceGroupProfileArgs(
                restriction_level=aks.RestrictionLevel.READ_ONLY
            ),
            disk_encryption_set_id=args.disk_encryption_set_id,
            agent_pool_profiles=[system_pool(self._system_nodes())],
            tags=args.azure.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=self._roles(control_plane, nodes),
                ignore_changes=self._service_changes(),
                replace_on_changes=REPLACING,
            ),
        )

    def _security(self) -> aks.ManagedClusterSecurityProfileArgs:
        return aks.ManagedClusterSecurityProfileArgs(
            workload_identity=aks.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True),
            defender=aks.ManagedClusterSecurityProfileDefenderArgs(
                log_analytics_workspace_resource_id=self._args.log_analytics_id,
                security_monitoring=aks.ManagedClusterSecurityProfileDefenderSecurityMonitoringArgs(
                    enabled=True
                ),
            ),
            # weekly: the Azure CLI's default, where ARM has none
            # (https://learn.microsoft.com/azure/aks/image-cleaner)
            image_cleaner=aks.ManagedClusterSecurityProfileImageCleanerArgs(enabled=True, interval_hours=168),
        )

    def _addons(self) -> Mapping[str, aks.ManagedClusterAddonProfileArgs]:
        return {
            "azurepolicy": aks.ManagedClusterAddonProfileArgs(enabled=True, config={"version": "v2"}),
            "kubeDashboard": aks.ManagedClusterAddonProfileArgs(enabled=False),
            "omsagent": aks.ManagedClusterAddonProfileArgs(
                enabled=True,
                config={
                    "logAnalyticsWorkspaceResourceID": self._args.log_analytics_id,
                    "useAADAuth": "true",
                },
            ),
        }

    def _service_changes(self) -> list[str]:
        """Return the properties that the autoscaler manages, and AKS if no version is pinned."""
        if self._args.kubernetes_version is not None:
            return [f"{_POOLS}.count"]
        return [f"{_POOLS}.count", f"{_POOLS}.orchestratorVersion", "kubernetesVersion"]

    def _roles(self, control_plane: Identity, nodes: Identity) -> Sequence[pulumi.Resource]:
        """Assign what the control plane needs to make the cluster, and no more; return the waits for it.

        Load balancers join the nodes' subnet (https://learn.microsoft.com/azure/aks/aks-service-permissions).
        A zone that is given is linked to the whole network
        (https://learn.microsoft.com/azure/aks/private-clusters#configuration-options-for-private-dns).
        A disk encryption set is read (https://learn.microsoft.com/azure/aks/azure-disk-customer-managed-keys).
        """
        args = self._args
        control_plane.grant(Role.MANAGED_IDENTITY_OPERATOR, "nodes", nodes.resource_id)
        if args.private and args.private_dns_zone_id is not None:
            network_id = pulumi.Output.from_input(args.subnet_id).apply(virtual_network_id)
            control_plane.grant(Role.PRIVATE_DNS_ZONE_CONTRIBUTOR, "zone", args.private_dns_zone_id)
            control_plane.grant(Role.NETWORK_CONTRIBUTOR, "network", network_id)
        else:
            control_plane.grant(Role.NETWORK_CONTRIBUTOR, "subnet", args.subnet_id)
        if args.disk_encryption_set_id is not None:
            control_plane.grant(Role.READER, "disk-encryption", args.disk_encryption_set_id)
        return [control_plane.in_effect(), nodes.in_effect()]

    def _identity(self, name: str) -> Identity:
        return Identity(
            name,
            self._args.azure,
            pulumi.ResourceOptions(parent=self),
        )

    def _system_nodes(self) -> NodePoolArgs:
        args = self._args
        return NodePoolArgs(
            nodes=args,
            size=args.system_node_size,
            min_nodes=args.min_system_nodes,
            max_nodes=args.max_system_nodes,
            tags=args.azure.tags,
        )

    def _user_nodes(self) -> NodePoolArgs:
        args = self._args
        return NodePoolArgs(
            nodes=args,
            size=args.node_size,
            min_nodes=args.min_nodes,
            max_nodes=args.max_nodes,
            tags=args.azure.tags,
        )

    def _add_administrators(self, cluster: aks.ManagedCluster) -> RolesInEffect:
        """Assign the administrators; return the wait until the deployer is one of them."""
        administrators = self._args.administrators
        opts = pulumi.ResourceOptions(parent=self)
        if administrators is None:
            administrators = authorization.get_client_config_output().object_id
            # otherwise a later deployer, such as a pipeline, would take the role from the first
            opts.ignore_changes = ["principalId", "roleAssignmentName"]
        assignment = assign_role(
            f"{self._name}-administrators",
            Role.AKS_RBAC_CLUSTER_ADMIN,
            cluster.id,
            administrators,
            None,
            opts,
        )
        return RolesInEffect(
            f"{self._name}-administrators-roles",
            RolesInEffectArgs(roles=[assignment], kubeconfig=self.kubeconfig),
            pulumi.ResourceOptions(parent=self),
        )

    def _add_monitoring(self, cluster: aks.ManagedCluster) -> ClusterMonitoring:
        args = self._args
        return ClusterMonitoring(
            f"{self._name}-monitoring",
            ClusterMonitoringArgs(
                azure=args.azure,
                cluster_id=cluster.id,
                log_analytics_id=args.log_analytics_id,
                private_link=args.private_link,
                private_link_scope_id=args.private_link_scope_id,
            ),
            pulumi.ResourceOptions(parent=self),
        )


def kubelogin_config(credentials: str) -> str:
    """Return a kubeconfig (JSON) that signs in through kubelogin, from AKS's own in base64.

    AKS's own asks each time for a device code, which a pipeline cannot type in
    (https://learn.microsoft.com/azure/aks/kubelogin-authentication).
    """
    config = yaml.safe_load(base64.b64decode(credentials))
    sign_in = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--login", "azurecli", "--server-id", AKS_SERVER_ID],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }
    for user in config["users"]:
        user["user"] = {"exec": sign_in}
    return json.dumps(config, sort_keys=True)
