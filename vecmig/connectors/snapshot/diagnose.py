"""Checks of a snapshot for `doctor`."""

import os
from collections.abc import Iterator
from pathlib import Path

from vecmig.connectors.snapshot import manifest as manifests
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.connectors.snapshot.store import listed, matching, open_store
from vecmig.errors import ConnectorError


def diagnose(options: SnapshotOptions) -> Iterator[tuple[str, bool, str]]:
    """Yield (what, whether it is well, detail or way out). Writes nothing."""
    try:
        store = open_store(options.path)
        found = manifests.load(store)
        if found is not None:
            yield "snapshot", True, f"{found.rows:,} records in {len(found.parts):,} parts"
        elif files := matching(store)[1]:
            yield "snapshot", True, f"{len(files):,} Parquet files made by others"
        elif listed(store):
            yield (
                "snapshot",
                False,
                f"{options.path} holds other files: give the path of an empty directory, or of none",
            )
        else:
            yield "snapshot", True, f"{options.path} holds nothing yet"
    except ConnectorError as error:
        yield "snapshot", False, str(error)
        return
    if store.local:
        place = Path(store.root)
        while not place.exists():
            place = place.parent
        writable = os.access(place, os.W_OK)
        yield "writable", writable, f"{place}" if writable else f"{place} is read-only: it can be a source, no target"
