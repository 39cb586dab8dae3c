"""What the connector is given for each way to sign in, and that no secret shows."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from snowflake.connector.wif_util import AttestationProvider

from importer.errors import ImporterError
from importer.snowflake import sign_in
from importer.snowflake.sign_in import sign_in_arguments
from importer.spec.snowflake_target import (
    SignIn,
    SnowflakeTarget,
)

SECRET = "canary-7391"
SCOPE = "api://33333333-3333-3333-3333-333333333333/.default"


def target(way: SignIn, **changes: Any) -> SnowflakeTarget:
    return SnowflakeTarget(
        **{
            "account": "acme",
            "host": "acme.snowflakecomputing.com",
            "warehouse": "WH",
            "role": "IMPORTER",
            "user": "IMPORTER",
            "sign_in": way,
            **changes,
        }
    )


@pytest.fixture
def scopes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Entra ID was asked for; it gives the canary for it."""
    asked: list[str] = []

    def get_token(scope: str) -> SimpleNamespace:
        asked.append(scope)
        return SimpleNamespace(token=SECRET)

    monkeypatch.setattr(sign_in, "credential", lambda: SimpleNamespace(get_token=get_token))
    return asked


def test_workload_identity_gets_a_token_for_snowflakes_application(scopes: list[str]) -> None:
    given = sign_in_arguments(target(SignIn.WORKLOAD_IDENTITY, user=None), None)
    assert given == {
        "authenticator": "WORKLOAD_IDENTITY",
        "workload_identity_provider": AttestationProvider.AZURE,
        "token": SECRET,
    }
    assert scopes == ["api://fd3f753b-eed3-462c-b6a7-a4b5bb650aad/.default"]


def test_oauth_without_a_client_uses_the_importers_own_identity(scopes: list[str]) -> None:
    given = sign_in_arguments(target(SignIn.OAUTH, user=None, oauth_scope=SCOPE), None)
    assert given == {"authenticator": "OAUTH", "token": SECRET}
    assert scopes == [SCOPE]


def test_oauth_client_gets_the_secret_of_the_vault_without_its_line_break(scopes: list[str]) -> None:
    url = "https://id.example/token"
    client = {"oauth_client_id": "importer", "oauth_token_url": url}
    given = sign_in_arguments(target(SignIn.OAUTH, oauth_scope=SCOPE, **client), f"{SECRET}\n")
    assert given == {
        "user": "IMPORTER",
        "authenticator": "OAUTH_CLIENT_CREDENTIALS",
        "oauth_client_id": "importer",
        "oauth_client_secret": SECRET,
        "oauth_token_request_url": url,
        "oauth_scope": SCOPE,
    }
    assert not scopes


def test_programmatic_token_is_the_secret_of_the_vault_without_its_line_break() -> None:
    given = sign_in_arguments(target(SignIn.PROGRAMMATIC_TOKEN), f"{SECRET}\n")
    expected = {"user": "IMPORTER", "authenticator": "PROGRAMMATIC_ACCESS_TOKEN", "token": SECRET}
    assert given == expected


def test_key_pair_uses_the_private_key_of_the_vault() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    given = load_der_private_key(sign_in_arguments(target(SignIn.KEY_PAIR), pem)["private_key"], None)
    assert isinstance(given, rsa.RSAPrivateKey)
    assert given.private_numbers() == key.private_numbers()


def test_secret_other_than_a_private_key_is_refused_without_showing_it() -> None:
    with pytest.raises(ImporterError, match="not an unencrypted private key in PEM") as refused:
        sign_in_arguments(target(SignIn.KEY_PAIR), SECRET)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("way", "changes", "secret", "line"),
    [
        (SignIn.OAUTH, {}, None, "missing oauth_scope (required by sign_in oauth)"),
        (
            SignIn.OAUTH,
            {"oauth_scope": SCOPE, "oauth_client_id": "c"},
            SECRET,
            "missing oauth_token_url (required by sign_in oauth with oauth_client_id)",
        ),
        (SignIn.KEY_PAIR, {}, None, "missing secret_uri (required by sign_in key_pair)"),
        (
            SignIn.PROGRAMMATIC_TOKEN,
            {"user": None},
            SECRET,
            "missing user (required by sign_in programmatic_token)",
        ),
        (SignIn.PASSWORD, {"user": None}, None, "missing user, secret_uri (required by sign_in password)"),
    ],
)
def test_missing_field_of_a_connection_is_named_with_the_method_that_needs_it(
    way: SignIn, changes: dict[str, Any], secret: str | None, line: str
) -> None:
    with pytest.raises(ImporterError) as refused:
        sign_in_arguments(target(way, **changes), secret)
    assert str(refused.value) == f"Snowflake connection: {line}"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ClientAuthenticationError(
                "tried:\n\tManagedIdentity: AADSTS500011: The principal is not there.\n x"
            ),
            "token for Snowflake (api://3...): cannot sign in to Azure (client id robot): "
            "AADSTS500011: The principal is not there.",
        ),
        (
            CredentialUnavailableError("No managed identity.\nVisit https://aka.ms"),
            "token for Snowflake (api://3...): cannot sign in to Azure (client id robot): "
            "No managed identity.",
        ),
    ],
)
def test_token_refused_by_entra_id_is_one_line_with_client_id_and_reason(
    monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    def get_token(_: str) -> None:
        raise error

    monkeypatch.setattr(sign_in, "credential", lambda: SimpleNamespace(get_token=get_token))
    monkeypatch.setenv("AZURE_CLIENT_ID", "robot")
    with pytest.raises(ImporterError) as refused:
        sign_in_arguments(target(SignIn.OAUTH, oauth_scope=SCOPE), None)
    assert str(refused.value) == line.replace("api://3...", SCOPE)


@pytest.mark.usefixtures("scopes")
def test_token_of_entra_id_is_not_sent_to_other_hosts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    given = sign_in_arguments(target(SignIn.WORKLOAD_IDENTITY), None)
    with pytest.raises(Exception, match="recognized Snowflake host") as refused:
        sign_in.open_connection(
            **given, account="acme", host="acme.example.com", platform_detection_timeout_seconds=0.0
        )
    assert SECRET not in str(refused.value) + caplog.text
