"""`make bench`: what vecmig reaches, as ratios to what the store reaches by itself in the same run."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from threading import Event

import orjson
from msgspec.structs import replace

from tests.benchmarks import embedding, switching, weaviate
from tests.benchmarks.data import DIMENSIONS, chunks, snapshot
from tests.benchmarks.pinecone import (
    ASKED_AT_ONCE,
    SENT_AT_ONCE,
    Client,
    Transport,
    bare_read,
    bare_write,
    client,
    index,
)
from tests.benchmarks.pinecone import double as double_process
from tests.benchmarks.postgres import copy_across, copy_from_file, copy_out, copy_to_file, empty, server, table, vecmig
from tests.benchmarks.timing import compare, cores
from tests.doubles.openai import running as openai_running
from tests.doubles.openai.api import Model
from tests.doubles.pinecone.__main__ import DATA_OPERATIONS, INJECTED
from tests.doubles.pinecone.server import running
from tests.weaviate_server import connected
from vecmig.comparison.compare import compare as compare_sides
from vecmig.comparison.sides import source_side, target_side
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.weaviate.connector import WeaviateConnector
from vecmig.execution.local import LocalExecutor
from vecmig.migration import Embedding, Endpoint, Migration
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.collection import Collection, Field, Index, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.plan import Conversion, LoadRecords
from vecmig.model.settings import Execution, Limits
from vecmig.model.state import Progress, State
from vecmig.protocols import ConnectorOptions
from vecmig.workflow.run import EMBED_PAGE_ROWS

ROWS = 50_000
MIB = 1 << 20
TRANSPORTS: tuple[Transport, ...] = ("grpc", "rest")


def main(chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="vmb", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        for title, bench in BENCHES.items():
            if not chosen or title in chosen:
                print(f"\n{title}: two processes at once do {cores():.2f} times the work of one", flush=True)
                bench(directory)


def endpoint(name: str, options: ConnectorOptions) -> Endpoint:
    return Endpoint(name, name, options)


def load(source: ConnectorOptions, target: ConnectorOptions, workers: int) -> Callable[[], None]:
    """Return a call that moves all records as apply does: read, convert, hash, write, acknowledge."""
    migration = Migration("bench", endpoint("source", source), endpoint("target", target))
    executor = LocalExecutor({"bench": migration}, Execution(workers), Limits(), Path(), Event())
    with closing(source.open()) as opened:
        parts = tuple(opened.partitions(source.collection, 4 * workers))
    action = LoadRecords("bench", source.collection, target.collection, parts, Conversion(), ROWS)

    def run() -> None:
        events = executor.run(action, State("b", "b", "l"))
        assert sum(event.rows for event in events if isinstance(event, Progress)) == ROWS

    return run


def bench_load(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        target = table(dsn, "loaded")
        once = load(source, target, 2)
        once()
        prepared = copy_to_file(dsn, "loaded")

        def bare() -> None:
            copy_from_file(dsn, "loaded", prepared)

        halves = [copy_to_file(dsn, "loaded", "right(id, 1) < '5'"), copy_to_file(dsn, "loaded", "right(id, 1) >= '5'")]

        def two() -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda half: copy_from_file(dsn, "loaded", half), halves))

        # what two workers cannot go beyond, though reading, converting and hashing took no time at all
        compare(
            "two server-side COPY of a half each, to one", ROWS, two, bare, None, before=lambda: empty(dsn, "loaded")
        )
        for workers, wanted in ((1, 0.9), (2, 1.0)):
            name = f"snapshot -> pgvector, {workers} worker(s), to a server-side COPY"
            compare(name, ROWS, load(source, target, workers), bare, wanted, before=lambda: empty(dsn, "loaded"))


def bench_across(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        there = table(dsn, "there")
        load(source, there, 2)()
        here = table(dsn, "here")
        for workers in (1, 2):
            name = f"pgvector -> pgvector, {workers} worker(s), to COPY piped to COPY"
            compare(
                name,
                ROWS,
                load(there, here, workers),
                lambda: copy_across(dsn, "there", "here"),
                0.7,
                before=lambda: empty(dsn, "here"),
            )


def bench_verify(directory: Path) -> None:
    source = snapshot(directory / "snapshot", ROWS)
    with server(directory / "pg") as dsn:
        first, second = table(dsn, "one"), table(dsn, "two")
        load(source, first, 2)()
        load(source, second, 2)()

        def bare() -> None:
            copy_out(dsn, "one")

        def two() -> None:
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda name: copy_out(dsn, name), ("one", "two")))

        # what no comparison of two tables can go beyond
        compare("two bare COPY out at once, to one", ROWS, two, bare, at_least=None)
        for name, left in (("snapshot", source), ("pgvector", second)):
            migration = Migration("bench", endpoint("source", left), endpoint("target", first))

            def ours(migration: Migration = migration) -> None:
                stop = Event()
                with closing(migration.source.open_source()) as opened:
                    parts = opened.partitions(migration.source.options.collection, 8)
                side = source_side(migration, parts, Conversion(), 2, lambda *_: None, stop)
                assert compare_sides(side, target_side(migration, 2, stop)).equal

            compare(f"{name} = pgvector compared, to a bare COPY out", ROWS, ours, bare, 0.7)


def bench_memory(directory: Path) -> None:
    """Peak memory of one worker, and a second apply."""
    with server(directory / "pg") as dsn:
        for rows in (10_000, 200_000):
            place = directory / str(rows)
            place.mkdir()
            snapshot(place / "source", rows)
            spec(place, f"rows_{rows}")
            seconds, peak = vecmig(place, "apply", "--auto-approve", environment={"BENCH_DSN": dsn})
            print(
                f"apply of {rows:,} x {DIMENSIONS}, one worker: {peak / MIB:.0f} MiB at most, {seconds:.0f} s",
                flush=True,
            )
        again = [vecmig(place, "apply", "--auto-approve", environment={"BENCH_DSN": dsn})[0] for _ in range(5)]
        print(f"second apply on {rows:,} unchanged rows: {statistics.median(again):.2f} s (wanted under 3)")


def bench_pinecone(directory: Path) -> None:
    """Through the connector, digests included, to a bare loop with the SDK; both to the same double."""
    rows = 20_000
    pages = list(chunks(rows))
    batches = [concat(pages[at : at + 2]) for at in range(0, len(pages), 2)]  # about what the engine hands over
    with double_process() as url:
        for transport in TRANSPORTS:
            options = index(url, f"bench-{transport}", transport)
            with client(url, options.index, transport) as bare, closing(options.open()) as ours:

                def write(ours: PineconeConnector = ours, name: str = options.index) -> None:
                    for batch in batches:
                        digest_of(batch)
                        assert not ours.upsert(name, batch)

                def read(ours: PineconeConnector = ours, name: str = options.index) -> None:
                    found = 0
                    for part in ours.partitions(name, 1):
                        for batch, _ in ours.read(part, None):
                            digest_of(batch)
                            found += len(batch)
                    assert found == rows

                def bare_writes(bare: Client = bare, transport: Transport = transport) -> None:
                    bare_write(bare, batches, SENT_AT_ONCE[transport])

                def bare_reads(bare: Client = bare, transport: Transport = transport) -> None:
                    assert bare_read(bare, ASKED_AT_ONCE[transport]) == rows

                compare(f"pinecone written over {transport}, to a bare SDK loop", rows, write, bare_writes, 0.8)
                compare(f"pinecone read over {transport}, to a bare SDK loop", rows, read, bare_reads, 0.8)


def bench_storm(directory: Path) -> None:
    """A migration while one request in ten fails: nothing lost, nothing doubled, few requests more."""
    rows, dimensions = 20_000, 256
    place = directory / "storm"
    place.mkdir()
    snapshot(place / "source", rows, dimensions)
    for transport in TRANSPORTS:
        sent = []
        for probability in (0.0, 0.1):
            with running(seed=7) as double:
                for fault in INJECTED:
                    double.faults.add(fault, on=DATA_OPERATIONS, probability=probability / len(INJECTED))
                target = f'{{type: pinecone, api_key: "{{{{ env.BENCH_KEY }}}}", index: storm, host: "{double.url}", transport: {transport}}}'
                name = f"storm-{transport}-{int(100 * probability)}"
                write_spec(place, name, "{type: snapshot, path: source}", target)
                seconds, _ = vecmig(place, "apply", "--auto-approve", environment={"BENCH_KEY": "bench"})
                sent.append(len(double.requests))
                held = len(double.store.find("storm").records())
                print(
                    f"snapshot -> pinecone over {transport}, {rows:,} x {dimensions}, {probability:.0%} of the requests fail:"
                    f" {sent[-1]:,} requests, {held:,} records, verified, {seconds:.0f} s",
                    flush=True,
                )
                assert held == rows, "records were lost, or doubled"
        print(f"requests, to those of a quiet service: {sent[1] / sent[0]:.2f} (wanted at most 1.30)", flush=True)
        assert sent[1] <= 1.3 * sent[0], "too many requests"


def bench_pinecone_memory(directory: Path) -> None:
    """Peak memory of one worker that reads from Pinecone, and of one that writes to it."""
    with server(directory / "pg") as dsn:
        for rows in (10_000, 200_000):
            place = directory / f"pinecone-{rows}"
            place.mkdir()
            with double_process() as url:
                options = index(url, "source", "grpc")
                with client(url, options.index, "grpc") as bare:
                    for batch in chunks(rows):
                        bare_write(bare, [batch], SENT_AT_ONCE["grpc"])
                ends = {
                    "s": f'{{type: pinecone, api_key: "{{{{ env.BENCH_KEY }}}}", index: source, host: "{url}"}}',
                    "p": f'{{type: pgvector, dsn: "{{{{ env.BENCH_DSN }}}}", table: from_pinecone_{rows}}}',
                    "t": f'{{type: pinecone, api_key: "{{{{ env.BENCH_KEY }}}}", index: target, host: "{url}"}}',
                }
                for name, source, target in (("out", "s", "p"), ("in", "p", "t")):
                    # no search: the double compares every record, which is the double's time and memory
                    write_spec(place, f"{name}-{rows}", ends[source], ends[target], search="null")
                    environment = {"BENCH_KEY": "bench", "BENCH_DSN": dsn}
                    seconds, peak = vecmig(place, "apply", "--auto-approve", environment=environment)
                    what = "pinecone -> pgvector" if name == "out" else "pgvector -> pinecone"
                    print(
                        f"{what}, {rows:,} x {DIMENSIONS}, one worker: {peak / MIB:.0f} MiB at most, {seconds:.0f} s",
                        flush=True,
                    )


def spec(place: Path, name: str) -> None:
    target = f'{{type: pgvector, dsn: "{{{{ env.BENCH_DSN }}}}", table: {name}}}'
    write_spec(place, name.replace("_", "-"), "{type: snapshot, path: source}", target)


def bench_weaviate(directory: Path) -> None:
    """Through the connector, digests included, to bare loops with the client; all to the same server."""
    rows = 20_000
    pages = list(chunks(rows))
    batches = [concat(pages[at : at + 2]) for at in range(0, len(pages), 2)]
    fields = (Field("n", "int"), Field("lang", "text"), Field("text", "text"))
    with weaviate.server() as found, connected(found) as client:
        for index in ("flat", "hnsw"):
            options = weaviate.options(found, f"Bench_{index}")
            vectors = (VectorField("", DIMENSIONS, "cosine", index=Index(index)),)
            declared = Collection(options.collection, vectors, fields, mark="vecmig:bench/bench:0", namespaced=False)
            with closing(options.open()) as ours:
                ours.create(declared)

                def write(ours: WeaviateConnector = ours, name: str = options.collection) -> None:
                    for batch in batches:
                        digest_of(batch)
                        assert not ours.upsert(name, batch)

                def bare_writes(name: str = options.collection) -> None:
                    weaviate.bare_write(client, name, batches)

                compare(
                    f"weaviate ({index}) written, to a bare insert_many loop", rows, write, bare_writes, 0.8, runs=3
                )
                if index == "hnsw":
                    continue

                def read(ours: WeaviateConnector = ours, name: str = options.collection) -> None:
                    found = 0
                    for part in ours.partitions(name, 1):
                        for batch, _ in ours.read(part, None):
                            digest_of(batch)
                            found += len(batch)
                    assert found == rows

                def bare_reads(name: str = options.collection) -> None:
                    assert weaviate.bare_read(client, name) == rows

                def iterates(name: str = options.collection) -> None:
                    assert weaviate.iterated(client, name) == rows

                compare("weaviate read, to a bare loop on raw protobuf", rows, read, bare_reads, 0.8, runs=3)
                compare("weaviate read, to the client's iterator", rows, read, iterates, 2.0, runs=3)


def bench_embed(directory: Path) -> None:
    """A provider that answers at once, and one that takes 3,000 requests a minute."""
    rows = 20_000
    source = replace(snapshot(directory / "texts", rows, 8), page_rows=EMBED_PAGE_ROWS)  # as `apply` reads it
    texts = [f"{n} {text}" for batch in chunks(rows, 8) for n, text in _texts(batch)]
    with closing(source.open()) as opened:
        parts = tuple(opened.partitions(source.collection, 4))
    with embedding.at_once() as url, server(directory / "pg") as dsn:
        target = table(dsn, "embedded")
        made = snapshot(directory / "vectors", rows)

        def embeds(url: str, model: str = embedding.MODEL, items: int = embedding.ITEMS) -> int:
            asked = Embedding(f"openai/{model}", DIMENSIONS, embedding.provider(url, items))
            migration = Migration("bench", endpoint("source", source), endpoint("target", target), asked)
            rules = embedding.conversion(model=model)
            action = LoadRecords("bench", source.collection, target.collection, parts, rules, rows)
            with embedding.purse(directory) as purse:
                executor = LocalExecutor(
                    {"bench": migration}, Execution(2), Limits(), Path(), Event(), {"bench": purse}
                )
                events = executor.run(action, State("b", "b", "l"))
                return sum(event.rows for event in events if isinstance(event, Progress))

        def ours() -> None:
            assert embeds(url) == rows

        def before() -> None:
            empty(dsn, "embedded")

        calls = compare(
            "embedding, to bare calls of the SDK", rows, ours, lambda: embedding.bare_calls(url, texts), None, 3, before
        )
        writes = compare("embedding, to a bare load", rows, ours, load_rows(made, target, rows), None, 3, before)
        slower = min(calls, writes, key=lambda each: statistics.median(each.theirs))
        print(f"embedding, to the slower of both: {slower.median:.2f}, wanted 0.80: {slower.verdict(0.8)}", flush=True)
        both = sum(1 / statistics.median(each.theirs) for each in (calls, writes))
        mine = statistics.median([*calls.ours, *writes.ours])
        print(
            f"embedding, to both one after the other, which is all that one core can give: {mine * both:.2f}",
            flush=True,
        )
        with openai_running(seed=1) as double:
            double.limits.requests_per_minute, double.limits.burst_s = 3_000, 1.0
            double.models["limited"] = Model(DIMENSIONS)
            before()
            assert embeds(double.url, "limited", 5) == rows
            answered = [each.at for each in double.requests if each.status == 200]
            refused = sum(each.status == 429 for each in double.requests)
            rate = (len(answered) - 1) / (answered[-1] - answered[0]) * 60
            print(
                f"limit of 3,000 requests a minute: {rate:,.0f} a minute, {rate / 3000:.0%} of it, wanted 90 %;"
                f" {refused} of {len(double.requests):,} refused",
                flush=True,
            )


def _texts(batch: RecordBatch) -> list[tuple[int, str]]:
    return [(each["n"], each["text"]) for each in map(orjson.loads, batch.bytes_of("metadata"))]


def load_rows(source: ConnectorOptions, target: ConnectorOptions, rows: int) -> Callable[[], None]:
    """Return a call that moves vectors which are there: what writing alone takes."""
    migration = Migration("bench", endpoint("source", source), endpoint("target", target))
    executor = LocalExecutor({"bench": migration}, Execution(2), Limits(), Path(), Event())
    with closing(source.open()) as opened:
        parts = tuple(opened.partitions(source.collection, 8))
    action = LoadRecords("bench", source.collection, target.collection, parts, Conversion(), rows)

    def run() -> None:
        assert sum(e.rows for e in executor.run(action, State("b", "b", "l")) if isinstance(e, Progress)) == rows

    return run


def write_spec(
    place: Path,
    name: str,
    source: str,
    target: str,
    search: str = "{queries: {sample: 10}}",
    index: str = "{type: flat}",
) -> None:
    """Write a spec of one migration with one worker."""
    (place / "vecmig.yaml").write_text(
        f"""
version: 1
name: {name}
sources: {{s: {source}}}
targets: {{t: {target}}}
index: {index}
verification: {{search: {search}}}
migrations: [{{name: m, source: s, target: t}}]
execution: {{workers: 1}}
"""
    )


def bench_switch(directory: Path) -> None:
    """Readers of the serving name all through cutovers and rollbacks: none may fail, and the longest pause is shown."""
    rows, times = 5_000, 5
    place = directory / "switch"
    place.mkdir()
    snapshot(place / "source", rows)

    def watch(what: str, name: str, target: str, readers: AbstractContextManager[list[switching.Search]]) -> None:
        environment = {"BENCH_DSN": dsn}
        for metric in ("cosine", "dot"):  # of unit vectors: both find the same
            kind = f"{{type: hnsw, metric: {metric}}}"
            write_spec(place, name, "{type: snapshot, path: source}", target, "null", kind)
            vecmig(place, "apply", "--auto-approve", environment=environment)
        with readers as searches:
            with switching.watching(searches) as quiet:
                time.sleep(5)
            with switching.watching(searches) as watched:
                for _ in range(times):
                    for command in ("cutover", "rollback"):
                        vecmig(place, command, environment=environment)
        print(f"{what}, nothing switched: {quiet}", flush=True)
        print(f"{what}, {times} cutovers and {times} rollbacks: {watched}, wanted 0 failed", flush=True)
        assert not watched.failed, watched.failed[0]

    with server(directory / "pg") as dsn, weaviate.server() as found:
        table = '{type: pgvector, dsn: "{{ env.BENCH_DSN }}", table: serving}'
        watch("pgvector", "switch-table", table, switching.of_postgres(dsn, "serving"))
        options = weaviate.options(found, f"Serving{time.time_ns()}")
        there = f'{{type: weaviate, url: "{options.url}", grpc_url: "{options.grpc_url}", collection: {options.collection}}}'
        what = "weaviate" if found.is_real else "weaviate (the double)"
        watch(what, "switch-alias", there, switching.of_weaviate(found, options.collection))


def bench_startup(directory: Path) -> None:
    place = directory / "startup"
    place.mkdir()
    spec(place, "startup")
    for arguments, wanted in ((["--help"], 0.2), (["validate"], 0.5)):
        found = [vecmig(place, *arguments, environment={})[0] for _ in range(11)]
        print(
            f"vecmig {arguments[0]:<10} {statistics.median(found):.3f} s ({min(found):.3f}-{max(found):.3f}), wanted under {wanted}"
        )


BENCHES: dict[str, Callable[[Path], None]] = {
    "load": bench_load,
    "across": bench_across,
    "verify": bench_verify,
    "pinecone": bench_pinecone,
    "storm": bench_storm,
    "weaviate": bench_weaviate,
    "embedding": bench_embed,
    "switch": bench_switch,
    "pinecone-memory": bench_pinecone_memory,
    "memory": bench_memory,
    "startup": bench_startup,
}

if __name__ == "__main__":
    main(sys.argv[1:])
