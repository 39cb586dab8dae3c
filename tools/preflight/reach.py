"""Whether this machine has what a deployment calls, and reaches the private addresses of the stack."""

import ipaddress
import shutil
import socket
from collections.abc import Iterator

from tools.preflight.check import Context, Problem

_SECONDS = 5
_VAULT_HOST = "{}.vault.azure.net"


def missing_programs(_: Context) -> Iterator[Problem]:
    """Yield each program that signs in to the cluster and is not installed."""
    for program, mend in (("kubelogin", "az aks install-cli"), ("az", "https://aka.ms/azure-cli")):
        if shutil.which(program) is None:
            yield Problem(f"{program} is not on PATH", mend)


def unreachable_endpoints(context: Context) -> Iterator[Problem]:
    """Yield each private address of an existing platform that this machine does not reach."""
    for host in _private_hosts(context):
        if why := _why_unreachable(host):
            yield Problem(
                f"{host} {why}",
                "run this in the network of the platform, or in one that is peered with it and has its zones",
            )


def _private_hosts(context: Context) -> Iterator[str]:
    """Yield the hosts that a deployment calls: the API server, and the vaults."""
    for cluster in context.clusters:
        if host := cluster["properties"].get("privateFQDN"):
            yield host
    for vault in context.arm.items(f"{context.group_path}/providers/Microsoft.KeyVault/vaults", "2023-07-01"):
        yield _VAULT_HOST.format(vault["name"])


def _why_unreachable(host: str) -> str | None:
    """Return why the host has no private address, or does not answer there; None if it does."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        return "has no address here"
    if not ipaddress.ip_address(address).is_private:
        return f"has the public address {address} here"
    try:
        socket.create_connection((address, 443), _SECONDS).close()
    except OSError as error:
        return f"({address}) does not answer: {error}"
    return None
