"""The rules of a contract on a whole result: its columns with their types, and the number of its rows."""

from importer.lake.contract_result import RuleResult
from importer.snowflake.columns import DescribedColumn, type_text
from importer.spec.contract import ColumnRules, Contract, RowRules
from importer.spec.names import nearest_column


def check_columns(contract: Contract, columns: list[DescribedColumn]) -> list[RuleResult]:
    """Return whether the contract's columns are present with their types, and whether there are others."""
    types = {column.name: type_text(column) for column in columns}
    wanted = [*contract.columns, *(name for names in contract.unique for name in names)]
    results = [
        _check_column(name, contract.columns.get(name, ColumnRules()), types)
        for name in dict.fromkeys(wanted)
    ]
    if not contract.other_columns:
        others = [name for name in types if name not in wanted]
        measured = f"the query also returns {', '.join(others)}" if others else "no others"
        results.append(RuleResult("otherColumns", "no others", measured, not others))
    return results


def _check_column(name: str, rules: ColumnRules, types: dict[str, str]) -> RuleResult:
    """Return whether a column is present with its type; `types` are those of the query's columns."""
    found = types.get(name)
    if found is None:
        problem = f"the query returns no such column; {nearest_column(name, types)}"
        return RuleResult(f"columns.{name}", "present", problem, False)
    if rules.type is None:
        return RuleResult(f"columns.{name}", "present", "present", True)
    is_same = found == rules.type
    measured = found if is_same else f"the type is {found}, not {rules.type}"
    return RuleResult(f"columns.{name}.type", rules.type, measured, is_same)


def check_rows(rules: RowRules, rows: int, before: int | None) -> list[RuleResult]:
    """Return how the number of a version's rows compares with the rules.

    `before` is the number of the previous version, None where there is none; percentages are of it.
    A NotImplementedError names a rule that is declared and not known here.
    """
    results = []

    def add(rule: str, expected: str, passed: bool, change: str = "") -> None:
        counted = f"{rows} {'row' if rows == 1 else 'rows'}{change}"
        measured = counted if passed else f"{counted}, expected {expected}"
        results.append(RuleResult(f"rows.{rule}", expected, measured, passed))

    change = f" after {before} ({100 * (rows - before) / before:+.1f}%)" if before else ""
    for rule in type(rules).model_fields:
        match rule:
            case "min":
                if rules.min is not None:
                    add("min", f"at least {rules.min}", rows >= rules.min)
            case "max":
                if rules.max is not None:
                    add("max", f"at most {rules.max}", rows <= rules.max)
            case "max_decrease":
                if before and rules.max_decrease is not None:
                    is_few = 100 * (before - rows) > rules.max_decrease * before
                    add("maxDecrease", f"at most {rules.max_decrease:g}% fewer", not is_few, change)
            case "max_increase":
                if before and rules.max_increase is not None:
                    is_many = 100 * (rows - before) > rules.max_increase * before
                    add("maxIncrease", f"at most {rules.max_increase:g}% more", not is_many, change)
            case _:
                raise NotImplementedError(f"no check is known for the rule {rule} of the number of rows")
    return results
