"""The record of a run that the importer sends to Azure Monitor, and alerts and workbooks read."""

#: The table in Log Analytics and the stream of the data collection rule that receive the records. The name of
#: a custom table ends in `_CL`, the name of its stream starts with `Custom-`
#: (https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-rule-structure).
TABLE = "Imports_CL"
STREAM = f"Custom-{TABLE}"

#: The columns of a record, with their types in terms of a data collection rule.
COLUMNS = {
    "TimeGenerated": "datetime",
    "Import": "string",
    "Scheduled": "datetime",
    "Version": "string",
    "Outcome": "string",
    "Rows": "long",
    "Bytes": "long",
    "Seconds": "real",
    "Error": "string",
}
SUCCEEDED = "succeeded"
FAILED = "failed"

#: The environment variables with the endpoint's URL and the rule's immutable id. If one of them is not set,
#: runs send no records.
LOG_ENDPOINT_VARIABLE = "IMPORT_LOG_ENDPOINT"
LOG_RULE_VARIABLE = "IMPORT_LOG_RULE"
