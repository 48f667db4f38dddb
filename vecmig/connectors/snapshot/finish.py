"""Finishing a snapshot: rows that count no more are taken out, and the manifest says what is there.

Any step can be the last one before a crash: new files repeat what old ones hold until the manifest, replaced at one
moment, names the old ones as replaced; only then are they removed.
"""

import time
from contextlib import closing

import numpy as np

from vecmig.connectors.snapshot import manifest as manifests
from vecmig.connectors.snapshot import parts
from vecmig.connectors.snapshot.dataset import Rows
from vecmig.connectors.snapshot.native import Native, described
from vecmig.connectors.snapshot.store import TEMPORARY, Entry, listed, put, remove
from vecmig.model.batch import RecordBatch, concat

ABANDONED_S = 3600.0  # a temporary file this old belongs to no writer any more


def finish(data: Native) -> None:
    """Make the manifest say all. Memory: one part."""
    kept: list[manifests.Part] = []
    replaced = [entry.name for entry in data.deletions]
    for entry, part in zip(data.files, described(data), strict=True):
        if entry.name not in data.dead:
            kept.append(part)
            continue
        replaced.append(entry.name)
        living = _living(data, entry)
        if len(living):
            part, content = parts.part_of(living, parts.generation(entry.name))
            put(data.store, part.name, content)
            kept.append(part)
    kept = sorted({part.name: part for part in kept}.values(), key=lambda part: part.name)
    replaced = [name for name in replaced if name not in {part.name for part in kept}]
    manifests.save(data.store, manifests.with_parts(data.manifest, tuple(kept), tuple(replaced)))
    for name in replaced:
        remove(data.store, name)


def sweep(data: Native) -> None:
    """Remove what a crash left behind. To be done before `finish`, whose manifest forgets what was replaced before."""
    there = {entry.name for entry in listed(data.store, parts.DIRECTORY) or ()}
    for name in there.intersection(data.manifest.replaced):
        remove(data.store, name)
    if not data.store.local or not there:
        return
    for info in data.store.fs.ls(data.store.path(parts.DIRECTORY), detail=True):
        name = info["name"].rsplit("/", 1)[-1]
        if name.startswith(TEMPORARY) and time.time() - info["mtime"] > ABANDONED_S:
            remove(data.store, f"{parts.DIRECTORY}/{name}")


def _living(data: Native, entry: Entry) -> RecordBatch:
    vectors = data.collection.vectors
    with closing(Rows(data, entry)) as rows:
        groups = range(len(rows.groups))
        columns = data.columns(vectors, rows.file.schema_arrow)
        batches = [data.records(page, vectors, entry.name, 0) for page in rows.raw(groups, columns)]
    whole = concat(batches)
    return whole.take(np.delete(np.arange(len(whole)), data.dead[entry.name]))
