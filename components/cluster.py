"""Where workflows run."""

import base64
import json
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
import yaml
from pulumi_azure_native import containerservice as aks

from components.component import Args, Tags
from components.identity import Identity, IdentityArgs, Role, assign_role

#: The application id of AKS's Entra ID server, the same in every tenant
#: (https://azure.github.io/kubelogin/concepts/aks.html).
AKS_SERVER_ID = "6dae42f8-4368-4678-94ff-3960e28e3630"


@dataclass(kw_only=True)
class ClusterArgs(Args):
    """What a cluster needs from outside."""

    resource_group: pulumi.Input[str]
    location: pulumi.Input[str]
    registry_id: pulumi.Input[str]
    node_size: pulumi.Input[str]
    min_nodes: pulumi.Input[int]
    max_nodes: pulumi.Input[int]
    administrators: pulumi.Input[str]
    """Object id of the Entra ID principal, best a group, that administers what runs on the cluster."""
    kubernetes_version: pulumi.Input[str] | None = None
    tags: Tags | None = None


class Cluster(pulumi.ComponentResource):
    """An AKS cluster that Entra ID opens, with an OIDC issuer and workload identity for its pods.

    Its control plane and its nodes each have an identity of their own; the nodes' may pull from the registry.
    Local accounts are off, so `kubeconfig` holds no credential: it signs in with kubelogin, as the person or
    the pipeline that is signed in to the Azure CLI. Owners of the subscription may do nothing on it unless
    they are among the administrators. Leaves what runs on it to others, by `provider`, and its monitoring.
    """

    cluster_name: pulumi.Output[str]
    oidc_issuer: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Cluster", name, None, opts)
        self._args = args = ClusterArgs.of(args)
        cluster = self._make_cluster(name)
        administer = assign_role(
            f"{name}-administrators",
            Role.AKS_RBAC_CLUSTER_ADMIN,
            cluster.id,
            args.administrators,
            None,
            # a person's and a pipeline's `up` are not to take the role from each other
            pulumi.ResourceOptions(parent=self, ignore_changes=["principalId", "roleAssignmentName"]),
        )
        self.cluster_name = cluster.name
        self.oidc_issuer = cluster.oidc_issuer_profile.apply(
            lambda profile: profile.issuer_url if profile else ""
        )
        credentials = aks.list_managed_cluster_user_credentials_output(
            resource_group_name=args.resource_group, resource_name=cluster.name
        )
        self.kubeconfig = credentials.apply(lambda result: kubelogin_config(result.kubeconfigs[0].value))
        self.provider = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=self.kubeconfig,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[administer]),
        )
        self.register_outputs(
            {
                "cluster_name": self.cluster_name,
                "oidc_issuer": self.oidc_issuer,
                "kubeconfig": self.kubeconfig,
            }
        )

    def _make_cluster(self, name: str) -> aks.ManagedCluster:
        args = self._args
        control_plane = self._identity(f"{name}-control-plane")
        nodes = self._identity(f"{name}-nodes")
        nodes.grant(Role.ACR_PULL, "registry", args.registry_id)
        operator = control_plane.grant(Role.MANAGED_IDENTITY_OPERATOR, "nodes", nodes.resource_id)
        return aks.ManagedCluster(
            name,
            resource_group_name=args.resource_group,
            location=args.location,
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
            security_profile=aks.ManagedClusterSecurityProfileArgs(
                workload_identity=aks.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True)
            ),
            network_profile=aks.ContainerServiceNetworkProfileArgs(
                network_plugin=aks.NetworkPlugin.AZURE,
                network_plugin_mode=aks.NetworkPluginMode.OVERLAY,
                network_dataplane=aks.NetworkDataplane.CILIUM,
                network_policy=aks.NetworkPolicy.CILIUM,
            ),
            agent_pool_profiles=[self._system_pool()],
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[operator],
                # only the first size: from then on the autoscaler's
                ignore_changes=["agentPoolProfiles[0].count"],
            ),
        )

    def _identity(self, name: str) -> Identity:
        return Identity(
            name,
            IdentityArgs(
                resource_group=self._args.resource_group,
                location=self._args.location,
                tags=self._args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _system_pool(self) -> aks.ManagedClusterAgentPoolProfileArgs:
        return aks.ManagedClusterAgentPoolProfileArgs(
            name="system",
            mode=aks.AgentPoolMode.SYSTEM,
            type=aks.AgentPoolType.VIRTUAL_MACHINE_SCALE_SETS,
            os_sku=aks.OSSKU.AZURE_LINUX,
            vm_size=self._args.node_size,
            enable_auto_scaling=True,
            count=self._args.min_nodes,
            min_count=self._args.min_nodes,
            max_count=self._args.max_nodes,
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
