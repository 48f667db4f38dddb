"""What a target refused, kept so that it is known whether the source has mended it since."""

from collections.abc import Sequence

from msgspec.structs import replace

from vecmig.model.batch import RecordBatch, Rejected
from vecmig.model.digest import digest_of


def by_target(batch: RecordBatch, rejected: Sequence[Rejected]) -> tuple[Rejected, ...]:
    """Return the records of a batch that the target rejected, marked so, each with its digest."""
    if not rejected:
        return ()
    row_of = {key: row for row, key in enumerate(batch.keys)}
    return tuple(replace(each, by_target=True, digest=digest_of(batch.take([row_of[each.key]]))) for each in rejected)
