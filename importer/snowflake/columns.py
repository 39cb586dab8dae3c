"""The columns of a query's result, as Snowflake describes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from importer.errors import ImporterError
from importer.spec.snowflake_types import LONGEST_TEXT, SnowflakeType

#: The types that a response names differently than Snowflake's documentation does.
_RESPONSE_NAMES = {
    "FIXED": SnowflakeType.NUMBER,
    "REAL": SnowflakeType.FLOAT,
    "TEXT": SnowflakeType.VARCHAR,
}
_ELEMENTS = {"FIXED": "INT", "REAL": "FLOAT"}
_WITH_SCALE = (
    SnowflakeType.TIME,
    SnowflakeType.TIMESTAMP_NTZ,
    SnowflakeType.TIMESTAMP_LTZ,
    SnowflakeType.TIMESTAMP_TZ,
)


class Column(NamedTuple):
    """A column of a query; `type` is as Snowflake writes it, such as `NUMBER(38,0)`."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True)
class DescribedColumn:
    """A column with its type, as a response describes it.

    The importer does not use the connector's description: that has no elements of a VECTOR, and a type that
    the connector (4.8) does not know becomes a NUMBER in it (`FIELD_NAME_TO_ID` in its constants.py).
    """

    name: str
    kind: SnowflakeType
    precision: int | None = None
    scale: int | None = None
    length: int | None = None
    is_nullable: bool = True
    element: str | None = None
    """The type of a VECTOR's elements: `FLOAT` or `INT`."""
    dimension: int | None = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Self:
        """Return the column of an entry of `rowtype`; an ImporterError names a column of an unknown type."""
        name = str(described.get("extTypeName") or described["type"]).upper()
        try:
            kind = _RESPONSE_NAMES.get(name) or SnowflakeType(name)
        except ValueError:
            raise ImporterError(
                f"column {described['name']} has the type {name}, which the importer does not know: cast it "
                "in the query, for example to VARCHAR"
            ) from None
        fields = described.get("fields") or []
        if fields and kind is not SnowflakeType.VECTOR:
            raise ImporterError(
                f"column {described['name']} is a structured {kind}: cast it in the query to VARIANT"
            )
        element = str(fields[0]["type"]).upper() if fields else None
        return cls(
            described["name"],
            kind,
            described.get("precision"),
            described.get("scale"),
            described.get("length"),
            bool(described.get("nullable", True)),
            _ELEMENTS.get(element, element) if element else None,
            described.get("vectorDimension"),
        )


def type_text(column: DescribedColumn) -> str:
    """Return the type of a described column as Snowflake writes it."""
    kind = column.kind
    if kind is SnowflakeType.NUMBER:
        return f"NUMBER({column.precision},{column.scale})"
    if kind in _WITH_SCALE:
        return f"{kind}({column.scale})"
    if kind is SnowflakeType.VARCHAR and 0 < (column.length or 0) < LONGEST_TEXT:
        return f"VARCHAR({column.length})"
    if kind is SnowflakeType.VECTOR:
        return f"VECTOR({column.element},{column.dimension})"
    return kind.value


def columns_of(described: Sequence[DescribedColumn]) -> list[Column]:
    """Return the described columns with their types as Snowflake writes them."""
    return [Column(column.name, type_text(column), column.is_nullable) for column in described]


def check_column_names(names: list[str]) -> None:
    """Raise an ImporterError if a query returns two columns with the same name: a table cannot hold both."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ImporterError(f"the query returns column {twice[0]} twice: give each its own alias")
