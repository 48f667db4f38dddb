"""A provider for the benchmarks, and what its SDK does with it without vecmig."""

import base64
import functools
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import orjson
from openai import OpenAI

from tests.benchmarks.data import DIMENSIONS
from vecmig.embedders.openai.embedder import AT_ONCE
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.embedding.cache import Cache
from vecmig.embedding.models import Purse
from vecmig.migration import Provider
from vecmig.model.plan import Conversion, EmbedRule
from vecmig.model.secret import Secret

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
    path = directory / f"cache-{next(numbers)}.sqlite"
    with closing(Cache(path)) as cache:
        yield Purse(cache, "bench")
    for left in path.parent.glob(f"{path.name}*"):
        left.unlink()


def bare_calls(url: str, texts: Sequence[str]) -> None:
    """Embed the texts by the SDK alone, as many requests at once as vecmig has, to float32 arrays."""

    def call(some: Sequence[str]) -> int:
        answer = client.embeddings.create(model=MODEL, input=list(some), encoding_format="base64")
        arrays = [np.frombuffer(base64.b64decode(str(each.embedding)), np.float32) for each in answer.data]
        return len(arrays)

    with OpenAI(base_url=url, api_key="test", max_retries=0) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        done = sum(pool.map(call, (texts[at : at + ITEMS] for at in range(0, len(texts), ITEMS))))
    assert done == len(texts)
