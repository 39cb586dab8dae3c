"""The options of an import that its run would refuse, found from the columns of the query alone."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import assert_never

import pyarrow as pa
from snowflake.connector.cursor import ResultMetadata

from importer.errors import ImporterError
from importer.job.contract.checks import MisfitError, plan_checks
from importer.job.contract.table_rules import check_columns
from importer.job.curate.engine import open_engine
from importer.job.incremental.watermark import WatermarkColumn
from importer.snowflake.columns import arrow_schema
from importer.spec.contract import Contract
from importer.spec.curate import Curate
from importer.spec.import_spec import ImportOptions
from importer.spec.incremental import Incremental

#: What DuckDB may take to plan statements without rows.
_PLANNING_BYTES = 64 * 2**20


def misfits(options: ImportOptions, columns: Sequence[ResultMetadata]) -> Iterator[str]:
    """Yield `path: problem` for options that do not fit the columns of the query, by the rules of a run."""
    described = list(columns)
    if options.contract is not None:
        yield from _contract_misfits(options.contract, options.name, described)
    if options.incremental is not None:
        yield from _incremental_misfits(options.incremental, described)
    if options.curate is not None:
        yield from _curate_misfits(options.curate, _stored_schema(options, described))


def _contract_misfits(contract: Contract, name: str, columns: list[ResultMetadata]) -> Iterator[str]:
    for result in check_columns(contract, columns):
        if not result.passed:
            yield f"contract.{result.rule}: {result.measured}"
    for column in columns:  # one at a time: the first misfit ends the plan
        try:
            plan_checks(name, contract, [column])
        except MisfitError as error:
            yield f"contract.{error.rule}: {error.problem}"


def _incremental_misfits(rules: Incremental, columns: list[ResultMetadata]) -> Iterator[str]:
    try:
        WatermarkColumn.of(rules.column, rules.key, columns).check_overlap(rules.overlap)
    except ImporterError as error:
        yield str(error)


def _curate_misfits(rules: Curate, raw: pa.Schema) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            with open_engine(rules, raw, Path(folder), _PLANNING_BYTES):
                pass
        except ImporterError as error:
            yield str(error)


def _stored_schema(options: ImportOptions, columns: list[ResultMetadata]) -> pa.Schema:
    """Return the types of the stored columns: Snowflake unloads microseconds, without a time zone."""
    schema = arrow_schema(columns)
    match options.mode:
        case "stream":
            return schema
        case "unload":
            return pa.schema([field.with_type(_unloaded(field.type)) for field in schema])
        case _:
            assert_never(options.mode)


def _unloaded(type_: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us")
    return pa.time64("us") if pa.types.is_time64(type_) else type_
