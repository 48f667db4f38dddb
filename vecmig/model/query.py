"""Queries of the user's own, as a file says them."""

from collections.abc import Collection

from msgspec import Struct

from vecmig.model.filter import Filter

Numbers = tuple[float, ...]


class Query(Struct, frozen=True):
    """Either `text` or `vectors` is given."""

    line: int  # of the file, from 1
    text: str | None = None
    vectors: dict[str | None, Numbers] = {}  # by name in the target; None: of its only vector
    filter: Filter | None = None  # of the target's fields
    namespace: str | None = None  # of the target; None: its only one, or the one without a name
    relevant: dict[str, float] = {}  # id -> grade, 0 and up; empty: not labelled

    @property
    def labelled(self) -> bool:
        return bool(self.relevant)

    def namespace_in(self, known: Collection[str]) -> str:
        """Return the namespace that is searched, where these are there."""
        if self.namespace is not None:
            return self.namespace
        return next(iter(known)) if len(known) == 1 else ""


class Golden(Struct, frozen=True):
    """All queries of a file."""

    file: str  # as errors name it
    queries: tuple[Query, ...]

    @property
    def labelled(self) -> int:
        """How many queries say what is relevant to them."""
        return sum(query.labelled for query in self.queries)

    @property
    def texts(self) -> int:
        """How many queries are texts."""
        return sum(query.text is not None for query in self.queries)
