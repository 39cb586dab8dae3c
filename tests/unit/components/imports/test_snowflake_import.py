"""An import as a component: which columns it has."""

from typing import Any

import pulumi
import pytest

from components.imports.snowflake_import import SnowflakeImport, SnowflakeImportArgs
from tools.declared import declare


def test_import_selects_its_columns_without_an_output_for_each_value(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [{"name": f"C{n}", "type": "NUMBER(38,0)", "nullable": True} for n in range(80)]
    names = [f"table_{n:03d}" for n in range(100)]
    calls = 0
    from_input = pulumi.Output.from_input

    def counting(value: object) -> "pulumi.Output[Any]":
        nonlocal calls
        calls += 1
        return from_input(value)

    monkeypatch.setattr(pulumi.Output, "from_input", counting)
    known = pulumi.Output.from_input(None).apply(lambda _: dict.fromkeys(names, columns))
    seen: list[object] = []

    def program() -> None:
        args = SnowflakeImportArgs(
            workspace={"subscription_id": "s", "resource_group": "rg", "name": "ws"},
            spec={"name": names[7], "query": "SELECT 1", "connection": "snowflake"},
            columns=known,
            cron="0 6 * * *",
            time_zone="UTC",
            image="image",
        )
        SnowflakeImport("an-import", args).columns.apply(seen.append)

    declare(program)
    assert seen == [columns]
    # an Output for each value of all imports would be 32,000
    assert calls < 2000
