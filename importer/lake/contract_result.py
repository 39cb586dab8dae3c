"""How a contract turned out: a result for each rule, and the error that says which are breached."""

from typing import NamedTuple

from importer.errors import ImporterError

#: How many examples of a breach are shown, and how much of each.
EXAMPLES = 5
_EXAMPLE_LENGTH = 60


class RuleResult(NamedTuple):
    """One rule by its path, such as `columns.PRICE.min`: what it asks for, and what the rows were like."""

    rule: str
    expected: str
    measured: str
    passed: bool


class ContractBreachError(ImporterError):
    """Rows are not what the contract says: no version is made of them."""

    def __init__(self, asset: str, breached: list[RuleResult]) -> None:
        rules = "; ".join(f"{result.rule}: {result.measured}" for result in breached)
        super().__init__(f"contract of {asset}: {rules} (nothing is registered)")


def shortened(text: str) -> str:
    """Return text of any length, on one line, as a part of a message."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line if len(line) <= _EXAMPLE_LENGTH else line[:_EXAMPLE_LENGTH] + "…"
