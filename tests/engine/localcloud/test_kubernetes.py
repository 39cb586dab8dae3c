"""The stand-in of the Kubernetes provider: releases and objects on a stand-in cluster."""

import json
from typing import Any

import pytest
import yaml
from pulumi.runtime.proto import provider_pb2 as pb

from localcloud.providers.properties import to_struct
from tests.engine.localcloud.provider_stack import Providers, Stack

CLUSTER = """
import base64
import pulumi_kubernetes as kubernetes
from pulumi_azure_native import authorization, containerservice, resources
group = resources.ResourceGroup("aks", location="westeurope")
cluster = containerservice.ManagedCluster("cluster", resource_group_name=group.name, dns_prefix="aks",
    identity={"type": "SystemAssigned"}, oidc_issuer_profile={"enabled": True})
credentials = containerservice.list_managed_cluster_user_credentials_output(
    resource_group_name=group.name, resource_name=cluster.name)
administrator = authorization.RoleAssignment("administrator", scope=cluster.id,
    principal_id=authorization.get_client_config_output().object_id,
    role_definition_id="/subscriptions/5ab0/providers/Microsoft.Authorization/roleDefinitions/"
    "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b")
provider = kubernetes.Provider("aks", kubeconfig=credentials.apply(
    lambda result: base64.b64decode(result.kubeconfigs[0].value).decode()),
    opts=pulumi.ResourceOptions(depends_on=[administrator]))
options = pulumi.ResourceOptions(provider=provider)
namespace = kubernetes.core.v1.Namespace("argo", metadata={"name": "argo"}, opts=options)
kubernetes.helm.v3.Release("workflows", name="workflows", chart="argo-workflows", version=VERSION,
    namespace=namespace.metadata.name, repository_opts={"repo": "https://argoproj.github.io/argo-helm"},
    values={"server": {"enabled": False}}, opts=options)
kubernetes.helm.v3.Release("secrets", chart="external-secrets", version="2.9.0", namespace="secrets",
    create_namespace=True, repository_opts={"repo": "https://charts.external-secrets.io"}, opts=options)
service = kubernetes.core.v1.ServiceAccount("runner", metadata={"namespace": namespace.metadata.name},
    opts=options)
pulumi.export("issuer", cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url))
pulumi.export("kubelet", cluster.identity_profile.apply(lambda found: found["kubeletidentity"].client_id))
pulumi.export("service", service.metadata["name"])
pulumi.export("tenant", authorization.get_client_config_output().tenant_id)
"""


def test_releases_and_objects_are_installed_upgraded_and_destroyed(
    providers: Providers, stack: Stack
) -> None:
    program = "VERSION = '1.0.18'\n" + CLUSTER
    preview = stack.run(program, "preview")
    assert preview.returncode == 0, preview.stdout
    outputs = stack.up(program)
    assert outputs["issuer"].startswith("https://westeurope.oic.prod-aks.azure.com/")
    assert len(outputs["kubelet"]) == 36
    assert outputs["tenant"] == "00000000-0000-0000-0000-0000000000aa"
    release = json.loads((providers.home.path / "releases" / "workflows.json").read_text())
    assert release["chart"] == "argo-workflows"
    assert release["repo"] == "https://argoproj.github.io/argo-helm"
    assert release["values"] == {"server": {"enabled": False}}
    account = providers.home.path / "kubernetes" / f"argo.ServiceAccount.{outputs['service']}.yaml"
    assert yaml.safe_load(account.read_text())["metadata"]["name"].startswith("runner-")
    again = stack.run(program, "preview", "--refresh", "--expect-no-changes")
    assert again.returncode == 0, again.stdout

    account.unlink()
    upgraded = stack.run(program.replace("1.0.18", "1.0.19"), "up", "--yes", "--refresh")
    assert "+ 1 created" in upgraded.stdout
    assert "~ 1 updated" in upgraded.stdout
    release = json.loads((providers.home.path / "releases" / "workflows.json").read_text())
    assert (release["version"], release["revision"]) == ("1.0.19", 2)

    assert stack.pulumi("destroy", "--yes", "--skip-preview").returncode == 0
    assert not list((providers.home.path / "releases").iterdir())
    assert not list((providers.home.path / "kubernetes").iterdir())


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        (
            "helm.sh/v3:Release",
            {"chart": "argo-events", "namespace": "argo"},
            "version",
            "missing required property version: pin the chart's version",
        ),
        (
            "core/v1:ConfigMap",
            {"data": {"a": 1}},
            "data.a",
            "data.a of ConfigMap must be of type string or null",
        ),
        (
            "apps/v1:Deployment",
            {"spec": {"replica": 1, "selector": {}, "template": {}}},
            "spec",
            "'replica' was unexpected",
        ),
        (
            "argoproj.io/v1alpha1:Sensor",
            {"metadata": {"name": "Upper"}},
            "metadata.name",
            "is not a name in Kubernetes",
        ),
    ],
)
def test_check_names_the_property_that_breaks_a_rule(
    providers: Providers, token: str, inputs: dict[str, Any], path: str, reason: str
) -> None:
    answer = providers.stub("kubernetes").Check(
        pb.CheckRequest(type=f"kubernetes:{token}", name="x", news=to_struct(inputs), randomSeed=b"seed")
    )
    assert [failure.property for failure in answer.failures] == [path]
    assert reason in answer.failures[0].reason


def test_a_kubeconfig_without_its_sections_is_refused(stack: Stack) -> None:
    program = """
import pulumi_kubernetes
provider = pulumi_kubernetes.Provider("k", kubeconfig='{"clusters": []}')
"""
    assert "kubeconfig has no clusters, contexts, users, current-context" in stack.refused(program)
