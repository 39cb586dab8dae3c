"""External Secrets, which copies secrets from the vault into the cluster."""

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components import versions
from components.component import Args

NAMESPACE = "external-secrets"
SERVICE_ACCOUNT = "external-secrets"


@dataclass(kw_only=True)
class SecretsArgs(Args):
    """What External Secrets needs from outside: the identity that may read the vault."""

    client_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]


class Secrets(pulumi.ComponentResource):
    """External Secrets, by its Helm chart, whose service account acts as the identity of `client_id`.

    Leaves the identity, its federation with `NAMESPACE`/`SERVICE_ACCOUNT` and its role on the vault to the
    caller, and the `ExternalSecret` resources to the workflows that need them.
    """

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Secrets", name, None, opts)
        args = SecretsArgs.of(args)
        kubernetes.helm.v3.Release(
            f"{name}-external-secrets",
            name="external-secrets",
            chart="external-secrets",
            version=versions.EXTERNAL_SECRETS_CHART,
            repository_opts=kubernetes.helm.v3.RepositoryOptsArgs(repo=versions.EXTERNAL_SECRETS_REPOSITORY),
            namespace=NAMESPACE,
            create_namespace=True,
            atomic=True,
            cleanup_on_fail=True,
            timeout=600,
            values={
                "serviceAccount": {
                    "name": SERVICE_ACCOUNT,
                    "annotations": {
                        "azure.workload.identity/client-id": args.client_id,
                        "azure.workload.identity/tenant-id": args.tenant_id,
                    },
                },
                "podLabels": {"azure.workload.identity/use": "true"},
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
