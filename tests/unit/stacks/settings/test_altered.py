"""Values that arrive otherwise than they were written are refused, and ordinary ones are not."""

from typing import Any

import pytest

from stacks.settings.explain import SettingsError
from stacks.settings.load import load
from tests.unit.stacks.stack_config import IMPORT, config, refusal


def bound(value: object) -> list[dict[str, Any]]:
    """Return an import whose contract has a bound."""
    return [{**IMPORT, "contract": {"columns": {"C": {"min": value}}}}]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (2**53, "a number from 2^53 on loses digits on its way: put it in quotes; it is 9007199254740992"),
        (-(2**53), "a number from 2^53 on loses digits"),
        (1.2345678901234567e19, "a number from 2^53 on loses digits"),
        (
            "2024-01-01 00:00:00 +0000 UTC",
            "YAML has read a date and changed how it is written: put it in quotes",
        ),
        ("2024-01-01 10:00:00.5 +0200 +0200", "YAML has read a date"),
    ],
)
def test_value_that_was_changed_on_its_way_is_refused_with_its_path(value: object, problem: str) -> None:
    said = refusal(imports=bound(value))
    assert said.startswith("ai-platform:imports[0].contract.columns.C.min: ")
    assert problem in said


@pytest.mark.parametrize("value", [2**53 - 1, 0.1, str(2**60), "2024-01-01", "2024-01-01 00:00:00"])
def test_value_that_arrives_as_written_is_accepted(value: object) -> None:
    contract = load(config(imports=bound(value))).imports[0].contract
    assert contract is not None
    assert contract.columns["C"].min == value


def test_changed_value_of_a_secret_is_not_printed() -> None:
    secret: dict[str, Any] = {"ai-platform:tags": '{"a": "2024-01-01 00:00:00 +0000 UTC"}'}
    with pytest.raises(SettingsError, match="put it in quotes; it is") as refused:
        load({**config(), **secret}, frozenset(secret))
    assert "2024" not in str(refused.value)
