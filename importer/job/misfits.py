"""The options of an import that its run would refuse, found from the columns of the query alone."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from importer.errors import ImporterError
from importer.job.contract.checks import MisfitError, plan_checks
from importer.job.contract.table_rules import check_columns
from importer.job.curate.engine import open_engine
from importer.job.incremental.watermark import WatermarkColumn
from importer.snowflake.columns import DescribedColumn
from importer.snowflake.type_table import TypeOptions, arrow_schema, check_options
from importer.spec.contract import Contract
from importer.spec.curate import Curate
from importer.spec.import_spec import ImportOptions
from importer.spec.incremental import Incremental

#: What DuckDB may take to plan statements without rows.
_PLANNING_BYTES = 64 * 2**20


def misfits(options: ImportOptions, columns: Sequence[DescribedColumn]) -> Iterator[str]:
    """Yield `path: problem` for options that do not fit the columns of the query, by the rules of a run."""
    described, types = list(columns), TypeOptions.of(options)
    try:
        check_options(described, types)
    except ImporterError as error:
        yield str(error)
    if options.contract is not None:
        yield from _contract_misfits(options.contract, options.name, described)
    if options.incremental is not None:
        yield from _incremental_misfits(options.incremental, described)
    if options.curate is not None:
        yield from _curate_misfits(options.curate, arrow_schema(described, options.mode, types))


def _contract_misfits(contract: Contract, name: str, columns: list[DescribedColumn]) -> Iterator[str]:
    for result in check_columns(contract, columns):
        if not result.passed:
            yield f"contract.{result.rule}: {result.measured}"
    for column in columns:  # one at a time: the first misfit ends the plan
        try:
            plan_checks(name, contract, [column])
        except MisfitError as error:
            yield f"contract.{error.rule}: {error.problem}"


def _incremental_misfits(rules: Incremental, columns: list[DescribedColumn]) -> Iterator[str]:
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
