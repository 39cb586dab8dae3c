"""Settings: each rule stops the program with one line that names the path, the rule and the value."""

import json
from typing import Any

import pytest
import yaml

from importer.spec.snowflake_target import SignIn
from stacks.settings.explain import SettingsError
from stacks.settings.load import load
from stacks.settings.snowflake import SnowflakeSettings
from stacks.settings.stack import Endpoints, Settings
from tests.local_cloud import REPOSITORY
from tests.unit.stacks.stack_config import IMPORT, config, imports, refusal, snowflake

MISSING = "required setting is missing: add it to Pulumi.acceptance.yaml (docs/settings.md)"


def test_a_minimal_stack_loads_with_defaults() -> None:
    settings = load(config(imports=None))
    assert settings.snowflake.sign_in is SignIn.WORKLOAD_IDENTITY
    assert settings.endpoints is Endpoints.PUBLIC
    assert settings.imports == []


def test_scalars_are_read_by_their_type() -> None:
    settings = load(config(logRetentionDays="365", tags={"owner": "data"}))
    assert settings.log_retention_days == 365
    assert settings.tags == {"owner": "data"}


def test_a_name_of_digits_alone_stays_text() -> None:
    assert refusal(name="123").endswith('it is "123"')


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"name": None}, f"ai-platform:name: {MISSING}"),
        (
            {"snowflake": {"account": "a", "warehouse": "W"}},
            f"ai-platform:snowflake.role: {MISSING}",
        ),
        ({"nmae": "x"}, "ai-platform:nmae: no such setting; did you mean name?"),
        (
            {"imports": imports(timezone="UTC")},
            "ai-platform:imports[0].timezone: no such setting; did you mean timeZone?",
        ),
        ({"cluster": {"minNode": 3}}, "ai-platform:cluster.minNode: no such setting; did you mean minNodes?"),
        (
            {"logRetentionDays": "soon"},
            "ai-platform:logRetentionDays: Input should be a valid integer, "
            'unable to parse string as an integer; it is "soon"',
        ),
        (
            {"logRetentionDays": "29"},
            "ai-platform:logRetentionDays: Input should be greater than or equal to 30; it is 29",
        ),
        (
            {"cluster": {"minNodes": 7}},
            "ai-platform:cluster.minNodes: must be at most maxNodes (5); it is 7",
        ),
        (
            {"snowflake": snowflake(signIn="password", user="U", secretName="s")},
            "ai-platform:snowflake.signIn: Snowflake no longer accepts passwords of services; "
            'use workload_identity; it is "password"',
        ),
        (
            {"snowflake": snowflake(signIn="key_pair", user="U")},
            "ai-platform:snowflake.secretName: required if signIn is key_pair",
        ),
        (
            {"snowflake": snowflake(secretName="s")},
            "ai-platform:snowflake.secretName: must be absent if signIn is workload_identity",
        ),
        (
            {"snowflake": snowflake(signIn="programmatic_token", secretName="s")},
            "ai-platform:snowflake.user: required if signIn is programmatic_token",
        ),
        (
            {"snowflake": snowflake(signIn="oauth")},
            "ai-platform:snowflake.oauth.scope: required if signIn is oauth",
        ),
        (
            {"snowflake": snowflake(signIn="oauth", oauth={"scope": "api://x"}, secretName="s")},
            "ai-platform:snowflake.secretName: must be absent if oauth.clientId is absent",
        ),
        (
            {"snowflake": snowflake(signIn="oauth", oauth={"scope": "api://x", "tokenUrl": "https://x"})},
            "ai-platform:snowflake.oauth.tokenUrl: must be absent if oauth.clientId is absent",
        ),
        (
            {"snowflake": snowflake(signIn="oauth", oauth={"scope": "api://x", "clientId": "c"})},
            "ai-platform:snowflake.secretName: required if oauth.clientId is set",
        ),
        (
            {
                "snowflake": snowflake(
                    signIn="oauth", oauth={"scope": "api://x", "clientId": "c"}, secretName="s"
                )
            },
            "ai-platform:snowflake.oauth.tokenUrl: required if oauth.clientId is set",
        ),
        (
            {"snowflake": snowflake(oauth={"scope": "api://x"})},
            "ai-platform:snowflake.oauth.scope: must be absent if signIn is workload_identity",
        ),
        (
            {"snowflake": snowflake(signIn="oauth", oauth={"scope": "api://x", "tokenUri": "https://x"})},
            "ai-platform:snowflake.oauth.tokenUri: no such setting; did you mean tokenUrl?",
        ),
        (
            {"imports": [IMPORT, IMPORT]},
            'ai-platform:imports[1].name: is the name of an earlier import; it is "raw_house_data"',
        ),
        (
            {"imports": imports(query="DROP TABLE A.B.C")},
            'ai-platform:imports[0].query: expected one SELECT statement, not DROP; it is "DROP TABLE A.B.C"',
        ),
        (
            {"imports": imports(schedule="0 0 30 2 *")},
            'ai-platform:imports[0].schedule: not a cron expression: Bad day-of-month; it is "0 0 30 2 *"',
        ),
        (
            {"imports": imports(timeZone="Mars/Olympus")},
            "ai-platform:imports[0].timeZone: not a time zone; expected a name such as Europe/Berlin "
            'or W. Europe Standard Time; it is "Mars/Olympus"',
        ),
    ],
)
def test_refusal_is_one_line_with_path_rule_and_value(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], line: str
) -> None:
    monkeypatch.setattr("pulumi.get_stack", lambda: "acceptance")
    assert refusal(**changes) == line


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Globo-Dev"},
        {"name": "twelveletter"},
        {"location": "West Europe"},
        {"importerImage": "globo.azurecr.io/importer:latest"},
        {"imports": imports(name="Raw-House")},
        {"imports": imports(keepVersions=0)},
        {"imports": "SELECT 1"},
        {"tags": "owner"},
        {"endpoints": "Local"},
        {"cluster": {"nodeSize": "Banana"}},
        {"cluster": {"administrators": "me"}},
        {"snowflake": snowflake(host="https://x")},
        {"snowflake": snowflake(host="")},
        {"snowflake": snowflake(signIn="oauth", oauth={"scope": "a b"})},
        {"snowflake": snowflake(oauth={"tokenUrl": "http://plain.example"})},
        {"imports": imports(timeZone="")},
        {"imports": imports(query="(" * 500 + "select 1" + ")" * 500)},
    ],
)
def test_invalid_values_are_one_line_with_the_setting(changes: dict[str, Any]) -> None:
    (path,) = changes
    line = refusal(**changes)
    assert line.startswith(f"ai-platform:{path}")
    assert "\n" not in line


def test_every_bad_setting_has_a_line_of_its_own() -> None:
    lines = refusal(name=None, location="West Europe").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["ai-platform:name", "ai-platform:location"]


def test_password_is_accepted_with_allow_password() -> None:
    given = snowflake(signIn="password", user="U", secretName="s", allowPassword=True)
    assert load(config(snowflake=given)).uses_password
    assert not load(config(snowflake=given, endpoints="local")).uses_password


def test_the_target_says_where_an_oauth_token_comes_from() -> None:
    oauth = {"scope": "api://x", "clientId": "c", "tokenUrl": "https://id.example/token"}
    target = load(config(snowflake=snowflake(signIn="oauth", oauth=oauth, secretName="s"))).snowflake_target()
    assert (target.oauth_scope, target.oauth_client_id) == ("api://x", "c")
    assert target.oauth_token_url == "https://id.example/token"


def test_a_secret_value_is_never_shown() -> None:
    with pytest.raises(SettingsError) as refused:
        load(config(name="Canary!"), secret_keys=frozenset({"ai-platform:name"}))
    assert "Canary" not in str(refused.value)
    assert "(secret)" in str(refused.value)


def test_the_value_of_a_setting_that_does_not_exist_is_never_shown() -> None:
    line = refusal(snowflake=snowflake(password="Canary!"))
    assert line.startswith("ai-platform:snowflake.password: no such setting")
    assert "Canary" not in line


def test_a_secret_in_place_of_its_name_is_never_shown() -> None:
    line = refusal(snowflake=snowflake(signIn="key_pair", user="U", secretName="Canary 1!"))
    assert line.startswith("ai-platform:snowflake.secretName: must be the name of a secret")
    assert "Canary" not in line


def test_settings_of_other_packages_are_left_alone() -> None:
    assert load({**config(), "azure-native:subscriptionId": "5ab0"}) == load(config())


def test_public_endpoints_follow_from_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWFLAKE_HOST", "127.0.0.1")
    target = load(config()).snowflake_target()
    assert (target.host, target.port, target.protocol) == ("globo-dev.snowflakecomputing.com", 443, "https")


def test_a_private_link_host_is_taken_as_it_is() -> None:
    host = "globo-dev.privatelink.snowflakecomputing.com"
    assert load(config(snowflake=snowflake(host=host))).snowflake_target().host == host


def test_local_endpoints_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"HOST": "127.0.0.1", "PORT": "18084", "PROTOCOL": "http"}.items():
        monkeypatch.setenv(f"SNOWFLAKE_{name}", value)
    target = load(config(endpoints="local")).snowflake_target()
    assert (target.host, target.port, target.protocol) == ("127.0.0.1", 18084, "http")


@pytest.mark.parametrize("stack", ["local", "dev", "prod"])
def test_the_stacks_of_the_repository_are_valid(stack: str) -> None:
    document = yaml.safe_load((REPOSITORY / f"Pulumi.{stack}.yaml").read_text())
    values = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in document["config"].items()
    }
    assert [item.name for item in load(values).imports] == ["raw_house_data"]


def test_every_setting_has_a_description() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize("method", SignIn)
def test_description_of_sign_in_names_the_method(method: SignIn) -> None:
    assert f"`{method}`" in (SnowflakeSettings.model_fields["sign_in"].description or "")
