"""`curate` in a stack's settings: refused values, the role on clean data, and the job's specification."""

from typing import Any

import pytest
import yaml

from stacks.settings.load import load
from stacks.settings.stack import PROJECT
from tests.local_cloud import REPOSITORY
from tests.unit.stacks.declared_stacks import (
    EXISTING_WORKSPACE,
    SCHEDULE,
    declare_imports_alone,
    declare_platform,
    grants,
)
from tests.unit.stacks.stack_config import IMPORT, config, imports, refusal

RULES: dict[str, Any] = {"asset": "clean", "columns": {"A": {"trim": True}}}


def test_who_curates_may_write_clean_data() -> None:
    declared = declare_platform(imports=imports(curate=RULES))
    assert set(grants(declared)) - set(grants(declare_platform())) == {
        ("importer", "STORAGE_BLOB_DATA_CONTRIBUTOR", "lake-cleandata")
    }
    spec = declared.one(SCHEDULE)["spec"]
    assert spec["clean_datastore"] == "cleandata"
    assert spec["curate"]["columns"]["A"]["trim"] is True


def test_in_an_existing_workspace_clean_data_goes_to_its_datastore() -> None:
    declared = declare_imports_alone(
        {**EXISTING_WORKSPACE, "cleanDatastore": "tidy"}, imports=imports(curate=RULES)
    )
    assert declared.one(SCHEDULE)["spec"]["clean_datastore"] == "tidy"
    said = refusal(existing=EXISTING_WORKSPACE, imports=imports(curate=RULES))
    assert said == f"{PROJECT}:existing.cleanDatastore: required if an import has curate"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"asset": IMPORT["name"]}, "imports[0].curate.asset: is the name of another asset"),
        (
            {"derive": {"X": {"expression": "getenv('HOME')"}}},
            "imports[0].curate.derive.X.expression: the function GETENV is not allowed",
        ),
        ({"columns": {"A": {"cast": "TEXT"}}}, "imports[0].curate.columns.A.cast: unknown type TEXT: use"),
        ({"columns": {"A": {"trimm": True}}}, "imports[0].curate.columns.A.trimm: "),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(rules: dict[str, Any], message: str) -> None:
    assert message in refusal(imports=imports(curate={**RULES, **rules}))


def test_two_imports_cannot_make_one_clean_asset() -> None:
    both = [{**IMPORT, "curate": RULES}, {**IMPORT, "name": "other", "curate": RULES}]
    assert "imports[1].curate.asset: is the name of another asset" in refusal(imports=both)


def test_the_houses_have_the_same_rules_in_dev_and_on_a_laptop() -> None:
    stacks = [yaml.safe_load((REPOSITORY / f"Pulumi.{name}.yaml").read_text()) for name in ("dev", "local")]
    dev, local = (stack["config"][f"{PROJECT}:imports"][0]["curate"] for stack in stacks)
    assert dev == local
    assert load(config(imports=imports(curate=dev))).imports[0].curate is not None
