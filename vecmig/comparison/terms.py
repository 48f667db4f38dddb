"""What a comparison is about, and who hears of it, whichever way it is made."""

from collections.abc import Collection
from dataclasses import dataclass
from threading import Event

from vecmig.comparison.reading import Control, Watch, control
from vecmig.comparison.sampler import Sampler
from vecmig.model.record import Key


@dataclass(frozen=True, slots=True)
class Terms:
    written: Collection[str] = ()  # namespaces that the migration has written before: outside these and those that the
    # source holds now, the target's records are not its business; where there are none at all, everything is
    excluded: Collection[
        Key
    ] = ()  # keys that the target refused: not expected, and as little extra as what cannot be moved
    sampler: Sampler | None = None  # is shown every expected record of the source
    watch: Watch | None = None  # is told of what was read
    stop: Event | None = None  # set by the user: end with Stopped

    def control(self) -> Control:
        """Return what the readers of one comparison share."""
        return control(self.stop, self.watch)


EVERYTHING = Terms()
