"""A hundred imports in one stack: none waits for another."""

from tests.unit.test_imports_alone import EXISTING, build
from tests.unit.test_platform import CONNECTION, SCHEDULE
from tests.unit.test_settings import snowflake

NAMES = [f"table_{n:03d}" for n in range(100)]
IMPORTS = [
    {"name": name, "query": f"SELECT * FROM {name}", "schedule": f"{n % 60} 6 * * *"}  # noqa: S608
    for n, name in enumerate(NAMES)
]


def test_no_import_waits_for_another_one() -> None:
    declared = build(EXISTING, imports=IMPORTS)
    assert {r.inputs["spec"]["name"] for r in declared.all(SCHEDULE)} == set(NAMES)
    waiting = [urn for urn in declared.dependencies if urn.rpartition("::")[2].startswith("globodev-table_")]
    assert len(waiting) == 200  # a component and its schedule each
    for urn in waiting:
        (own,) = (name for name in NAMES if name in urn)
        waited_for = {name for name in NAMES for other in declared.dependencies[urn] if name in other}
        assert waited_for <= {own}


def test_the_connection_knows_every_query_and_the_limit() -> None:
    declared = build(EXISTING, imports=IMPORTS)
    connection = declared.one(CONNECTION)
    assert set(connection["queries"]) == set(NAMES)
    assert connection["concurrent_imports"] == 8


def test_the_limit_is_a_setting() -> None:
    declared = build(EXISTING, snowflake=snowflake(concurrentImports=3))
    assert declared.one(CONNECTION)["concurrent_imports"] == 3
