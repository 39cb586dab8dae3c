"""The script for Snowflake's administrator: golden files, names, placeholders and options."""

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from importer.commands.grants import administration
from importer.commands.grants_script import Administration, grants_script
from importer.commands.query_objects import TableName, query_objects
from importer.errors import ImporterError
from importer.spec.import_spec import ImportSpec
from importer.spec.snowflake_target import SignIn, SnowflakeTarget

GOLDEN = Path(__file__).parent / "grants"
TENANT_ID, OBJECT_ID = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
GIVEN = Administration(
    tenant_id=TENANT_ID, object_id=OBJECT_ID, public_key="MIIB", addresses=("203.0.113.7", "198.51.100.0/24")
)
TARGET = SnowflakeTarget(
    account="globo-dev",
    host="globo-dev.snowflakecomputing.com",
    warehouse="import_wh",
    role="importer",
    user="importer",
    sign_in=SignIn.WORKLOAD_IDENTITY,
    oauth_scope="api://33333333-3333-3333-3333-333333333333/.default",
)
LAKE = "azure://globodevlake.blob.core.windows.net/rawdata/"


def spec(query: str = "SELECT * FROM GLOBOREALTY.REAL_ESTATE.RAW") -> ImportSpec:
    return ImportSpec(name="raw_house_data", connection="snowflake", query=query)


def script(
    sign_in: SignIn = SignIn.WORKLOAD_IDENTITY, query: str | None = None, given: Administration = GIVEN
) -> str:
    import_spec = spec(query) if query else spec()
    return grants_script(import_spec, TARGET.model_copy(update={"sign_in": sign_in}), given, None)


def statements(text: str) -> list[str]:
    code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [" ".join(statement.split()) for statement in code.split(";")]


@pytest.mark.parametrize("sign_in", SignIn)
def test_each_sign_in_method_gives_its_golden_script(sign_in: SignIn) -> None:
    assert script(sign_in) == (GOLDEN / f"{sign_in}.sql").read_text()


def test_unload_with_a_storage_integration_gives_its_golden_script() -> None:
    unload = spec().model_copy(update={"mode": "unload", "storage_integration": "lake"})
    made = grants_script(unload, TARGET, Administration(), LAKE)
    assert made == (GOLDEN / "unload.sql").read_text()


def test_script_with_all_options_has_no_placeholder() -> None:
    for sign_in in SignIn:
        assert not re.search("<[a-z ]+>", "".join(statements(script(sign_in)))), sign_in


def test_option_that_is_not_given_is_a_placeholder_that_the_head_explains() -> None:
    target = TARGET.model_copy(update={"user": None})
    made = grants_script(spec("SELECT * FROM RAW"), target, Administration(), LAKE)
    open_ = set(re.findall("<[a-z ]+>", "".join(statements(made))))
    assert open_ == {
        "<user>",
        "<database>",
        "<schema>",
        "<tenant id>",
        "<object id>",
        "<address range>",
    }
    assert {line[5:].split(":")[0] for line in made.splitlines() if line.startswith("--   <")} == open_


def test_oauth_of_another_provider_has_placeholders_for_issuer_and_subject() -> None:
    changes = {
        "sign_in": SignIn.OAUTH,
        "oauth_client_id": "importer",
        "oauth_token_url": "https://id.example/token",
    }
    made = grants_script(spec(), TARGET.model_copy(update=changes), Administration(), None)
    assert "EXTERNAL_OAUTH_TYPE = CUSTOM" in made
    assert "LOGIN_NAME = '<subject>'" in made
    assert "microsoft" not in "".join(statements(made))


def test_grants_are_on_the_tables_that_the_query_reads_by_exact_names() -> None:
    query = """
        WITH recent AS (SELECT * FROM sales.public.orders)
        SELECT *, (SELECT MAX(day) FROM Sales..Days) FROM Recent
        JOIN "my Db"."a.b"."it's ""x"" new" ON TRUE
        JOIN sales.information_schema.tables ON TRUE,
        LATERAL FLATTEN(input => recent.v), TABLE(GENERATOR(ROWCOUNT => 3))
    """
    granted = [line for line in statements(script(query=query)) if line.startswith("GRANT")]
    assert granted == [
        'GRANT USAGE ON WAREHOUSE "IMPORT_WH" TO ROLE "IMPORTER"',
        'GRANT USAGE ON DATABASE "SALES" TO ROLE "IMPORTER"',
        'GRANT USAGE ON DATABASE "my Db" TO ROLE "IMPORTER"',
        'GRANT USAGE ON SCHEMA "SALES"."PUBLIC" TO ROLE "IMPORTER"',
        'GRANT USAGE ON SCHEMA "my Db"."a.b" TO ROLE "IMPORTER"',
        'GRANT SELECT ON TABLE "SALES"."PUBLIC"."DAYS" TO ROLE "IMPORTER"',
        'GRANT SELECT ON TABLE "SALES"."PUBLIC"."ORDERS" TO ROLE "IMPORTER"',
        'GRANT SELECT ON TABLE "my Db"."a.b"."it\'s ""x"" new" TO ROLE "IMPORTER"',
        'GRANT ROLE "IMPORTER" TO USER "IMPORTER"',
    ]


def test_functions_stages_and_views_of_snowflake_are_listed_as_comments() -> None:
    query = (
        'SELECT d.s."f\nDROP TABLE x; --"(1) FROM @d.s.files, TABLE(d.s.rows_of(1)), '
        "SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY"
    )
    made = script(query=query)
    by_hand = made.split("-- Grant these by hand:\n")[1].split("\n\n")[0].splitlines()
    assert [line.split(":")[0] for line in by_hand] == [
        "-- SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY",
        "-- D.S.f DROP TABLE x; --",
        "-- D.S.rows_of",
        "-- @d.s.files",
    ]
    assert "SELECT ON" not in made


def test_hostile_values_stay_inside_their_quotes() -> None:
    changes = {"sign_in": SignIn.OAUTH, "oauth_scope": "api://o'neil\\/.default", "role": '"my ""role"'}
    made = grants_script(spec(), TARGET.model_copy(update=changes), GIVEN, None)
    assert "EXTERNAL_OAUTH_AUDIENCE_LIST = ('api://o\\'neil\\\\')" in made
    assert 'CREATE ROLE IF NOT EXISTS "my ""role";' in made


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("SELECT 1", []),
        ("SELECT * FROM IDENTIFIER('a.\"b\".c')", [("A", "b", "C")]),
        ("SELECT * FROM a.b.t x JOIN c.d.t y ON TRUE", [("A", "B", "T"), ("C", "D", "T")]),
        ("WITH t AS (SELECT 1 AS n) SELECT * FROM (SELECT * FROM T) JOIN a.b.t ON TRUE", [("A", "B", "T")]),
        ('WITH "t" AS (SELECT 1 AS n) SELECT * FROM t', [(None, None, "T")]),
        ("SELECT * FROM a.b.c UNION ALL (SELECT * FROM b.d)", [(None, "B", "D"), ("A", "B", "C")]),
        ("SELECT * FROM a.b.c AT(OFFSET => -60) SAMPLE (10)", [("A", "B", "C")]),
        ("WITH r AS (SELECT * FROM a.b.c UNION ALL SELECT * FROM r) SELECT * FROM r", [("A", "B", "C")]),
        ("WITH t AS (SELECT * FROM t) SELECT * FROM t", [(None, None, "T")]),
    ],
)
def test_tables_of_a_query_are_listed_with_their_full_names(
    query: str, tables: list[tuple[str | None, str | None, str]]
) -> None:
    assert query_objects(query).tables == [TableName(*names) for names in tables]


def test_wrong_option_is_an_error_that_does_not_quote_the_private_key(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public, missing = tmp_path / "private.pem", tmp_path / "public.pem", tmp_path / "none.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    public.write_bytes(pem)
    made = administration(None, TENANT_ID, OBJECT_ID, public, ["203.0.113.0/28"])
    assert made.public_key == "".join(pem.decode().splitlines()[1:-1])
    refused = {
        "--tenant-id globo: expected an id": (None, "globo", None, None, []),
        "--object-id x: expected an id": (None, None, "x", None, []),
        "--address 203.0.113.7/24: expected IPv4": (None, None, None, None, ["203.0.113.7/24"]),
        "--public-key .*: No such file": (None, None, None, missing, []),
        "--public-key .*: not a public key": (None, None, None, private, []),
    }
    for line, options in refused.items():
        with pytest.raises(ImporterError, match=line) as error:
            administration(*options)
        assert private.read_text().splitlines()[1] not in str(error.value)
