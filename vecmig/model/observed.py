"""Both sides as they are now: no intent yet."""

from collections.abc import Mapping
from dataclasses import dataclass

from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection
from vecmig.model.plan import Fingerprint, Partition


@dataclass(frozen=True, slots=True)
class Observed:
    """One side. `collection` is None where there is none, and then all else is empty."""

    collection: Collection | None
    counts: Mapping[str, int]  # records per namespace
    fingerprint: Fingerprint | None = None
    sample: RecordBatch | None = None  # of the source: a few hundred to a few thousand records from several places
    partitions: tuple[Partition, ...] = ()  # of the source
    place: str = ""  # which database that is
    keeps_cursors: bool = True  # see Capabilities
    rounds_integers: bool = False  # likewise

    @property
    def rows(self) -> int:
        return sum(self.counts.values())
