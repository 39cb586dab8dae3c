"""Logs, the record of imports, the platform's alerts and the workbook, against Pulumi's mocks."""

import inspect
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pulumi
import pytest

from components.component import AzureArgs, PrivateLinkArgs
from components.network.private_link import Zone
from components.observability.alerts import Alerts, AlertsArgs, start_of_month
from components.observability.imports_workbook import ImportsWorkbook, ImportsWorkbookArgs, workbook_json
from components.observability.observability import Observability, ObservabilityArgs
from importer.spec.run_record import COLUMNS, STREAM, TABLE
from tools.declared import RESOURCES, Declared, declare

AZURE = AzureArgs(resource_group="rg-test", location="westeurope", tags={"stack": "test"})
LINK = PrivateLinkArgs(
    subnet_id=f"{RESOURCES}/endpoints", zone_ids={zone: f"{RESOURCES}/{zone}" for zone in Zone}
)
LOGS = "azure-native:operationalinsights:Workspace"
INSIGHTS = "azure-native:applicationinsights:Component"
COLLECTION = "azure-native:monitor:DataCollectionEndpoint"
RULE = "azure-native:monitor:DataCollectionRule"
SCOPED = "azure-native:monitor:PrivateLinkScopedResource"
DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
LOG_ALERT = "azure-native:monitor:ScheduledQueryRule"
METRIC_ALERT = "azure-native:monitor:MetricAlert"
BUDGET = "azure-native:consumption:Budget"

PRIVATE = pytest.mark.parametrize("private", [True, False], ids=["private", "public"])


def declare_observability(**changes: Any) -> Declared:
    return declare(lambda: Observability("obs", ObservabilityArgs(azure=AZURE, retention_days=90, **changes)))


@PRIVATE
def test_private_logs_are_closed_to_the_public(private: bool) -> None:
    declared = declare_observability(private=private)
    access = "Disabled" if private else "Enabled"
    for kind in (LOGS, INSIGHTS):
        resource = declared.one(kind)
        assert resource["publicNetworkAccessForIngestion"] == access
        assert resource["publicNetworkAccessForQuery"] == access
    assert declared.one(COLLECTION)["networkAcls"] == {"publicNetworkAccess": access}
    assert declared.one(LOGS)["features"] == {"disableLocalAuth": True}
    assert declared.one(LOGS)["retentionInDays"] == 90


@PRIVATE
def test_all_that_is_closed_is_in_the_private_link_scope(private: bool) -> None:
    declared = declare_observability(private=private)
    if not private:
        assert [r.typ for r in declared.resources if "rivate" in r.typ] == []
        return
    assert declared.one("azure-native:monitor:PrivateLinkScope")["accessModeSettings"] == {
        "ingestionAccessMode": "PrivateOnly",
        "queryAccessMode": "PrivateOnly",
    }
    scoped = {r.inputs["linkedResourceId"] for r in declared.all(SCOPED)}
    assert scoped == {f"{RESOURCES}/obs-{name}" for name in ("logs", "insights", "imports")}


def test_a_network_is_connected_by_one_endpoint_with_all_zones_of_azure_monitor() -> None:
    def program() -> None:
        Observability("obs", ObservabilityArgs(azure=AZURE, retention_days=90, private=True)).connect(LINK)

    declared = declare(program)
    endpoint = declared.one("azure-native:network:PrivateEndpoint")
    assert endpoint["subnet"]["id"] == f"{RESOURCES}/endpoints"
    (connection,) = endpoint["privateLinkServiceConnections"]
    assert connection["groupIds"] == ["azuremonitor"]
    assert connection["privateLinkServiceId"] == f"{RESOURCES}/obs-scope"
    zones = declared.one("azure-native:network:PrivateDnsZoneGroup")["privateDnsZoneConfigs"]
    assert {zone["privateDnsZoneId"].rsplit("/", 1)[1] for zone in zones} == {
        "privatelink.monitor.azure.com",
        "privatelink.oms.opinsights.azure.com",
        "privatelink.ods.opinsights.azure.com",
        "privatelink.agentsvc.azure-automation.net",
        "privatelink.blob.core.windows.net",
    }


def test_public_logs_have_no_endpoint() -> None:
    def program() -> None:
        public = Observability("obs", ObservabilityArgs(azure=AZURE, retention_days=90))
        with pytest.raises(ValueError, match="only private"):
            public.connect(LINK)

    declare(program)


def options(program: Callable[[pulumi.ResourceOptions], object]) -> dict[str, pulumi.ResourceOptions]:
    """Return the options of each resource that `program` declares, by type and name; mocks see none."""
    found: dict[str, pulumi.ResourceOptions] = {}

    def note(args: pulumi.ResourceTransformationArgs) -> None:
        found[f"{args.type_.rsplit(':', 1)[1]} {args.name}"] = args.opts

    declare(lambda: program(pulumi.ResourceOptions(transformations=[note])))
    return found


@pytest.mark.parametrize("keep", [True, False])
def test_kept_logs_are_protected(keep: bool) -> None:
    args = ObservabilityArgs(azure=AZURE, retention_days=90, keep=keep)
    found = options(lambda opts: Observability("obs", args, opts))
    protected = {name for name, opts in found.items() if opts.protect}
    assert protected == ({"Workspace obs-logs", "Table obs-imports"} if keep else set())


def test_a_budget_keeps_the_month_it_was_made_in() -> None:
    args = AlertsArgs(
        azure=AZURE, log_analytics_id="logs", resource_group_id=f"{RESOURCES}/rg", monthly_budget=1
    )
    found = options(lambda opts: Alerts("alerts", args, opts))
    assert found["Budget alerts-budget-1"].ignore_changes == ["timePeriod"]


def test_another_amount_is_another_budget_as_an_update_would_need_its_etag() -> None:
    names = {declare_alerts(monthly_budget=amount).all(BUDGET)[0].name for amount in (5000, 1_000_000)}
    assert {name.rsplit("-", 1)[1] for name in names} == {"5000", "1000000"}


def test_the_scope_takes_one_change_at_a_time() -> None:
    args = ObservabilityArgs(azure=AZURE, retention_days=90, private=True)
    found = options(lambda opts: Observability("obs", args, opts))
    waits = {name: opts.depends_on for name, opts in found.items() if "ScopedResource" in name}
    assert [len(list(waited)) for waited in waits.values() if isinstance(waited, list)] == [0, 1, 1]


def test_who_queries_logs_and_what_the_rule_refuses_is_logged() -> None:
    settings = {r.inputs["resourceUri"]: r.inputs for r in declare_observability().all(DIAGNOSTICS)}
    assert {uri: setting["logs"] for uri, setting in settings.items()} == {
        f"{RESOURCES}/obs-logs": [{"category": "Audit", "enabled": True}],
        f"{RESOURCES}/obs-imports": [{"category": "LogErrors", "enabled": True}],
    }
    assert {setting["workspaceId"] for setting in settings.values()} == {f"{RESOURCES}/obs-logs"}


def test_application_insights_stores_in_log_analytics() -> None:
    assert declare_observability().one(INSIGHTS)["workspaceResourceId"] == f"{RESOURCES}/obs-logs"


def test_a_record_of_an_import_fits_the_stream_and_the_table() -> None:
    declared = declare_observability()
    table, rule = declared.one("azure-native:operationalinsights:Table"), declared.one(RULE)
    assert (table["tableName"], table["schema"]["name"], table["plan"]) == (TABLE, TABLE, "Analytics")
    stored = {column["name"]: column["type"] for column in table["schema"]["columns"]}
    streamed = {c["name"]: c["type"] for c in rule["streamDeclarations"][STREAM]["columns"]}
    assert streamed == COLUMNS
    assert stored == {name: kind.replace("datetime", "dateTime") for name, kind in COLUMNS.items()}
    (flow,) = rule["dataFlows"]
    assert (flow["streams"], flow["outputStream"]) == ([STREAM], f"Custom-{TABLE}")
    (destination,) = rule["destinations"]["logAnalytics"]
    assert flow["destinations"] == [destination["name"]]
    assert destination["workspaceResourceId"] == f"{RESOURCES}/obs-logs"
    assert rule["dataCollectionEndpointId"] == f"{RESOURCES}/obs-imports"


def test_the_outputs_tell_where_imports_send_their_records() -> None:
    outputs: dict[str, Any] = {}

    def program() -> pulumi.Output[None]:
        made = Observability("obs", ObservabilityArgs(azure=AZURE, retention_days=90, private=True))
        names = inspect.get_annotations(Observability)
        return pulumi.Output.all(**{name: getattr(made, name) for name in names}).apply(outputs.update)

    declare(program)
    assert outputs == {
        "log_analytics_id": f"{RESOURCES}/obs-logs",
        "application_insights_id": f"{RESOURCES}/obs-insights",
        "private_link_scope_id": f"{RESOURCES}/obs-scope",
        "imports_table": "obs-imports",
        "ingestion_endpoint": "https://obs-imports.ingest.monitor.azure.com",
        "ingestion_rule_id": f"{RESOURCES}/obs-imports",
        "ingestion_rule_immutable_id": "dcr-obs-imports",
    }


def declare_alerts(**changes: Any) -> Declared:
    args: dict[str, Any] = {
        "azure": AZURE,
        "log_analytics_id": f"{RESOURCES}/obs-logs",
        "resource_group_id": f"{RESOURCES}/rg",
        **changes,
    }
    return declare(lambda: Alerts("alerts", AlertsArgs(**args)))


@pytest.mark.parametrize("emails", [[], ["ops@globo.example", "data@globo.example"]])
def test_the_action_group_tells_who_is_named(emails: list[str]) -> None:
    group = declare_alerts(emails=emails).one("azure-native:monitor:ActionGroup")
    assert [receiver["emailAddress"] for receiver in group["emailReceivers"]] == emails
    assert group["location"] == "global"
    assert group["enabled"] is True
    assert 1 <= len(group["groupShortName"]) <= 12


def test_nothing_is_watched_that_is_not_there() -> None:
    types = {r.typ for r in declare_alerts().resources}
    assert types == {"ai-platform:index:Alerts", "azure-native:monitor:ActionGroup"}


def test_nodes_of_this_cluster_are_watched() -> None:
    alert = declare_alerts(cluster_id=f"{RESOURCES}/aks").one(LOG_ALERT)
    assert alert["scopes"] == [f"{RESOURCES}/obs-logs"]
    assert alert["actions"] == {"actionGroups": [f"{RESOURCES}/alerts"]}
    (condition,) = alert["criteria"]["allOf"]
    assert f'ClusterId =~ "{RESOURCES}/aks"' in condition["query"]
    assert [dimension["name"] for dimension in condition["dimensions"]] == ["Computer"]


@pytest.mark.parametrize(
    ("changes", "metric", "dimension", "value"),
    [
        ({"vaults": {"kv": f"{RESOURCES}/x"}}, "ServiceApiResult", "StatusCode", "403"),
        ({"storage_accounts": {"lake": f"{RESOURCES}/x"}}, "Transactions", "ResponseType", None),
    ],
)
def test_refused_requests_are_watched(
    changes: dict[str, Any], metric: str, dimension: str, value: str | None
) -> None:
    alert = declare_alerts(**changes).one(METRIC_ALERT)
    assert alert["scopes"] == [f"{RESOURCES}/x"]
    assert alert["actions"] == [{"actionGroupId": f"{RESOURCES}/alerts"}]
    (criterion,) = alert["criteria"]["allOf"]
    assert criterion["metricName"] == metric
    assert criterion["operator"] == "GreaterThanOrEqual"
    assert criterion["dimensions"] == [
        {"name": dimension, "operator": "Include", "values": [value or "AuthorizationError"]}
    ]


def test_the_budget_tells_at_80_and_at_100_percent() -> None:
    budget = declare_alerts(monthly_budget=5000).one(BUDGET)
    assert (budget["scope"], budget["amount"], budget["timeGrain"]) == (
        f"{RESOURCES}/rg",
        5000,
        "Monthly",
    )
    notifications = budget["notifications"].values()
    assert sorted(n["threshold"] for n in notifications) == [80, 100]
    for notification in notifications:
        assert notification["contactGroups"] == [f"{RESOURCES}/alerts"]
        assert notification["thresholdType"] == "Actual"
    assert budget["timePeriod"] == {"startDate": start_of_month(datetime.now(UTC))}


def test_a_budget_starts_with_its_month() -> None:
    assert start_of_month(datetime(2026, 11, 24, 5, tzinfo=UTC)) == "2026-11-01T00:00:00Z"


def test_the_workbook_keeps_its_name_and_its_text() -> None:
    args: dict[str, Any] = {"azure": AZURE, "log_analytics_id": f"{RESOURCES}/obs-logs", "table": TABLE}

    def declared() -> dict[str, Any]:
        program = declare(lambda: ImportsWorkbook("imports", ImportsWorkbookArgs(**args)))
        return program.one("azure-native:applicationinsights:Workbook")

    first = declared()
    assert first == declared()
    assert str(uuid.UUID(first["resourceName"])) == first["resourceName"]
    assert first["sourceId"] == f"{RESOURCES}/obs-logs"
    assert (first["category"], first["kind"]) == ("workbook", "shared")
    assert first["serializedData"] == workbook_json(f"{RESOURCES}/obs-logs", TABLE)


def test_every_query_of_the_workbook_follows_the_chosen_time() -> None:
    workbook = json.loads(workbook_json(f"{RESOURCES}/obs-logs", TABLE))
    assert workbook["fallbackResourceIds"] == [f"{RESOURCES}/obs-logs"]
    (chosen,) = [
        parameter["name"] for item in workbook["items"] for parameter in item["content"].get("parameters", [])
    ]
    queries = [item["content"] for item in workbook["items"] if item["type"] == 3]
    assert {query["timeContextFromParameter"] for query in queries} == {chosen}
    assert len({item["name"] for item in workbook["items"]}) == len(workbook["items"]) == 6
    for query in queries:
        assert query["query"].startswith(f"{TABLE}\n")
        names = set(query["query"].replace(",", " ").split())
        assert names & set(COLUMNS)
