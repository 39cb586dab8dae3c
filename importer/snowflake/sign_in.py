"""The sign-in of the importer to Snowflake."""

from typing import Any, assert_never

import snowflake.connector
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from snowflake.connector import SnowflakeConnection
from snowflake.connector.auth import AuthByWorkloadIdentity
from snowflake.connector.wif_util import DEFAULT_ENTRA_SNOWFLAKE_RESOURCE, AttestationProvider

from importer.errors import ImporterError
from importer.lake.azure import calling, client_id_tried, credential, read_secret
from importer.spec.snowflake_target import SignIn, SignInFields, SnowflakeTarget, wrong_fields

_WORKLOAD_IDENTITY = {
    "authenticator": "WORKLOAD_IDENTITY",
    "workload_identity_provider": AttestationProvider.AZURE,
}


def stored_secret(target: SnowflakeTarget) -> str | None:
    """Return the target's Key Vault secret, None if its sign-in stores none."""
    return read_secret(target.secret_uri) if target.secret_uri else None


def sign_in_arguments(target: SnowflakeTarget, secret: str | None) -> dict[str, Any]:
    """Return the connector's arguments for the target's sign-in method; `secret` is its Key Vault secret.

    Raises an ImporterError where a field is missing, or where Entra ID gives no token.
    """
    _check_fields(target, secret)
    user = {"user": target.user} if target.user else {}
    given = secret or ""  # the check has passed: a method that needs a secret has one
    match target.sign_in:
        case SignIn.WORKLOAD_IDENTITY:
            token = _entra_token(f"{DEFAULT_ENTRA_SNOWFLAKE_RESOURCE}/.default")
            return {**_WORKLOAD_IDENTITY, "token": token}
        case SignIn.OAUTH:
            return {**user, **_oauth_arguments(target, given)}
        case SignIn.PASSWORD:
            return {**user, "password": given}
        case SignIn.PROGRAMMATIC_TOKEN:
            # a secret that was set from a file ends in a line break
            return {**user, "authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": given.strip()}
        case SignIn.KEY_PAIR:
            return {**user, "private_key": _private_key_der(given)}
        case _:
            assert_never(target.sign_in)


def client_id_of(target: SnowflakeTarget) -> str | None:
    """Return the client id of the sign-in, or that none is set; None if the method has no client id."""
    match target.sign_in:
        case SignIn.WORKLOAD_IDENTITY:
            return client_id_tried()
        case SignIn.OAUTH:
            return f"client id {target.oauth_client_id}" if target.oauth_client_id else client_id_tried()
        case SignIn.PASSWORD | SignIn.PROGRAMMATIC_TOKEN | SignIn.KEY_PAIR:
            return None
        case _:
            assert_never(target.sign_in)


def _check_fields(target: SnowflakeTarget, secret: str | None) -> None:
    """Raise an ImporterError where the connection lacks fields that its sign-in method needs."""
    given = SignInFields(
        user=target.user,
        oauth_scope=target.oauth_scope,
        oauth_client_id=target.oauth_client_id,
        secret=secret,
        oauth_token_url=target.oauth_token_url,
    )
    missing = [wrong for wrong in wrong_fields(target.sign_in, given) if wrong.is_missing]
    if missing:
        names = ", ".join("secret_uri" if wrong.field == "secret" else wrong.field for wrong in missing)
        client = " with oauth_client_id" if any(wrong.by_client for wrong in missing) else ""
        raise ImporterError(
            f"Snowflake connection: missing {names} (required by sign_in {target.sign_in}{client})"
        )


def open_connection(**arguments: Any) -> SnowflakeConnection:
    """Return an open connection; with the provider AZURE, `token` is a token of Entra ID."""
    if "token" in arguments and arguments.get("workload_identity_provider") is AttestationProvider.AZURE:
        return _EntraConnection(**arguments)
    return snowflake.connector.connect(**arguments)


class _EntraIdentity(AuthByWorkloadIdentity):
    """The sign-in of a user with WORKLOAD_IDENTITY of TYPE = AZURE, by an existing token."""

    def __init__(self, token: str) -> None:
        # the only provider that accepts a token
        super().__init__(provider=AttestationProvider.OIDC, token=token)

    def update_body(self, body: dict[Any, Any]) -> None:
        """Declare the token as one of Azure."""
        super().update_body(body)
        body["data"]["PROVIDER"] = AttestationProvider.AZURE.value


class _EntraConnection(SnowflakeConnection):
    """A connection that signs in with a token of Entra ID.

    With the provider AZURE, the connector (4.8) gets a token itself, but supports neither the token endpoint
    of Azure ML's compute nor the variable AZURE_CLIENT_ID. azure-identity supports both.
    """

    def authenticate_with_retry(self, auth_instance: AuthByWorkloadIdentity) -> None:
        """Sign in with the token instead of one that the connector gets."""
        self.auth_class = _EntraIdentity(str(auth_instance.token))
        super().authenticate_with_retry(self.auth_class)


def _oauth_arguments(target: SnowflakeTarget, secret: str) -> dict[str, Any]:
    """Return the arguments for a token of the importer's own identity, or of the client that has `secret`."""
    if target.oauth_client_id is None:
        return {"authenticator": "OAUTH", "token": _entra_token(target.oauth_scope or "")}
    return {
        "authenticator": "OAUTH_CLIENT_CREDENTIALS",
        "oauth_client_id": target.oauth_client_id,
        "oauth_client_secret": secret.strip(),
        "oauth_token_request_url": target.oauth_token_url,
        "oauth_scope": target.oauth_scope,
    }


def _entra_token(scope: str) -> str:
    """Return a token of Entra ID for the importer's identity in Azure."""
    with calling(f"token for Snowflake ({scope})"):
        return credential().get_token(scope).token


def _private_key_der(pem: str) -> bytes:
    """Return a private key in PEM, as Key Vault stores it, converted to the connector's DER."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        raise ImporterError(
            "Snowflake connection: the secret is not an unencrypted private key in PEM"
        ) from None
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
