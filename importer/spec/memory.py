"""How much memory an import may take, and what each of its steps takes before it holds a row; all in MB."""

from typing import Annotated

from pydantic import Field

#: The limit of an import. Its minimum leaves room for rows beside the fixed part of every step below, and in
#: mode `stream` for two chunks of a result, of up to 48 each.
MemoryMB = Annotated[int, Field(ge=400, le=65536)]
DEFAULT_MEMORY_MB = 400

#: Streaming: Python and the clients of Azure and Snowflake (190), and what Arrow's allocator keeps after
#: rows are freed.
STREAM_FIXED_MB = 240

#: Merging an incremental import: Python, pyarrow, DuckDB itself, the clients of Azure and Snowflake.
MERGE_FIXED_MB = 272

#: Curating: Python, pyarrow, DuckDB, the clients of Azure and Snowflake (250), and buffers for reading,
#: encoding and uploading.
CURATE_FIXED_MB = 360

#: The keys of a contract's `unique` rules: what DuckDB holds in memory before it spills to disk
#: (https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads, "Larger-than-Memory Workloads").
CONTRACT_KEYS_MB = 64
