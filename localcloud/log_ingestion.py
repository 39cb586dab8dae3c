"""The Logs Ingestion API: the records of a data collection rule are stored in a file, one line each.

https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview
"""

import gzip
import json
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from localcloud.arm import ArmStore, Document
from localcloud.errors import ServiceError

_RULE = "Microsoft.Insights/dataCollectionRules"


def ingestion_routes(store: ArmStore, logs: Path) -> list[Route]:
    """Return the route that appends to `logs` the records for the rules in `store`."""

    async def ingest(request: Request) -> Response:
        if not request.headers.get("authorization"):
            return ServiceError(401, "Unauthorized", "The request has no bearer token.").response()
        rule, stream = request.path_params["rule"], request.path_params["stream"]
        columns = _columns(store, rule, stream)
        if columns is None:
            return ServiceError(
                404, "NotFound", f"Data collection rule {rule} has no stream {stream}."
            ).response()
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        records: list[Document] = json.loads(body)
        with logs.open("a") as file:
            # columns that the stream does not declare are dropped
            file.writelines(json.dumps({key: r.get(key) for key in columns}) + "\n" for r in records)
        return Response(status_code=204)

    return [Route("/dataCollectionRules/{rule}/streams/{stream}", ingest, methods=["POST"])]


def _columns(store: ArmStore, rule: str, stream: str) -> list[str] | None:
    """Return the columns that a stream declares, or None if the rule or the stream does not exist."""
    for found in store.descendants(""):
        if found["type"] == _RULE and found["properties"]["immutableId"] == rule:
            declared = found["properties"].get("streamDeclarations", {}).get(stream)
            return [column["name"] for column in declared["columns"]] if declared else None
    return None
