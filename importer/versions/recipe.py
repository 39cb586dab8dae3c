"""What the versions of an asset are made by: the query of an import, or the rules of a curation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from importer.errors import ImporterError


@dataclass(frozen=True)
class Recipe:
    """The hash of a query or of rules. A version keeps it as the tag of that name."""

    tag: Literal["query_hash", "rules_hash"]
    hash: str

    def check(self, version: str, tags: Mapping[str, str]) -> None:
        """Raise an ImporterError unless the tags of a version, `<asset>:<version>`, have this hash."""
        if tags.get(self.tag) == self.hash:
            return
        match self.tag:
            case "query_hash":
                made_by, remedy = "another query", "import as another --version"
            case "rules_hash":
                made_by, remedy = "other rules", "these rules apply from the next version on"
            case _:
                assert_never(self.tag)
        raise ImporterError(f"asset {version} exists already and was made by {made_by}: {remedy}")
