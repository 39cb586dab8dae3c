"""What each sign-in method needs, and a target in a connection's metadata."""

import re
from pathlib import Path

import pytest

from importer.spec.snowflake_target import (
    Need,
    SignIn,
    SignInFields,
    SnowflakeTarget,
    WrongField,
    sign_in_needs,
    wrong_fields,
)

SCOPE = "api://33333333-3333-3333-3333-333333333333/.default"
DOCS = Path(__file__).parents[4] / "docs"
TARGET = SnowflakeTarget(
    account="acme-prod",
    host="acme-prod.snowflakecomputing.com",
    warehouse="IMPORT_WH",
    role="IMPORTER",
    sign_in=SignIn.WORKLOAD_IDENTITY,
)


@pytest.mark.parametrize("method", SignIn)
def test_wrong_fields_of_each_method_are_those_that_differ_from_its_needs(method: SignIn) -> None:
    needs = sign_in_needs(method)
    complete = SignInFields(*("x" if need is Need.REQUIRED else None for need in needs))
    assert list(wrong_fields(method, complete)) == []
    for field, need in needs._asdict().items():
        inverse = {field: None if need is Need.REQUIRED else "x"}
        wrong = [w.field for w in wrong_fields(method, complete._replace(**inverse))]
        client_needs = [f for f, n in needs._asdict().items() if n is Need.WITH_CLIENT]
        optional = client_needs if field == "oauth_client_id" else []
        assert wrong == (optional if need is Need.OPTIONAL else [field]), field


def test_wrong_fields_say_what_follows_from_the_oauth_client() -> None:
    given = SignInFields[str | None](
        user=None, oauth_scope=SCOPE, oauth_client_id=None, secret=None, oauth_token_url="https://id.example"
    )
    assert list(wrong_fields(SignIn.OAUTH, given)) == [
        WrongField("oauth_token_url", is_missing=False, by_client=True)
    ]


@pytest.mark.parametrize("method", SignIn)
def test_documented_secret_of_each_method_follows_from_its_needs(method: SignIn) -> None:
    [row] = re.findall(rf"^\| `{method}`[^|]*\| ([^|]*) \|", (DOCS / "imports.md").read_text(), re.MULTILINE)
    need = sign_in_needs(method).secret
    assert ("vault" in row) == (need is not Need.ABSENT)
    assert row.startswith("none") == (need is not Need.REQUIRED)


def test_target_read_from_connection_metadata_is_the_same_target() -> None:
    metadata = TARGET.to_metadata()
    assert set(map(type, metadata.values())) == {str}
    assert "user" not in metadata
    assert SnowflakeTarget.from_metadata({**metadata, "ApiType": "added by Azure"}) == TARGET


def test_metadata_of_a_target_has_no_secret_and_gives_the_same_target() -> None:
    client = {"oauth_scope": SCOPE, "oauth_client_id": "c", "oauth_token_url": "https://id.example"}
    given = TARGET.model_copy(update={"sign_in": SignIn.OAUTH, **client})
    metadata = given.to_metadata()
    assert SnowflakeTarget.from_metadata(metadata) == given
    assert not {"password", "token", "private_key", "secret"} & metadata.keys()
