"""`python -m tools.preflight STACK`: a line for each check; the exit code is 1 if `pulumi up` would fail."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from azure.core.exceptions import AzureError, ClientAuthenticationError

from importer.lake.azure import error_text
from stacks.settings.explain import SettingsError
from stacks.settings.load import load
from stacks.settings.network import Isolation
from stacks.settings.stack import Endpoints
from tools.preflight import capacity, reach, snowflake, subscription
from tools.preflight.arm import Arm
from tools.preflight.check import Check, Context, Problem, makes_cluster, makes_platform

ROOT = Path(__file__).resolve().parents[2]

CHECKS = (
    Check("resource providers", lambda _: True, subscription.unregistered_providers),
    Check("rights of the deployer", lambda _: True, subscription.missing_rights),
    Check("names", makes_platform, subscription.taken_names),
    Check("locks", lambda _: True, subscription.read_only_locks),
    Check(
        "encryption at host",
        lambda settings: makes_cluster(settings) and settings.cluster.encryption_at_host,
        subscription.missing_encryption_at_host,
    ),
    Check("sizes and zones of nodes", makes_cluster, capacity.unavailable_sizes),
    Check("vCPU quota of nodes", makes_cluster, capacity.exceeded_quota),
    Check("sign-in to the cluster", makes_cluster, reach.missing_programs),
    Check(
        "private endpoints",
        lambda settings: makes_platform(settings) and settings.isolation is Isolation.PRIVATE,
        reach.unreachable_endpoints,
    ),
    Check(
        "hosts of Snowflake",
        lambda settings: makes_platform(settings) and settings.workspace.managed_network,
        snowflake.closed_hosts,
    ),
)

_WIDTH = max(len(check.title) for check in CHECKS)


def main(stack: str) -> int:
    """Print the checks of a stack; return the exit code."""
    logging.disable(logging.WARNING)  # azure-identity logs each sign-in that it tries
    try:
        settings = load(stack_config(stack))
    except FileNotFoundError:
        print(
            f"preflight: there is no Pulumi.{stack}.yaml: create it, or name another STACK", file=sys.stderr
        )
        return 1
    except SettingsError as error:
        print(f"preflight: {error}", file=sys.stderr)
        return 1
    if settings.endpoints is Endpoints.LOCAL:
        print("preflight: the local cloud needs none")
        return 0
    # importing it takes half a second, and nothing above needs it
    from azure.identity import DefaultAzureCredential

    try:
        context = Context(stack, settings, Arm(subscription_id(stack, os.environ), DefaultAzureCredential()))
        return report(context, CHECKS)
    except (ClientAuthenticationError, LookupError) as error:
        text = error_text(error) if isinstance(error, AzureError) else str(error)
        print(f"preflight: {text}; run `az login`", file=sys.stderr)
        return 1


def report(context: Context, checks: tuple[Check, ...]) -> int:
    """Print a line for each check that is passed, and for each problem; return the exit code."""
    fails = False
    for check in checks:
        if not check.applies(context.settings):
            continue
        problems = list(_problems(check, context))
        fails |= any(problem.blocks for problem in problems)
        for problem in problems:
            word = "fails" if problem.blocks else "note"
            print(f"{word:5} {check.title:{_WIDTH}}  {problem.text}: {problem.mend}")
        if not problems:
            print(f"ok    {check.title}")
    return 1 if fails else 0


def _problems(check: Check, context: Context) -> Iterator[Problem]:
    """Yield the problems that a check finds, or that it could not be made."""
    try:
        yield from check.problems(context)
    except ClientAuthenticationError:
        raise
    except AzureError as error:
        yield Problem(f"not checked: {error_text(error)}", "the deployer needs Reader", blocks=False)


def stack_config(stack: str) -> dict[str, str]:
    """Return the stack's configuration as Pulumi passes it on, with a placeholder for each secret."""
    document = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text()) or {}
    config: Mapping[str, object] = document.get("config") or {}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}


def subscription_id(stack: str, environment: Mapping[str, str]) -> str:
    """Return the subscription that Pulumi would deploy to: the stack's, the environment's or the CLI's.

    https://www.pulumi.com/registry/packages/azure-native/installation-configuration/
    """
    configured = stack_config(stack).get("azure-native:subscriptionId")
    if found := configured or environment.get("ARM_SUBSCRIPTION_ID"):
        return found
    command = ("az", "account", "show", "--query", "id", "--output", "tsv")
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        raise LookupError(
            "no subscription in azure-native:subscriptionId, ARM_SUBSCRIPTION_ID or az"
        ) from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
