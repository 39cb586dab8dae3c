"""Helm releases of the local cluster, without an engine."""

from pathlib import Path

import pytest

from localcloud.home import Home
from localcloud.providers import helm
from localcloud.providers.grpc_provider import ProviderError
from localcloud.providers.kubernetes_objects import ObjectFiles

RELEASE = {
    "name": "argo",
    "namespace": "argo",
    "createNamespace": True,
    "chart": "argo-workflows",
    "version": "1.0.18",
}


def test_release_whose_installation_was_killed_is_refused_with_the_command_that_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ObjectFiles(Home(tmp_path, {}))
    put, calls = files.put_release, 0

    def killed(release: dict[str, object]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        put(release)

    monkeypatch.setattr(files, "put_release", killed)
    with pytest.raises(KeyboardInterrupt):
        helm.create(files, RELEASE)
    with pytest.raises(ProviderError, match="cannot re-use a name that is still in use"):
        helm.create(files, RELEASE)
    with pytest.raises(ProviderError, match="in progress; run `helm uninstall argo --namespace argo`"):
        helm.update(files, "argo/argo", RELEASE)
