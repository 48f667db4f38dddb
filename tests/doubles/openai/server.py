"""A provider with OpenAI's embeddings API on localhost, for the unmodified SDK.

with running() as double:
    OpenAI(base_url=double.url, api_key="test").embeddings.create(...)

double.ledger            what was charged: requests, tokens, how often each text
double.requests          every call that was answered, with its key, status and number of texts
double.faults            what goes wrong, and when: see faults.py
double.limits            what a request may hold, and how many there may be in a minute
double.keys              the keys that are accepted; None: any
double.poison            words: a text with one of them is refused, and with it its whole request
double.models            by name; `Model(dimensions)` adds one
"""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson

from tests.doubles.openai.api import MODELS, Asked, answer, asked_for
from tests.doubles.openai.errors import Dropped, Refused
from tests.doubles.openai.faults import Fault, Faults
from tests.doubles.openai.ledger import Ledger
from tests.doubles.openai.limits import Limits

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    key: str
    status: int  # 0: the connection was reset
    texts: int
    at: float
    input_type: str | None = None
    dimensions: int | None = None
    is_base64: bool = False  # the answer's vectors
    tokens: int = 0


class Double:
    """A running double. Made by `running`."""

    def __init__(self, port: int = 0, seed: int | None = None, ledger: Path | None = None) -> None:
        self.ledger = Ledger(ledger)
        self.faults = Faults(seed)
        self.limits = Limits()
        self.models = dict(MODELS)
        self.keys: set[str] | None = None
        self.poison: set[str] = set()
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.double = self
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.origin}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, key: str, raw: bytes) -> tuple[int, Headers, bytes]:
        """Return status, headers and body. Raises Dropped."""
        asked: Asked | None = None
        status = 0
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            body = _read(path, raw)
            self._check_key(key)
            faults = self.faults.take(key)
            for fault in faults:
                time.sleep(fault.slow_s)
                if not fault.is_charged:
                    _fail(fault)
            asked = asked_for(body, self.models)
            self._check_texts(asked)
            headers = self.limits.take(key, sum(asked.counts))
            change = next((fault.change for fault in faults if fault.change), None)
            # charged before the answer is on its way: a client that is killed has paid all the same
            self.ledger.charge(key, asked.texts, sum(asked.counts))
            for fault in faults:
                _fail(fault)
            status = 200
            if change == "html":
                return status, headers | {"content-type": "text/html"}, b"<html>It works!</html>"
            made = orjson.dumps(answer(asked, self.models[asked.model].dimensions, change))
            return status, headers, made[: len(made) // 2] if change == "half" else made
        except Refused as error:
            status = error.status
            return status, error.headers, orjson.dumps(error.body)
        finally:
            texts, words = (len(asked.texts), asked.input_type) if asked else (0, None)
            with self._lock:
                self._under_way -= 1
                dimensions = asked.dimensions if asked else None
                is_base64, tokens = (asked.is_base64, sum(asked.counts)) if asked else (False, 0)
                self.requests.append(
                    Request(key, status, texts, time.monotonic(), words, dimensions, is_base64, tokens)
                )

    def _check_key(self, key: str) -> None:
        if self.keys is not None and key not in self.keys:
            shown = f"{key[:3]}***{key[-2:]}" if key else ""
            raise Refused(f"Incorrect API key provided: {shown}.", 401, code="invalid_api_key")

    def _check_texts(self, asked: Asked) -> None:
        if any(word in text for text in asked.texts for word in self.poison):
            raise Refused("The input violates the content policy.", param="input", code="content_policy_violation")
        self.limits.check(asked.counts)


@contextmanager
def running(port: int = 0, seed: int | None = None, ledger: Path | None = None) -> Iterator[Double]:
    """A double in this process, on this port or a free one; `seed` is of the faults that come by chance."""
    double = Double(port, seed, ledger)
    try:
        yield double
    finally:
        double.close()


def _read(path: str, raw: bytes) -> Any:
    """Return the body of a request to one of both addresses; the deployment of Azure's is the model's name."""
    try:
        body = orjson.loads(raw or b"null")
    except orjson.JSONDecodeError as error:
        raise Refused("We could not parse the JSON body of your request.") from error
    path, _, query = path.partition("?")
    if path == "/v1/embeddings":
        return body
    parts = path.strip("/").split("/")
    if len(parts) == 4 and parts[:2] == ["openai", "deployments"] and parts[3] == "embeddings":
        if "api-version=" not in query:
            raise Refused("Missing required query parameter: api-version", 404)
        return {**body, "model": parts[2]} if isinstance(body, dict) else body
    raise Refused(f"Invalid URL (POST {path})", 404)


def _fail(fault: Fault) -> None:
    if fault.is_reset:
        raise Dropped
    if fault.http is not None:
        error: dict[str, Any] = {"message": "injected fault", **dict(fault.error)}
        raise Refused(error.pop("message"), fault.http, headers=dict(fault.headers), **error)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    double: Double

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close the connections that clients keep."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that is gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        key = self.headers.get("api-key") or (self.headers.get("authorization") or "").removeprefix("Bearer ")
        try:
            status, headers, answer = self.server.double.answer(self.path, key, body)
        except Dropped:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        lines = {"content-type": "application/json", **headers, "content-length": str(len(answer))}
        head = [f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}"]
        head += [f"{name}: {value}" for name, value in lines.items()]
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
