"""How a schedule carries an import: the names that the program writes and the importer reads."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.ai.ml.entities import Schedule

#: The environment variable that carries an `ImportSpec` as JSON into the job; commands read it from the
#: schedule too. Azure ML limits the length of a schedule's tags, and never changes its properties.
SPEC_VARIABLE = "IMPORT_SPEC"

#: The environment variable with the name of the image that the job runs in.
IMAGE_VARIABLE = "IMPORTER_IMAGE"

#: The environment variables with the ARM ids of the registered environment and code that the job runs, if it
#: has no image.
ENVIRONMENT_VARIABLE = "IMPORTER_ENVIRONMENT"
CODE_VARIABLE = "IMPORTER_CODE"

#: The only step of the job's pipeline.
JOB_STEP = "import"

#: The tag of a schedule and of its jobs that holds the import's name.
IMPORT_TAG = "import"

#: The tag of a schedule that holds its time zone as the settings have it: Azure ML keeps the Windows name.
TIME_ZONE_TAG = "time_zone"


def step_variables(schedule: "Schedule") -> dict[str, str]:
    """Return the environment variables that a schedule gives to the step that runs the importer.

    They are empty if a person has replaced the job or removed the step.
    """
    steps: dict[str, Any] = getattr(schedule.create_job, "jobs", None) or {}
    variables = getattr(steps.get(JOB_STEP), "environment_variables", None) or {}
    return {name: str(value) for name, value in variables.items()}
