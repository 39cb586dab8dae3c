"""How the importer and the deployer sign in, as the connector is asked to."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from snowflake.connector.errors import DatabaseError, OperationalError
from tenacity import wait_none

from importer.errors import ImporterError
from importer.snowflake.deployer import deployer_sign_in
from importer.snowflake.session import LOGIN_RETRIES, connect, deployer_connection
from importer.spec.snowflake_target import SignIn, SnowflakeTarget

TARGET = SnowflakeTarget(
    account="acme",
    host="acme.snowflakecomputing.com",
    warehouse="WH",
    role="IMPORTER",
    user="IMPORTER",
    sign_in=SignIn.PASSWORD,
)

Asked = Callable[[], dict[str, Any]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the connector was asked for last."""
    arguments: dict[str, Any] = {}

    def connect(**given: Any) -> SimpleNamespace:
        arguments.update(given)
        return SimpleNamespace(warehouse=given["warehouse"])

    monkeypatch.setattr("snowflake.connector.connect", connect)
    for name in ("SNOWFLAKE_USER", "SNOWFLAKE_AUTHENTICATOR", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    return lambda: arguments


def test_connection_has_the_role_of_the_importer(asked: Asked) -> None:
    connect(TARGET, "secret", "ai-platform import houses:1")
    assert (asked()["role"], asked()["warehouse"]) == ("IMPORTER", "WH")
    assert asked()["session_parameters"]["QUERY_TAG"] == "ai-platform import houses:1"
    assert asked()["session_parameters"]["TIMEZONE"] == "UTC"


@pytest.mark.parametrize("sign_in", ["importer", "deployer"])
def test_session_uses_no_secondary_role_and_sets_every_parameter_that_changes_a_result(
    asked: Asked, sign_in: str
) -> None:
    if sign_in == "importer":
        connect(TARGET, "secret", "tag")
    else:
        deployer_connection(TARGET, {"user": "ME", "password": "mine"})
    assert asked()["secondary_roles"] == "NONE"
    given = asked()["session_parameters"]
    # those of https://docs.snowflake.com/en/sql-reference/parameters that change what a SELECT returns
    expected = {
        "BINARY_INPUT_FORMAT": "HEX",
        "BINARY_OUTPUT_FORMAT": "HEX",
        "DATE_INPUT_FORMAT": "AUTO",
        "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
        "DEFAULT_NULL_ORDERING": "LAST",
        "GEOGRAPHY_OUTPUT_FORMAT": "GeoJSON",
        "GEOMETRY_OUTPUT_FORMAT": "GeoJSON",
        "JSON_INDENT": 0,
        "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
        "ROWS_PER_RESULTSET": 0,
        "STRICT_JSON_OUTPUT": True,
        "TIMESTAMP_INPUT_FORMAT": "AUTO",
        "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
        "TIMEZONE": "UTC",
        "TIME_INPUT_FORMAT": "AUTO",
        "TIME_OUTPUT_FORMAT": "HH24:MI:SS",
        "TWO_DIGIT_CENTURY_START": 1970,
        "UNLOAD_PARQUET_TIME_TIMESTAMP_MILLIS": False,
        "WEEK_OF_YEAR_POLICY": 0,
        "WEEK_START": 0,
    }
    assert {name: given.get(name) for name in expected} == expected


@pytest.mark.usefixtures("asked")
def test_deployer_sign_in_of_an_empty_environment_is_none() -> None:
    assert deployer_sign_in() is None


def test_deployer_sign_in_comes_from_snowflakes_variables(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"USER": "ME", "PASSWORD": "mine", "HOST": "127.0.0.1", "PORT": "8084"}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name}", value)
    deployer_connection(TARGET, deployer_sign_in() or {})
    signed_in = {key: asked()[key] for key in ("user", "password", "host", "port", "role", "account")}
    assert signed_in == {
        "user": "ME",
        "password": "mine",
        "host": "127.0.0.1",
        "port": "8084",
        "role": "IMPORTER",
        "account": "acme",
    }


def test_named_connection_of_the_deployer_keeps_the_importers_role(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOWFLAKE_DEFAULT_CONNECTION_NAME", "acme_dev")
    deployer_connection(TARGET, deployer_sign_in() or {})
    assert asked()["connection_name"] == "acme_dev"
    assert (asked()["role"], asked()["warehouse"]) == ("IMPORTER", "WH")
    assert "host" not in asked()


def test_named_connection_of_the_deployer_has_no_schema_as_the_importers_has_none(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOWFLAKE_DEFAULT_CONNECTION_NAME", "acme_dev")
    deployer_connection(TARGET, deployer_sign_in() or {})
    assert (asked()["database"], asked()["schema"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sign_in": SignIn.WORKLOAD_IDENTITY}, "client id robot"),
        ({"sign_in": SignIn.OAUTH, "oauth_scope": "api://x"}, "client id robot"),
        (
            {
                "sign_in": SignIn.OAUTH,
                "oauth_scope": "api://x",
                "oauth_client_id": "mine",
                "oauth_token_url": "https://x",
            },
            "client id mine",
        ),
    ],
)
def test_refused_identity_is_named_by_its_client_id(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], named: str
) -> None:
    def refuse(**_: Any) -> None:
        raise DatabaseError("No user has this identity.", errno=390144)

    monkeypatch.setattr("importer.snowflake.session.open_connection", refuse)
    monkeypatch.setattr(
        "importer.snowflake.sign_in.credential",
        lambda: SimpleNamespace(get_token=lambda _: SimpleNamespace(token="canary-7391")),
    )
    monkeypatch.setenv("AZURE_CLIENT_ID", "robot")
    with pytest.raises(ImporterError, match=rf"role IMPORTER, warehouse WH, {named}\): 390144") as refused:
        connect(TARGET.model_copy(update=changes), "canary-7391", "tag")
    assert "canary" not in str(refused.value)


def test_refused_workload_identity_of_the_deployer_is_named_by_its_client_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: Any) -> None:
        raise DatabaseError("No user has this identity.", errno=390144)

    monkeypatch.setattr("snowflake.connector.connect", refuse)
    monkeypatch.setenv("MANAGED_IDENTITY_CLIENT_ID", "runner")
    sign_in = {"authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AZURE"}
    with pytest.raises(ImporterError, match="client id runner"):
        deployer_connection(TARGET, sign_in)


def test_refused_sign_in_is_not_retried_and_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = []

    def refuse(**_: Any) -> None:
        tries.append(1)
        raise DatabaseError("Role 'NOBODY' does not exist\n  or is not authorized.", errno=390189)

    monkeypatch.setattr("snowflake.connector.connect", refuse)
    with pytest.raises(ImporterError, match=r"390189.*Role 'NOBODY' does not exist or is not") as refused:
        connect(TARGET, "canary-7391", "tag")
    assert tries == [1]
    assert "canary" not in str(refused.value)


def test_sign_in_is_retried_until_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([OperationalError("Could not connect to Snowflake backend", errno=250001), None])

    def answer(**_: Any) -> SimpleNamespace:
        if (error := next(answers)) is not None:
            raise error
        return SimpleNamespace(warehouse="WH")

    monkeypatch.setattr("snowflake.connector.connect", answer)
    monkeypatch.setattr("importer.snowflake.session.LOGIN_RETRIES", LOGIN_RETRIES.copy(wait=wait_none()))
    connect(TARGET, "secret", "tag")
    assert next(answers, "all used") == "all used"
