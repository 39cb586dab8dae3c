"""The results of a contract's rules, and the error that names the breached ones."""

from typing import NamedTuple

from importer.errors import ImporterError

#: How many examples of a breach an error shows, and the longest one, in characters.
EXAMPLES = 5
_EXAMPLE_LENGTH = 60


class RuleResult(NamedTuple):
    """The result of one rule: its path, such as `columns.PRICE.min`, the expected and the measured value."""

    rule: str
    expected: str
    measured: str
    passed: bool


class ContractBreachError(ImporterError):
    """The rows breach the contract: no version is registered."""

    def __init__(self, asset: str, breached: list[RuleResult]) -> None:
        rules = "; ".join(f"{result.rule}: {result.measured}" for result in breached)
        super().__init__(
            f"contract of {asset}: {rules} (nothing is registered): correct the rows and run `importer start "
            f"{asset}`, or change the rule and run `pulumi up`"
        )


def shortened(text: str) -> str:
    """Return text on one line, cut to the length of an example."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line if len(line) <= _EXAMPLE_LENGTH else line[:_EXAMPLE_LENGTH] + "…"
