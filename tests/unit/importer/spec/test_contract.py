"""The rules of a contract as they are declared."""

from typing import Any

import pytest
from pydantic import ValidationError

from importer.spec.contract import Contract


@pytest.mark.parametrize(
    ("rules", "place", "message"),
    [
        ({"columns": {"A": {"type": "NUMBR"}}}, "columns.A.type", "NUMBR is not a Snowflake type"),
        ({"columns": {"A": {"type": "DATE(3)"}}}, "columns.A.type", "is not a Snowflake type"),
        ({"columns": {"A": {"min": 3, "max": 2}}}, "columns.A", "min 3 is above max 2"),
        ({"columns": {"A": {"min": True}}}, "columns.A", "min is true, which has no order"),
        ({"columns": {"A": {"max": float("nan")}}}, "columns.A.max", ""),
        ({"columns": {"A": {"allowed": []}}}, "columns.A.allowed", "at least 1 item"),
        ({"columns": {"A": {"maxAge": "1w"}}}, "columns.A.maxAge", ""),
        ({"columns": {"A": {"max_age": "1d"}}}, "columns.A.max_age", "Extra inputs"),
        ({"unique": [["A", "A"]]}, "unique.0", "names a column twice"),
        ({"rows": {"min": 3, "max": 2}}, "rows", "min 3 is above max 2"),
        ({"rows": {"maxDecrease": 101}}, "rows.maxDecrease", "less than or equal to 100"),
    ],
)
def test_contradictory_rules_are_refused_by_their_path(
    rules: dict[str, Any], place: str, message: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Contract.model_validate(rules)
    places = {".".join(map(str, error["loc"])): error["msg"] for error in refused.value.errors()}
    # a value may be of several types, and each says where it is none
    assert [text for at, text in places.items() if at.startswith(place) and message in text]
