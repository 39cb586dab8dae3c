"""A stack with a hundred imports."""

from tests.unit.stacks.declared_stacks import CONNECTION, EXISTING_WORKSPACE, SCHEDULE, declare_imports_alone
from tests.unit.stacks.stack_config import snowflake

NAMES = [f"table_{n:03d}" for n in range(100)]
IMPORTS = [
    {"name": name, "query": f"SELECT * FROM {name}", "schedule": f"{n % 60} 6 * * *"}  # noqa: S608
    for n, name in enumerate(NAMES)
]


def test_imports_do_not_depend_on_each_other() -> None:
    declared = declare_imports_alone(EXISTING_WORKSPACE, imports=IMPORTS)
    assert {r.inputs["spec"]["name"] for r in declared.all(SCHEDULE)} == set(NAMES)
    waiting = [urn for urn in declared.dependencies if urn.rpartition("::")[2].startswith("globodev-table_")]
    assert len(waiting) == 200  # a component and its schedule each
    for urn in waiting:
        (own,) = (name for name in NAMES if name in urn)
        waited_for = {name for name in NAMES for other in declared.dependencies[urn] if name in other}
        assert waited_for <= {own}


def test_connection_has_every_query_and_the_default_limit() -> None:
    declared = declare_imports_alone(EXISTING_WORKSPACE, imports=IMPORTS)
    connection = declared.one(CONNECTION)
    assert set(connection["queries"]) == set(NAMES)
    assert connection["concurrent_imports"] == 8


def test_concurrent_imports_setting_reaches_the_connection() -> None:
    declared = declare_imports_alone(EXISTING_WORKSPACE, snowflake=snowflake(concurrentImports=3))
    assert declared.one(CONNECTION)["concurrent_imports"] == 3
