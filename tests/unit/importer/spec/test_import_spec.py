import pytest
from azure.ai.ml.entities import JobSchedule, PipelineJob, RecurrenceTrigger
from pydantic import ValidationError

from importer.spec.import_spec import ImportSpec
from importer.spec.scheduled_job import step_variables


def test_spec_read_from_its_json_is_the_same_spec() -> None:
    spec = ImportSpec(name="houses", connection="snowflake", query="SELECT 1;", keep_versions=3)
    assert ImportSpec.model_validate_json(spec.model_dump_json()) == spec
    assert spec.query == "SELECT 1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Raw-Houses"),
        ("name", ""),
        ("query", "DELETE FROM t"),
        ("keep_versions", 0),
        ("mode", "copy"),
        ("keep_version", 3),
    ],
)
def test_spec_with_a_wrong_value_is_refused_by_its_field(field: str, value: object) -> None:
    good = {"name": "houses", "connection": "snowflake", "query": "SELECT 1"}
    with pytest.raises(ValidationError) as refused:
        ImportSpec.model_validate({**good, field: value})
    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


def test_schedule_of_a_job_given_by_its_id_has_no_variables() -> None:
    trigger = RecurrenceTrigger(frequency="day", interval=1)
    for job in ("azureml:/jobs/1", PipelineJob()):
        assert step_variables(JobSchedule(name="import_houses", trigger=trigger, create_job=job)) == {}
