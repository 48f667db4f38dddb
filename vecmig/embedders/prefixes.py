"""What stands before a text, so that a model can tell a passage from a query."""

from dataclasses import dataclass

from vecmig.catalogue.models import ModelFacts
from vecmig.protocols import TextKind


@dataclass(frozen=True, slots=True)
class Prefixes:
    passage: str = ""
    query: str = ""

    def of(self, kind: TextKind) -> str:
        return self.query if kind == "query" else self.passage

    @property
    def longest(self) -> str:
        """The one that leaves less room for a text."""
        return max(self.passage, self.query, key=len)


def prefixes_of(facts: ModelFacts, passage: str | None, query: str | None) -> Prefixes:
    """Return those that the spec gives, else what is known of the model."""
    return Prefixes(
        facts.passage_prefix if passage is None else passage,
        facts.query_prefix if query is None else query,
    )
