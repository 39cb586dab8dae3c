"""Stores Kubernetes objects and Helm releases as files in the directory of the local cloud."""

import json
from pathlib import Path

import yaml

from localcloud.home import Home, write_atomically
from localcloud.providers.properties import Properties

#: The namespaces of a new cluster (https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/)
_INITIAL_NAMESPACES = {"default", "kube-system", "kube-public", "kube-node-lease"}


class ObjectFiles:
    """The state of the cluster: a YAML file for each object, a JSON file for each release."""

    def __init__(self, home: Home) -> None:
        self._objects = home.path / "kubernetes"
        self._releases = home.path / "releases"
        for directory in (self._objects, self._releases):
            directory.mkdir(parents=True, exist_ok=True)

    def get(self, namespace: str, kind: str, name: str) -> Properties | None:
        """Return the object, or None; `namespace` is empty for a cluster-scoped object."""
        file = self._file(namespace, kind, name)
        return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None

    def put(self, namespace: str, body: Properties) -> None:
        """Store the object in a file that only its owner may read, since it may be a Secret."""
        file = self._file(namespace, body["kind"], body["metadata"]["name"])
        write_atomically(file, yaml.safe_dump(body, sort_keys=False), mode=0o600)

    def delete(self, namespace: str, kind: str, name: str) -> None:
        """Delete the object; with a Namespace, also the objects in it."""
        self._file(namespace, kind, name).unlink(missing_ok=True)
        if kind == "Namespace":
            for file in self._objects.glob(f"{name}.*.yaml"):
                file.unlink(missing_ok=True)
            for release in self._all_releases():
                if release["namespace"] == name:
                    self.delete_release(release["name"])

    def get_release(self, name: str) -> Properties | None:
        """Return the release, or None."""
        try:
            text = (self._releases / f"{name}.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        release: Properties = json.loads(text)
        return release

    def put_release(self, release: Properties) -> None:
        """Store the release in a file that only its owner may read, since its values may contain a secret."""
        file = self._releases / f"{release['name']}.json"
        write_atomically(file, json.dumps(release, indent=2, sort_keys=True) + "\n", mode=0o600)

    def delete_release(self, name: str) -> None:
        """Delete the release; a namespace that Helm has created exists as long as a release in it."""
        (self._releases / f"{name}.json").unlink(missing_ok=True)

    def has_namespace(self, name: str) -> bool:
        """Whether the namespace exists: initially, as an object, or created by Helm for a release."""
        made_by_helm = (
            release["namespace"] for release in self._all_releases() if release["createNamespace"]
        )
        return (
            name in _INITIAL_NAMESPACES or self.get("", "Namespace", name) is not None or name in made_by_helm
        )

    def _all_releases(self) -> list[Properties]:
        # another call may delete a release meanwhile
        found = (self.get_release(file.stem) for file in self._releases.glob("*.json"))
        return [release for release in found if release is not None]

    def _file(self, namespace: str, kind: str, name: str) -> Path:
        # no namespace is called `_cluster`: `_` is not allowed in a name
        return self._objects / f"{namespace or '_cluster'}.{kind}.{name}.yaml"
