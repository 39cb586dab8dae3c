"""`python -m localcloud.providers`: serves both providers from one process until it gets a signal."""

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path

from localcloud.home import Home, end_with
from localcloud.providers.azure_native import AzureNative, load_schemas
from localcloud.providers.grpc_provider import ProviderError, serve
from localcloud.providers.journal import Journal
from localcloud.providers.kubernetes import Kubernetes
from localcloud.providers.offline import OfflineAzure, OfflineKubernetes


def main() -> None:
    """Serve on the local cloud's ports, or on those given; print PULUMI_DEBUG_PROVIDERS once ready."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.providers", description=__doc__)
    parser.add_argument(
        "--home", type=Path, help="directory of the local cloud; default: LOCALCLOUD_HOME, else .local"
    )
    parser.add_argument("--ports", help="AZURE,KUBERNETES; 0 picks a free port; default: the local cloud's")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="serve an offline preview: know ids and outputs in advance, and load every type at the start",
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    home = Home.open(options.home)
    end_with(home)
    chosen = [home.ports["azure-native"], home.ports["kubernetes"]]
    ports = options.ports.split(",") if options.ports else chosen
    urns = home.path / "urns"
    azure, kubernetes = (
        (OfflineAzure(home), OfflineKubernetes(home))
        if options.offline
        else (AzureNative(home), Kubernetes(home))
    )
    try:
        serving = [
            (provider.name, *serve(provider, int(port), Journal(urns / f"{provider.name}.json")))
            for provider, port in zip((azure, kubernetes), ports, strict=True)
        ]
    except ProviderError as error:
        sys.exit(str(error))
    stopped = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopped.set())
    print(",".join(f"{name}:{port}" for name, _, port in serving), flush=True)  # noqa: T201 - the answer
    if options.offline:
        threading.Thread(target=load_schemas, name="load-schemas", daemon=True).start()
    stopped.wait()
    for _, server, _ in serving:
        server.stop(grace=5).wait()


main()
