"""What runs workflows, and starts them on events."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components import versions
from components.component import Args


@dataclass(kw_only=True)
class ArgoArgs(Args):
    """What Argo needs from outside; the cluster is that of the Kubernetes provider among the options."""

    namespace: pulumi.Input[str] = "argo"


class Argo(pulumi.ComponentResource):
    """Argo Workflows and Argo Events, by their Helm charts, in a namespace of their own.

    A release that fails is rolled back as a whole, so that the next `up` finds nothing half done.
    Leaves workflows, and the service accounts that run them, to the pipelines.
    """

    namespace: pulumi.Output[str]

    def __init__(self, name: str, args: ArgoArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Argo", name, None, opts)
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
        self.register_outputs({"namespace": self.namespace})
