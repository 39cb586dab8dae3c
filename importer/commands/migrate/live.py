"""Reads the import schedules and connections of a live workspace with Azure ML's client."""

import io
import re
from collections.abc import Iterable
from contextlib import redirect_stdout

from azure.ai.ml.constants import ListViewType
from azure.ai.ml.entities import WorkspaceConnection
from azure.core.exceptions import ResourceNotFoundError
from pydantic import ValidationError

from importer.commands.migrate.documents import Connection, Found, ImportSchedule, Inventory, Refusal
from importer.commands.migrate.files import first_problem
from importer.lake.azure import calling
from importer.spec.snowflake_target import SnowflakeTarget
from importer.versions.workspace import Workspace

#: The client prints this for a schedule that it cannot read, and skips it.
_UNREADABLE = re.compile(r"^Translate (\S+) to Schedule failed", re.MULTILINE)


class LiveWorkspace(Workspace):
    """The workspace in the environment: what Azure ML's own data import has left in it."""

    def inventory(self) -> Inventory:
        """Return the import schedules, the connections to Snowflake, and those that the schedules use."""
        inventory = Inventory([], [])
        self._add_schedules(inventory)
        used = {
            found.document.import_data.source.connection_name
            for found in inventory.found
            if isinstance(found.document, ImportSchedule)
        }
        self._add_connections(inventory, used)
        return inventory

    def _add_schedules(self, inventory: Inventory) -> None:
        printed = io.StringIO()
        with calling(f"schedules of workspace {self._name}"), redirect_stdout(printed):
            schedules = list(self._client.schedules.list(list_view_type=ListViewType.ALL))
        for name in _UNREADABLE.findall(printed.getvalue()):
            inventory.refused.append(
                Refusal(f"schedule {name}", "azure-ai-ml cannot read it: add it by hand")
            )
        for schedule in schedules:
            # the client's class for import schedules is experimental: it may be removed
            if getattr(schedule, "import_data", None) is None:
                continue
            where = f"schedule {schedule.name}"
            try:
                inventory.found.append(Found(where, ImportSchedule.model_validate(schedule)))
            except ValidationError as error:
                inventory.refused.append(Refusal(where, first_problem(error)))

    def _add_connections(self, inventory: Inventory, used: Iterable[str]) -> None:
        with calling(f"connections of workspace {self._name}"):
            connections = {c.name: c for c in self._client.connections.list(connection_type="snowflake")}
        for name in sorted(set(used) - connections.keys()):
            with calling(f"connection {name} of workspace {self._name}"):
                try:
                    connections[name] = self._client.connections.get(name)
                except ResourceNotFoundError:
                    continue
        for name, connection in connections.items():
            if _is_ours(connection):
                continue
            try:
                found = Connection.model_validate(connection)
            except ValidationError as error:
                inventory.refused.append(Refusal(f"connection {name}", first_problem(error)))
            else:
                inventory.found.append(Found(f"workspace {self._name}", found))


def _is_ours(connection: WorkspaceConnection) -> bool:
    try:
        SnowflakeTarget.from_metadata(connection.metadata or {})
    except ValidationError:
        return False
    return True
