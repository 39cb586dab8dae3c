"""The managed identity endpoint of App Service, and the tokens that it issues.

https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
"""

import base64
import json
import time
import uuid
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.arm import ArmStore
from localcloud.home import TENANT_ID

#: The client id and object id of a request that names no identity: the user of the local cloud.
DEPLOYER_ID = "00000000-0000-0000-0000-0000000000dd"

_LIFETIME = 24 * 60 * 60
_CLOCK_SKEW = 5 * 60


def create_token(resource: str, client_id: str, object_id: str) -> tuple[str, int]:
    """Return an unsigned access token for `resource` and its expiry (seconds since 1970).

    Azurite's `--oauth basic` reads aud, iss, iat, nbf and exp, and checks no signature.
    """
    now = int(time.time())
    claims = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{TENANT_ID}/",
        "iat": now,
        "nbf": now - _CLOCK_SKEW,
        "exp": now + _LIFETIME,
        "appid": client_id,
        "oid": object_id,
        "sub": object_id,
        "tid": TENANT_ID,
        "uti": uuid.uuid4().hex,
        "ver": "1.0",
    }
    return f"{_encode({'typ': 'JWT', 'alg': 'none'})}.{_encode(claims)}.", now + _LIFETIME


def _encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def build_identity_app(store: ArmStore) -> Starlette:
    """Return the application for `GET /msi/token`; user-assigned identities are those in `store`."""

    def token(request: Request) -> Response:
        query = request.query_params
        if not request.headers.get("x-identity-header"):
            return _refusal(401, "The header X-IDENTITY-HEADER is missing.")
        if "resource" not in query:
            return _refusal(400, "The parameter resource is missing.")
        client_id = query.get("client_id", DEPLOYER_ID)
        object_id = _object_id(store, client_id)
        if object_id is None:
            return _refusal(400, f"No user-assigned managed identity has the client id {client_id}.")
        # azure-identity may send a scope; the resource is the part before `/.default`
        resource = query["resource"].removesuffix("/.default")
        value, expires_on = create_token(resource, client_id, object_id)
        return JSONResponse(
            {
                "access_token": value,
                "client_id": client_id,
                "expires_on": str(expires_on),
                "resource": resource,
                "token_type": "Bearer",
            }
        )

    return Starlette(routes=[Route("/msi/token", token)])


def _object_id(store: ArmStore, client_id: str) -> str | None:
    """Return the object id of the identity with `client_id`, or None if there is no such identity."""
    if client_id == DEPLOYER_ID:
        return DEPLOYER_ID
    for document in store.descendants(""):
        properties = document.get("properties", {})
        if (
            document.get("type", "").lower() == "microsoft.managedidentity/userassignedidentities"
            and properties.get("clientId") == client_id
        ):
            return str(properties["principalId"])
    return None


def _refusal(status: int, message: str) -> JSONResponse:
    return JSONResponse({"statusCode": status, "message": message}, status)
