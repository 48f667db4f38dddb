"""A Weaviate that can be killed and comes back at the same address with the same data: the double, and a real server."""

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.crash.scenario import POSTGRES, SNAPSHOT, Scenario
from tests.weaviate_server import WeaviateProgram, WeaviateServer
from vecmig.errors import CollectionNotFound
from vecmig.model.record import Key
from vecmig.protocols import Search, Source

RECORDS = 1_200
Record = tuple[bytes, Any]
"""Vector and metadata."""


@dataclass(frozen=True, slots=True)
class Mortal:
    """A server of one's own. `kill`: with all that it had not handed to the operating system."""

    server: WeaviateServer
    kill: Callable[[], None]
    start: Callable[[], object]

    def end(self, collection: str) -> str:
        """Return a collection as a spec has it."""
        grpc = f"grpc://{self.server.grpc_host}:{self.server.grpc_port}"
        return f'{{type: weaviate, url: "{self.server.url}", grpc_url: "{grpc}", collection: {collection}}}'

    def scenario(self, directory: Path, dsn: str, role: str) -> Scenario:
        """Return a migration that has not begun, with a new collection in this role."""
        there = self.end(f"Crash_{secrets.token_hex(6)}")
        ends = (there, POSTGRES) if role == "source" else (SNAPSHOT, there)
        made = Scenario(directory, dsn, ends, records=RECORDS, in_small_pages=True)
        made.begin()
        return made


@contextmanager
def mortal_double() -> Iterator[Mortal]:
    from tests.doubles.weaviate import running

    with running() as double:
        yield Mortal(WeaviateServer.of(double), double.kill, double.start)


@contextmanager
def mortal_program() -> Iterator[Mortal]:
    """The program, killed with SIGKILL. Skips the test where there is none."""
    program = WeaviateProgram.prepared()
    try:
        yield Mortal(program.start(), partial(program.stop, kill=True), program.start)
    finally:
        program.discard()


MORTALS = {"double": mortal_double, "real": mortal_program}


@dataclass(frozen=True, slots=True)
class Difference:
    """What the target has unlike the source; falsy if nothing."""

    missing: list[Key]
    extra: list[Key]
    doubled: list[Key]
    altered: list[Key]
    unfindable: list[Key]
    """That a search for their own vector does not find."""

    def __bool__(self) -> bool:
        return any((self.missing, self.extra, self.doubled, self.altered, self.unfindable))


def difference(scenario: Scenario) -> Difference:
    """Hold the target against the source, record by record."""
    (migration,) = scenario.project().migrations
    with closing(migration.source.open_source()) as source, closing(migration.target.open_target()) as target:
        wanted, _ = _records(source, migration.source.options.collection)
        name = migration.target.options.collection
        found, counts = _records(target, name)
        return Difference(
            sorted(wanted.keys() - found.keys()),
            sorted(found.keys() - wanted.keys()),
            sorted(key for key, number in counts.items() if number > 1),
            sorted(key for key, record in wanted.items() if key in found and found[key] != record),
            _unfindable(target, name) if migration.target.type == "weaviate" else [],
        )


def finish(scenario: Scenario) -> None:
    """Run to the end, and hold the target against the source."""
    assert scenario.apply() == 0, scenario.complaint
    assert not difference(scenario)


def stored(scenario: Scenario) -> dict[Key, Record]:
    """Return the records of the target; none where there is no such collection yet."""
    (migration,) = scenario.project().migrations
    with closing(migration.target.open_target()) as target, suppress(CollectionNotFound):
        return _records(target, migration.target.options.collection)[0]
    return {}


def delete(scenario: Scenario, keys: list[Key]) -> None:
    """Delete records of the target behind vecmig's back."""
    (migration,) = scenario.project().migrations
    with closing(migration.target.open_target()) as target:
        target.delete(migration.target.options.collection, keys)


def _records(store: Source, collection: str) -> tuple[dict[Key, Record], Counter[Key]]:
    """Return the records, and how often each was given."""
    found: dict[Key, Record] = {}
    counts: Counter[Key] = Counter()
    for part in store.partitions(collection, 1):
        for batch, _ in store.read(part, None):
            vectors, metadata = batch.vectors(""), batch.strings("metadata")
            for row, key in enumerate(batch.keys):
                found[key] = (vectors[row].tobytes(), json.loads(metadata[row]))
            counts.update(batch.keys)
    return found, counts


def _unfindable(store: Source, collection: str) -> list[Key]:
    lost = []
    for part in store.partitions(collection, 1):
        for batch, _ in store.read(part, None):
            vectors, keys = batch.vectors(""), batch.keys
            for namespace in sorted({key.namespace for key in keys}):
                rows = [row for row, key in enumerate(keys) if key.namespace == namespace]
                hits = store.search(collection, Search(vectors[rows], 1, namespace=namespace))
                lost += [keys[row] for row, hit in zip(rows, hits, strict=True) if list(hit.keys) != [keys[row]]]
    return lost
