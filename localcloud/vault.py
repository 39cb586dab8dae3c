"""Key Vault's secrets, read-only: the requests that the importer sends to a vault.

https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret
"""

import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.arm import ArmStore
from localcloud.errors import ServiceError
from localcloud.home import TENANT_ID

#: `vault.json` also contains the deployer's password, which is not served over HTTP.
SERVED_SECRETS = frozenset({"snowflake-importer"})

_CHALLENGE = {
    "WWW-Authenticate": f'Bearer authorization="https://login.microsoftonline.com/{TENANT_ID}", '
    'resource="https://vault.azure.net"'
}


def vault_routes(store: ArmStore, secrets: Path) -> list[Route]:
    """Return the routes that serve the `secrets` file (name to value) as every vault in `store`."""

    def secret(request: Request) -> Response:
        vault, name = request.path_params["vault"], request.path_params["name"]
        version = request.path_params.get("version", "")
        if not request.headers.get("authorization"):
            unauthorized = ServiceError(401, "Unauthorized", "AKV10000: Request is missing a Bearer token.")
            return unauthorized.response(_CHALLENGE)
        if not _vault_exists(store, vault):
            return ServiceError(404, "VaultNotFound", f"The vault {vault} was not found.").response()
        value = _read(secrets, name)
        if value is None or version not in ("", _version_of(secrets)):
            missing = f"A secret with (name/id) {name} was not found in this key vault."
            return ServiceError(404, "SecretNotFound", missing).response()
        # clients parse an id as /secrets/<name>/<version>, so it has no path prefix of the vault
        secret_id = f"https://{request.url.netloc}/secrets/{name}/{_version_of(secrets)}"
        changed = int(secrets.stat().st_mtime)
        attributes = {"enabled": True, "created": changed, "updated": changed}
        return JSONResponse({"value": value, "id": secret_id, "attributes": attributes})

    return [
        Route("/vaults/{vault}/secrets/{name}", secret),
        Route("/vaults/{vault}/secrets/{name}/", secret),
        Route("/vaults/{vault}/secrets/{name}/{version}", secret),
    ]


def _vault_exists(store: ArmStore, name: str) -> bool:
    return any(
        document.get("type", "").lower() == "microsoft.keyvault/vaults"
        and document["name"].lower() == name.lower()
        for document in store.descendants("")
    )


def _read(secrets: Path, name: str) -> str | None:
    if name not in SERVED_SECRETS or not secrets.exists():
        return None
    values: dict[str, str] = json.loads(secrets.read_text())
    return values.get(name)


def _version_of(secrets: Path) -> str:
    """Return a version in Key Vault's format (32 hex digits) that changes with the file."""
    return f"{secrets.stat().st_mtime_ns:032x}"
