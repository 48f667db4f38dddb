"""The parts of an index: namespaces, or the ids of one that begin alike."""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vecmig.model.plan import Partition
from vecmig.model.state import Cursor


class Range(NamedTuple):
    """The ids of a namespace that begin with `prefix`."""

    namespace: str
    prefix: str


class Place(NamedTuple):
    """A place in a partition: behind id `last` of its range number `range`; the page that it was in began at `token`."""

    range: int = 0
    last: str = ""
    token: str | None = None


def partitions(collection: str, counts: Mapping[str, int], prefixes: Sequence[str], at_most: int) -> list[Partition]:
    """Split namespaces with so many records into at most so many parts, of about the same size."""
    ranges = [Range(namespace, prefix) for namespace in sorted(counts) for prefix in sorted(prefixes) or [""]]
    if not ranges:
        return []
    sizes = [max(1, counts[each.namespace] / max(1, len(prefixes))) for each in ranges]
    whole, groups, done = sum(sizes), [[ranges[0]]], sizes[0]
    for each, size in zip(ranges[1:], sizes[1:], strict=True):
        if len(groups) < at_most and done >= whole * len(groups) / at_most:
            groups.append([])
        groups[-1].append(each)
        done += size
    return [Partition(collection, json.dumps(group, ensure_ascii=False)) for group in groups]


def ranges_of(part: Partition) -> list[Range]:
    return [Range(*each) for each in json.loads(part.token)]


def cursor(place: Place) -> Cursor:
    return Cursor(json.dumps(place, ensure_ascii=False))


def place(after: Cursor | None) -> Place:
    return Place(*json.loads(after)) if after is not None else Place()
