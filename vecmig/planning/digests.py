"""What must not have moved between a plan and what carries it out, each as one digest."""

import hashlib

import msgspec

from vecmig.migration import Migration
from vecmig.model.collection import Collection
from vecmig.model.observed import Observed
from vecmig.model.plan import Conversion
from vecmig.planning.declare import without_index
from vecmig.protocols import ConnectorOptions


def schema_digest(collection: Collection | None) -> str:
    """Return a digest of what of a collection cannot be changed in place; of its absence, too."""
    shape = msgspec.to_builtins(without_index(collection)) if collection else None
    if shape is not None:  # what a store does not know of is left out: it says nothing
        del shape["settings"]
        del shape["findings"]
        del shape["left_out"]
        del shape["unwritable"]
        if shape["namespaced"] is None:
            del shape["namespaced"]
    return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()


def endpoints_digest(migration: Migration, source: Observed, target: Observed) -> str:
    """Return a digest of where both sides are and how they are read; secrets count as expressions."""
    ends = [
        (end.type, _meant(end.plain or end.options), observed.place)
        for end, observed in ((migration.source, source), (migration.target, target))
    ]
    return hashlib.sha256(msgspec.json.encode(ends)).hexdigest()


def _meant(options: ConnectorOptions) -> dict[str, object]:
    given: dict[str, object] = msgspec.to_builtins(options)
    return {key: value for key, value in given.items() if key not in getattr(options, "incidental", ())}


def conversion_digest(conversion: Conversion) -> str:
    """Return a digest that changes where records would be converted otherwise."""
    return hashlib.sha256(msgspec.json.encode(conversion)).hexdigest()
