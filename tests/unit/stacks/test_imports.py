"""What the settings of an import become in its schedule."""

from typing import Any

import pytest

from importer.spec.import_spec import ImportOptions, ImportSpec
from stacks.settings.explain import SettingsError
from stacks.settings.load import load
from tests.unit.stacks.declared_stacks import EXISTING_WORKSPACE, SCHEDULE, declare_imports_alone
from tests.unit.stacks.stack_config import config, imports, snowflake

EXISTING = {**EXISTING_WORKSPACE, "cleanDatastore": "clean"}
INTEGRATION = snowflake(unload={"storageIntegration": "LAKE"})


def spec_of(**changes: Any) -> ImportSpec:
    """Return the specification that the job of the stack's one import gets."""
    return ImportSpec.model_validate(schedule_of(**changes)["spec"])


def schedule_of(**changes: Any) -> dict[str, Any]:
    """Return the inputs of the schedule of the stack's one import."""
    return declare_imports_alone(EXISTING, **changes).one(SCHEDULE)


def test_every_option_of_an_import_reaches_its_job() -> None:
    declared = imports(
        mode="unload",
        decimal=["ID"],
        memoryMb=500,
        keepVersions=3,
        keepDays=9,
        incremental={"column": "ID", "fullEvery": 7, "registerUnchanged": True},
        contract={"rows": {"maxDecrease": 5}, "otherColumns": False},
        curate={"asset": "clean_house_data", "maxQuarantined": 2},
    )
    (settings,) = load(config(existing=EXISTING, imports=declared)).imports
    spec = spec_of(imports=declared)
    for option, field in ImportOptions.model_fields.items():
        value = getattr(settings, option)
        if option == "nanoseconds":  # it contradicts the mode above
            assert spec_of(imports=imports(nanoseconds=True)).nanoseconds
            continue
        assert value != field.default, f"declare {option} above, with another value than its default"
        assert getattr(spec, option) == value, option


def test_nanoseconds_of_unloaded_times_are_refused() -> None:
    with pytest.raises(SettingsError, match="nanoseconds: needs the mode stream"):
        load(config(existing=EXISTING, imports=imports(mode="unload", nanoseconds=True)))


def test_specification_names_the_connection_and_the_datastores() -> None:
    spec = spec_of()
    assert (spec.connection, spec.datastore, spec.clean_datastore) == ("snowflake_globodev", "raw", "clean")


@pytest.mark.parametrize("written", ["Europe/Vienna", "W. Europe Standard Time"])
def test_schedule_has_the_windows_time_zone_and_the_written_one_as_a_tag(written: str) -> None:
    schedule = schedule_of(imports=imports(timeZone=written))
    assert schedule["time_zone"] == "W. Europe Standard Time"
    assert schedule["tags"]["time_zone"] == written


def test_new_times_of_a_schedule_count_from_the_deployment() -> None:
    assert schedule_of()["scheduled_since"] == "2026-11-24T05:00:00Z"


@pytest.mark.parametrize(("mode", "integration"), [("unload", "LAKE"), ("stream", None)])
def test_only_unload_imports_get_the_storage_integration(mode: str, integration: str | None) -> None:
    spec = spec_of(imports=imports(mode=mode), snowflake=INTEGRATION)
    assert spec.storage_integration == integration
