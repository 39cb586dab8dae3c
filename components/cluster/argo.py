"""Argo Workflows and Argo Events, which run workflows on schedules and events."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components import versions
from components.component import Args


@dataclass(kw_only=True)
class ArgoArgs(Args):
    """What Argo needs from outside; the cluster is that of the Kubernetes provider among the options."""

    namespace: pulumi.Input[str]


class Argo(pulumi.ComponentResource):
    """Argo Workflows and Argo Events in one namespace, installed by their Helm charts.

    A release that fails is rolled back as a whole, so that the next `up` does not find a half-installed one.
    `add_service_account` lets workflows act as an Azure identity. Leaves the workflows themselves to others.
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: ArgoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Argo", name, None, opts)
        self._name = name
        args = ArgoArgs.of(args)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace", metadata={"name": args.namespace}, opts=pulumi.ResourceOptions(parent=self)
        )
        self.namespace = namespace.metadata["name"]
        for chart, version in (
            ("argo-workflows", versions.ARGO_WORKFLOWS_CHART),
            ("argo-events", versions.ARGO_EVENTS_CHART),
        ):
            kubernetes.helm.v3.Release(
                f"{name}-{chart.removeprefix('argo-')}",
                name=chart,
                chart=chart,
                version=version,
                repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=versions.ARGO_REPOSITORY),
                namespace=self.namespace,
                atomic=True,
                cleanup_on_fail=True,
                timeout=600,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self._executor = self._make_executor_role()
        self.register_outputs({"namespace": self.namespace})

    def add_service_account(self, account_name: str, client_id: pulumi.Input[str]) -> None:
        """Make a service account whose workflows act as the Azure identity of `client_id`.

        Pods also need the label `azure.workload.identity/use: "true"`
        (https://learn.microsoft.com/azure/aks/workload-identity-overview).
        """
        opts = pulumi.ResourceOptions(parent=self)
        account = kubernetes.core.v1.ServiceAccount(
            f"{self._name}-{account_name}",
            metadata={
                "name": account_name,
                "namespace": self.namespace,
                "annotations": {"azure.workload.identity/client-id": client_id},
            },
            opts=opts,
        )
        kubernetes.rbac.v1.RoleBinding(
            f"{self._name}-{account_name}-executes-workflows",
            metadata={"name": f"{account_name}-executes-workflows", "namespace": self.namespace},
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": self._executor.metadata["name"],
            },
            subjects=[
                {"kind": "ServiceAccount", "name": account.metadata["name"], "namespace": self.namespace}
            ],
            opts=opts,
        )

    def _make_executor_role(self) -> kubernetes.rbac.v1.Role:
        """Make the role of a workflow's pods, which allows them only to report their result.

        https://argo-workflows.readthedocs.io/en/latest/workflow-rbac/
        """
        return kubernetes.rbac.v1.Role(
            f"{self._name}-executor",
            metadata={"name": "workflow-executor", "namespace": self.namespace},
            rules=[
                {
                    "api_groups": ["argoproj.io"],
                    "resources": ["workflowtaskresults"],
                    "verbs": ["create", "patch"],
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
