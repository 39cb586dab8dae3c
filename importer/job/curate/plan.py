"""The SQL statement that makes clean rows of raw ones, for the columns of a version."""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from importer.errors import ImporterError
from importer.job.curate.conditions import Breach, RuleError, breaches, quoted
from importer.spec.curate import CleanColumn, Curate, Deduplicate, DerivedColumn, ValueRules
from importer.spec.expression import expression_columns, expression_sql
from importer.spec.names import nearest_column

#: The table that the statement reads: raw columns as r0, r1, … (to DuckDB the columns `a` and `A` are the
#: same), the number of each row in the version, and whether it `is_duplicate`.
RAW = "raw_rows"

#: The column in quarantine that lists the reasons.
REASONS = "_reasons"

#: The characters that `trim` removes: all of Unicode's white space. DuckDB's own removes blanks only.
_BLANKS = "".join(character for character in map(chr, range(0x3001)) if character.isspace())

#: The types that a derived column may have, besides DECIMAL: Parquet has the same.
_DERIVED_TYPES = {
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE"),
    *("TIME", "TIME_NS", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"),
}


@dataclass(frozen=True)
class Column:
    """A clean column: its SQL in the statement, its type in DuckDB, and its raw column if it is unchanged."""

    name: str
    sql: str
    type: str
    unchanged: int | None = None


@dataclass(frozen=True)
class Plan:
    """How the rows of a version become clean ones.

    `statement` returns for each row the computed columns, and `reasons`, which is NULL if the row breaks no
    rule. `keys` returns the keys of the rows that break no rule: `row_number`, k0, k1, …, `latest`. `fed` are
    the raw columns that both read.
    """

    columns: list[Column]
    fed: list[int]
    statement: str
    keys: str | None


def make_plan(rules: Curate, raw: pa.Schema, connection: duckdb.DuckDBPyConnection) -> Plan:
    """Return the plan for raw rows of a schema; an ImporterError names the setting that does not fit them.

    `connection` must have an empty table `RAW` of that schema.
    """
    return _Planner(rules, raw, connection).plan()


class _Planner:
    """Builds a plan: each step wraps the statement so far."""

    def __init__(self, rules: Curate, raw: pa.Schema, connection: duckdb.DuckDBPyConnection) -> None:
        self._rules = rules
        self._raw = raw
        self._connection = connection
        self._source = RAW
        self._breaches: list[Breach] = []
        self._fed: set[int] = set()

    def plan(self) -> Plan:
        rules, names = self._rules, self._raw.names
        for name in (name for name in rules.columns if name not in names):
            raise ImporterError(
                f"curate.columns.{name}: the query returns no such column; {nearest_column(name, names)}"
            )
        if REASONS in names:
            raise ImporterError(f"curate: the query returns a column {REASONS}: rename it in the query")
        chosen = [(i, name) for i, name in enumerate(names) if rules.other_columns or name in rules.columns]
        columns = self._changed([(i, name, rules.columns.get(name, CleanColumn())) for i, name in chosen])
        columns += self._derived({column.name: column for column in columns})
        _check_names(columns)
        condition = " OR ".join(f"({found.condition})" for found in self._breaches) or "FALSE"
        reasons = ", ".join(f"CASE WHEN {b.condition} THEN {quoted(b.reason)} END" for b in self._breaches)
        listed = f"[reason FOR reason IN [{reasons}] IF reason IS NOT NULL]" if reasons else "[]"
        keys = self._keys(rules.deduplicate, columns, condition) if rules.deduplicate else None
        duplicate = (
            f"WHEN is_duplicate THEN [{quoted(_duplicate_reason(rules.deduplicate))}] " if keys else ""
        )
        outcome = f"CASE WHEN {condition} THEN {listed} {duplicate}END::VARCHAR[] AS reasons"
        computed = [column.sql for column in columns if column.unchanged is None]
        statement = f"SELECT {', '.join([*computed, outcome])} FROM {self._source}"  # noqa: S608 - checked names
        return Plan(columns, sorted(self._fed), statement, keys)

    def _changed(self, chosen: list[tuple[int, str, CleanColumn]]) -> list[Column]:
        """Return the raw columns that are kept, trimmed, cast and renamed; add their rules."""
        types = {i: self._type(f"r{i}") for i, _, _ in chosen}
        trimmed = {i: f"r{i}" for i, _, _ in chosen}
        for i, name, of in chosen:
            if of.trim and types[i] != "VARCHAR":
                raise ImporterError(f"curate.columns.{name}.trim: the column must be text, and is {types[i]}")
            if of.trim:
                trimmed[i] = f"t{i}"
        self._add(f"{_trimmed(f'r{i}')} AS t{i}" for i, _, of in chosen if of.trim)
        self._add(f"TRY_CAST({trimmed[i]} AS {of.cast}) AS c{i}" for i, _, of in chosen if of.cast)
        columns = []
        for i, name, of in chosen:
            sql = f"c{i}" if of.cast else trimmed[i]
            column = Column(of.name or name, sql, self._type(sql), i if sql == f"r{i}" else None)
            if sql != f"r{i}":
                self._fed.add(i)
            failed = f"{sql} IS NULL AND {trimmed[i]} IS NOT NULL" if of.cast else None
            if failed:
                self._breaches.append(Breach(f"{name}: cannot be cast to {of.cast}", failed))
            self._hold(f"columns.{name}", name, of, column, failed)
            columns.append(column)
        return columns

    def _derived(self, clean: dict[str, Column]) -> list[Column]:
        """Return the derived columns, sorted by name: a deployment keeps no other order. Add their rules."""
        wanted = sorted(self._rules.derive.items())
        found = [self._expression(name, of, clean) for name, of in wanted]
        # an expression that fails gives NULL, and one whose value is NULL gives a struct
        self._add(f"TRY({{'value': {sql}}}) AS x{j}" for j, (sql, _) in enumerate(found))
        self._add(f"x{j}.value AS d{j}" for j in range(len(found)))
        columns = []
        for j, ((name, of), (_, type_)) in enumerate(zip(wanted, found, strict=True)):
            column = Column(name, f"d{j}", type_)
            self._breaches.append(Breach(f"{name}: cannot be computed", f"x{j} IS NULL"))
            self._hold(f"derive.{name}", name, of, column, f"x{j} IS NULL")
            columns.append(column)
        return columns

    def _expression(self, name: str, of: DerivedColumn, clean: dict[str, Column]) -> tuple[str, str]:
        """Return an expression as SQL of the statement, and its type."""
        path = f"curate.derive.{name}.expression"
        try:
            for used in expression_columns(of.expression, clean):
                self._use(clean[used])
            sql = expression_sql(of.expression, {column.name: column.sql for column in clean.values()})
            type_ = self._type(sql)
        except (ValueError, duckdb.Error) as error:
            raise ImporterError(f"{path}: {_first_line(error)}") from None
        if type_ in ("HUGEINT", "UHUGEINT"):  # a sum or a product of whole numbers
            sql, type_ = f"CAST({sql} AS DECIMAL(38,0))", "DECIMAL(38,0)"
        if type_ not in _DERIVED_TYPES and not type_.startswith("DECIMAL"):
            raise ImporterError(f"{path}: its type is {type_}, which Parquet does not store: cast it")
        return sql, type_

    def _hold(self, path: str, name: str, rules: ValueRules, column: Column, failed: str | None) -> None:
        """Add the rules of a column; they do not apply to rows whose value `failed` to be computed."""
        try:
            found = list(breaches(name, rules, column.sql, column.type))
        except RuleError as error:
            raise ImporterError(f"curate.{path}.{error.setting}: {error}") from None
        if found:
            self._use(column)
        for breach in found:
            self._check_bounds(f"curate.{path}.{breach.setting}", breach)
            condition = f"({breach.condition}) AND NOT ({failed})" if failed else breach.condition
            self._breaches.append(Breach(breach.reason, condition))

    def _check_bounds(self, path: str, breach: Breach) -> None:
        if not breach.bounds:
            return
        try:
            self._connection.sql(f"SELECT {', '.join(breach.bounds)}").fetchall()
        except duckdb.Error as error:
            raise ImporterError(f"{path}: {_first_line(error)}") from None

    def _keys(self, of: Deduplicate, columns: list[Column], condition: str) -> str:
        known = {column.name: column for column in columns}
        for setting, name in [*(("key", key) for key in of.key), ("latest", of.latest)]:
            if name is not None and name not in known:
                raise ImporterError(
                    f"curate.deduplicate.{setting}: there is no clean column {name}; "
                    f"{nearest_column(name, known)}"
                )
        keys = [self._use(known[key]) for key in of.key]
        latest = "NULL"
        if of.latest is not None:
            latest, type_ = self._use(known[of.latest]), known[of.latest].type
            if type_ in ("FLOAT", "DOUBLE"):
                latest = f"CASE WHEN NOT isnan({latest}) THEN {latest} END"
        there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
        selected = ", ".join(f"{key} AS k{n}" for n, key in enumerate(keys))
        return (
            f"SELECT row_number, {selected}, {latest} AS latest FROM {self._source} "  # noqa: S608 - checked names
            f"WHERE ({condition}) IS NOT TRUE AND {there}"
        )

    def _use(self, column: Column) -> str:
        if column.unchanged is not None:
            self._fed.add(column.unchanged)
        return column.sql

    def _add(self, columns: Iterable[str]) -> None:
        """Add columns to the statement so far."""
        if added := ", ".join(columns):
            self._source = f"(SELECT *, {added} FROM {self._source})"  # noqa: S608 - checked names

    def _type(self, sql: str) -> str:
        return str(self._connection.sql(f"SELECT {sql} FROM {self._source}").types[0])  # noqa: S608 - checked names


def _trimmed(text: str) -> str:
    """Return SQL for a text without white space around it; `trim` is slow, so only text with some gets it."""
    blanks = quoted(_BLANKS)
    has_some = f"contains({blanks}, left({text}, 1)) OR contains({blanks}, right({text}, 1))"
    return f"NULLIF(CASE WHEN {has_some} THEN trim({text}, {blanks}) ELSE {text} END, '')"


def _duplicate_reason(of: Deduplicate | None) -> str:
    return f"another row has the same {', '.join(of.key)}" if of else ""


def _first_line(error: Exception) -> str:
    # the lines after it show our own statement
    return str(error).partition("\n")[0]


def _check_names(columns: list[Column]) -> None:
    names = [column.name for column in columns]
    for name in (name for name in names if names.count(name) > 1):
        raise ImporterError(f"curate: two clean columns have the name {name}: rename one of them")
    if not names:
        raise ImporterError("curate.otherColumns: no clean column is left: list columns, or set it to true")
