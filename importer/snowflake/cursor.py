"""The cursor of the importer: the connector's, with the columns as Snowflake describes them."""

from typing import Any

from snowflake.connector.cursor import SnowflakeCursor

from importer.snowflake.columns import DescribedColumn


class DescribingCursor(SnowflakeCursor):
    """A cursor whose `columns` are those of the response itself, see `DescribedColumn`."""

    _rowtype: list[dict[str, Any]]

    @property
    def columns(self) -> list[DescribedColumn]:
        """The columns of the last statement; an ImporterError names one of a type that is not known."""
        return [DescribedColumn.of(described) for described in self._rowtype]

    def _init_result_and_meta(self, data: dict[Any, Any]) -> None:
        """Keep the description that the connector reads its own from."""
        self._rowtype = data["rowtype"]
        super()._init_result_and_meta(data)
