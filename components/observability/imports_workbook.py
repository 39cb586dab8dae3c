"""A workbook of the Azure portal that shows the runs of imports."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import applicationinsights

from components.component import Args, AzureArgs
from importer.spec.run_record import FAILED, SUCCEEDED

#: The parameter of the page that says which time it shows.
_TIME = "TimeRange"
_DAYS_IN_MS = 24 * 60 * 60 * 1000


@dataclass(kw_only=True)
class ImportsWorkbookArgs(Args):
    """What the workbook needs from outside."""

    azure: AzureArgs
    log_analytics_id: pulumi.Input[str]
    table: pulumi.Input[str]
    """The table with the outcomes of imports: `Observability.imports_table`."""


class ImportsWorkbook(pulumi.ComponentResource):
    """A workbook that shows imports over time: how each stands, its runs, rows, seconds and failures.

    It is listed under Workbooks of the Log Analytics workspace, for everyone who may read that.
    """

    workbook_id: pulumi.Output[str]

    def __init__(
        self, name: str, args: ImportsWorkbookArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ai-platform:index:ImportsWorkbook", name, None, opts)
        args = ImportsWorkbookArgs.of(args)
        log_analytics_id = pulumi.Output.from_input(args.log_analytics_id)
        workbook = applicationinsights.Workbook(
            name,
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            # a workbook's name is a GUID; this one never changes
            resource_name_=log_analytics_id.apply(lambda known: str(uuid.uuid5(uuid.NAMESPACE_URL, known))),
            display_name=pulumi.Output.format("Imports of {0}", args.azure.resource_group),
            kind=applicationinsights.WorkbookSharedTypeKind.SHARED,
            category="workbook",
            source_id=log_analytics_id,
            serialized_data=pulumi.Output.all(log_analytics_id, args.table).apply(
                lambda known: workbook_json(*known)
            ),
            tags=args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.workbook_id = workbook.id
        self.register_outputs({"workbook_id": self.workbook_id})


def workbook_json(log_analytics_id: str, table: str) -> str:
    """Return the workbook as Azure's portal saves one, the same text each time.

    https://github.com/microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json
    """
    over_time = f"by bin(TimeGenerated, {{{_TIME}:grain}})"
    succeeded = f'{table}\n| where Outcome == "{SUCCEEDED}"'
    items = [
        _time_parameter(),
        _query(
            "Imports, by their last run",
            f"{table}\n"
            f'| summarize LastSuccess = maxif(TimeGenerated, Outcome == "{SUCCEEDED}"), '
            "arg_max(TimeGenerated, Version, Outcome, Rows, Bytes, Seconds, Error) by Import\n"
            "| project Import, Outcome, Version, Rows, Bytes, Seconds, LastRun = TimeGenerated, "
            "LastSuccess, Error\n"
            "| order by Import asc",
            "table",
        ),
        _query("Runs", f"{table}\n| summarize Runs = count() {over_time}, Outcome", "barchart"),
        _query("Rows", f"{succeeded}\n| summarize Rows = max(Rows) {over_time}, Import", "timechart"),
        _query(
            "Seconds", f"{succeeded}\n| summarize Seconds = max(Seconds) {over_time}, Import", "timechart"
        ),
        _query(
            "Failures",
            f'{table}\n| where Outcome == "{FAILED}"\n'
            "| project TimeGenerated, Import, Version, Error\n| order by TimeGenerated desc",
            "table",
        ),
    ]
    workbook = {
        "version": "Notebook/1.0",
        "items": items,
        "fallbackResourceIds": [log_analytics_id],
    }
    return json.dumps(workbook, sort_keys=True)


def _time_parameter() -> dict[str, Any]:
    """Return the choice of how far back the page looks; 30 days at first."""
    choices = [{"durationMs": days * _DAYS_IN_MS} for days in (1, 2, 7, 14, 30, 90)]
    parameter = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, _TIME)),
        "version": "KqlParameterItem/1.0",
        "name": _TIME,
        "label": "Time",
        "type": 4,
        "isRequired": True,
        "typeSettings": {"selectableValues": choices, "allowCustom": True},
        "value": {"durationMs": 30 * _DAYS_IN_MS},
    }
    content = {
        "version": "KqlParameterItem/1.0",
        "parameters": [parameter],
        "style": "pills",
        "queryType": 0,
        "resourceType": "microsoft.operationalinsights/workspaces",
    }
    return {"type": 9, "name": "parameters", "content": content}


def _query(title: str, query: str, visualization: str) -> dict[str, Any]:
    content = {
        "version": "KqlItem/1.0",
        "title": title,
        "query": query,
        "size": 0,
        "timeContextFromParameter": _TIME,
        "queryType": 0,
        "resourceType": "microsoft.operationalinsights/workspaces",
        "visualization": visualization,
    }
    return {"type": 3, "name": title.lower(), "content": content}
