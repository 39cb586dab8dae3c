"""The names of Snowflake's types."""

import pytest

from importer.spec.snowflake_types import normal_type
from tests.unit.importer.job.contract.contracts import columns


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("decimal(10, 2)", "NUMBER(10,2)"),
        ("NUMBER", "NUMBER(38,0)"),
        ("NUMERIC(5)", "NUMBER(5,0)"),
        ("Integer", "NUMBER(38,0)"),
        ("double  precision", "FLOAT"),
        ("STRING", "VARCHAR"),
        ("VARCHAR(16777216)", "VARCHAR"),
        ("varchar ( 20 )", "VARCHAR(20)"),
        ("CHAR", "VARCHAR(1)"),
        ("VARBINARY(5)", "BINARY"),
        ("DATETIME", "TIMESTAMP_NTZ(9)"),
        ("timestamp with time zone", "TIMESTAMP_TZ(9)"),
        ("TIME(0)", "TIME(0)"),
        ("variant", "VARIANT"),
    ],
)
def test_type_is_returned_by_its_one_name(written: str, normal: str) -> None:
    assert normal_type(written) == normal
    assert columns(A={"type": written}).columns["A"].type == normal
