"""Embedding, to what a provider's SDK does without vecmig."""

import base64
import functools
import itertools
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event

import numpy as np
import orjson
from msgspec.structs import replace
from openai import OpenAI

from tests.benchmarks.data import DIMENSIONS, chunks, snapshot
from tests.benchmarks.postgres import empty, server, table
from tests.benchmarks.running import endpoint, load, moved
from tests.benchmarks.timing import compare
from tests.doubles.openai import running
from tests.doubles.openai.api import Model
from vecmig.embedders.openai.embedder import AT_ONCE
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.embedding.cache import Cache
from vecmig.embedding.models import Purse
from vecmig.execution.local import LocalExecutor
from vecmig.migration import Embedding, Migration, Provider
from vecmig.model.batch import RecordBatch
from vecmig.model.plan import Conversion, EmbedRule, LoadRecords
from vecmig.model.secret import Secret
from vecmig.model.settings import Execution, Limits
from vecmig.model.state import State
from vecmig.workflow.run import EMBED_PAGE_ROWS

MODEL, ITEMS = "at-once", 256
numbers = itertools.count()


def _serve(told: Connection) -> None:
    """Answer each text with the same vector: as fast as a provider could be."""
    one = base64.b64encode(np.full(DIMENSIONS, DIMENSIONS**-0.5, np.float32).tobytes()).decode()

    @functools.cache
    def answer(texts: int) -> bytes:
        data = [{"object": "embedding", "index": n, "embedding": one} for n in range(texts)]
        usage = {"prompt_tokens": texts, "total_tokens": texts}
        return orjson.dumps({"object": "list", "data": data, "model": MODEL, "usage": usage})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = answer(len(orjson.loads(self.rfile.read(int(self.headers["content-length"])))["input"]))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.send(f"http://127.0.0.1:{server.server_port}/v1")
    server.serve_forever()


@contextmanager
def at_once() -> Iterator[str]:
    """Yield the address of a provider that answers at once, in a process of its own."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.terminate()
        process.join()


def provider(url: str, max_items: int = ITEMS) -> Provider:
    return Provider("openai", "openai", OpenAIOptions((Secret("test"),), url, max_items=max_items))


def conversion(text: str = "{{ n }} {{ text }}", model: str = MODEL, dimensions: int = DIMENSIONS) -> Conversion:
    return Conversion(embed=(EmbedRule("", f"openai/{model}", dimensions, text),))


@contextmanager
def purse(directory: Path) -> Iterator[Purse]:
    """Yield an empty cache, for which every text is new."""
    with closing(Cache(directory / f"cache-{next(numbers)}.sqlite")) as cache:
        yield Purse(cache, "bench")


def bare_calls(url: str, texts: Sequence[str]) -> None:
    """Embed the texts by the SDK alone, as many requests at once as vecmig has, to float32 arrays."""

    def call(some: Sequence[str]) -> int:
        answer = client.embeddings.create(model=MODEL, input=list(some), encoding_format="base64")
        arrays = [np.frombuffer(base64.b64decode(str(each.embedding)), np.float32) for each in answer.data]
        return len(arrays)

    with OpenAI(base_url=url, api_key="test", max_retries=0) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        done = sum(pool.map(call, (texts[at : at + ITEMS] for at in range(0, len(texts), ITEMS))))
    assert done == len(texts)


def bench_embed(directory: Path) -> None:
    """A provider that answers at once, and one that takes 3,000 requests a minute."""
    rows = 20_000
    source = replace(snapshot(directory / "texts", rows, 8), page_rows=EMBED_PAGE_ROWS)  # as `apply` reads it
    texts = [f"{n} {text}" for batch in chunks(rows, 8) for n, text in _texts(batch)]
    with closing(source.open()) as opened:
        parts = tuple(opened.partitions(source.collection, 4))
    with at_once() as url, server(directory / "pg") as dsn:
        target = table(dsn, "embedded")
        made = snapshot(directory / "vectors", rows)

        def embeds(url: str, model: str = MODEL, items: int = ITEMS) -> int:
            asked = Embedding(f"openai/{model}", DIMENSIONS, provider(url, items))
            migration = Migration("bench", endpoint("source", source), endpoint("target", target), asked)
            rules = conversion(model=model)
            action = LoadRecords("bench", source.collection, target.collection, parts, rules, rows)
            with purse(directory) as paid:
                executor = LocalExecutor({"bench": migration}, Execution(2), Limits(), Path(), Event(), {"bench": paid})
                return moved(executor.run(action, State("b", "b", "l")))

        def ours() -> None:
            assert embeds(url) == rows

        def before() -> None:
            empty(dsn, "embedded")
            for left in directory.glob("cache-*"):
                left.unlink()

        calls = compare(
            "embedding, to bare calls of the SDK", rows, ours, lambda: bare_calls(url, texts), None, 3, before
        )
        writes = compare("embedding, to a bare load", rows, ours, load(made, target, 2, rows), None, 3, before)
        slower = min(calls, writes, key=lambda each: statistics.median(each.theirs))
        print(f"embedding, to the slower of both: {slower.median:.2f}, wanted 0.80: {slower.verdict(0.8)}", flush=True)
        both = sum(1 / statistics.median(each.theirs) for each in (calls, writes))
        mine = statistics.median([*calls.ours, *writes.ours])
        print(
            f"embedding, to both one after the other, which is all that one core can give: {mine * both:.2f}",
            flush=True,
        )

        def together() -> None:
            with ThreadPoolExecutor(2) as pool:
                for half in [pool.submit(bare_calls, url, texts), pool.submit(load(made, target, 2, rows))]:
                    half.result()

        # what these cores give where nothing is cached, hashed, or handed from one to the other
        name = "bare calls and a bare load at the same time, to bare calls"
        compare(name, rows, together, lambda: bare_calls(url, texts), None, 3, before)
        with running(seed=1) as double:
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
