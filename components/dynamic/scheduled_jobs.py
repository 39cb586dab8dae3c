"""What the schedules of a workspace use: registered code and connections, which stacks can share."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from components.dynamic.ownership import MARK
from importer.spec.scheduled_job import SPEC_VARIABLE, step_variables

if TYPE_CHECKING:
    from azure.ai.ml import MLClient


class ScheduledJob(NamedTuple):
    """What the schedule of an import, of any stack, gives its job."""

    schedule: str
    """The schedule's name."""
    mark: str | None
    """The schedule's mark."""
    variables: Mapping[str, str]
    """The environment variables of the job."""

    @property
    def connection(self) -> str | None:
        """The workspace connection that the import uses."""
        spec = spec_in(self.variables)
        return str(spec["connection"]) if "connection" in spec else None


def scheduled_jobs(client: "MLClient") -> Iterator[ScheduledJob]:
    """Yield the job of every schedule in the workspace that runs the importer, also of disabled ones."""
    from azure.ai.ml.constants import ListViewType
    from azure.ai.ml.entities import JobSchedule

    for schedule in client.schedules.list(list_view_type=ListViewType.ALL):
        variables = step_variables(schedule) if isinstance(schedule, JobSchedule) else {}
        if SPEC_VARIABLE in variables:
            yield ScheduledJob(str(schedule.name), (schedule.tags or {}).get(MARK), variables)


def spec_in(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the specification in a job's variables; an empty one if a person has made it unreadable."""
    try:
        spec = json.loads(variables.get(SPEC_VARIABLE, "{}"))
    except json.JSONDecodeError:
        return {}
    return spec if isinstance(spec, dict) else {}
