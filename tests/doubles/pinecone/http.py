"""The wire: a port on which HTTP/1.1 is answered here, and HTTP/2 is handed on to a gRPC server.

The real service answers both on one host, and so clients of both are given one address."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any

import orjson

from tests.doubles.pinecone.errors import Refused
from tests.doubles.pinecone.store import Json


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    path: str
    query: str
    headers: Message
    body: bytes

    def json(self) -> Json:
        """The body, which is an object; an empty one where there is none. Raises Refused for anything else."""
        try:
            content = orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError as error:
            raise Refused(f"Invalid JSON: {error}") from error
        if not isinstance(content, dict):
            raise Refused("Request body must be an object")
        return content


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_reset: bool = False
    is_truncated: bool = False


App = Callable[[HttpRequest], HttpAnswer]


_used: set[int] = set()


def _listening(port: int) -> socket.socket:
    """Return a listener; a free port is one that no other door of this process had: clients remember by host."""
    while True:
        listener = socket.create_server(("127.0.0.1", port), backlog=128)
        found = listener.getsockname()[1]
        if port or found not in _used:
            _used.add(found)
            return listener
        listener.close()


class Door:
    """A listening port. `grpc_port` starts the gRPC server, and gives its port, when the first client speaks HTTP/2."""

    def __init__(self, app: App, port: int = 0, grpc_port: Callable[[], int] | None = None) -> None:
        self._app = app
        self._grpc_port = grpc_port
        self._listener = _listening(port)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._splices: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Close the port and every connection, and wait until nothing runs any more."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            pass  # where a shutdown does not wake the acceptor, a connection does
        self._acceptor.join(timeout=5)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)
            threads = list(self._threads)
        for thread in threads:
            thread.join(timeout=5)

    def reset_peer(self, port: int) -> None:
        """Break the client's connection that reaches the gRPC server from this port."""
        with self._lock:
            client = self._splices.get(port)
        if client is not None:
            _shut(client)

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_closed:
                    connection.close()
                    return
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.add(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(ConnectionError, TimeoutError):
                if self._grpc_port and connection.recv(3, socket.MSG_PEEK | socket.MSG_WAITALL) == b"PRI":
                    self._splice(connection, self._grpc_port())
                else:
                    _Handler(connection, ("localhost", 0), self._app)
        finally:
            with self._lock:
                self._open.discard(connection)
                self._threads.discard(threading.current_thread())
            connection.close()

    def _splice(self, client: socket.socket, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as server:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            own = server.getsockname()[1]
            with self._lock:
                self._splices[own] = client
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server)
            _shut(server)
            back.join()
            with self._lock:
                del self._splices[own]


def _linger_not(connection: socket.socket) -> None:
    """Make its close a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _pump(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(1 << 18))
    with contextlib.suppress(OSError):
        while size := source.recv_into(buffer):
            sink.sendall(buffer[:size])
    _shut(source)
    _shut(sink)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, connection: socket.socket, address: tuple[str, int], app: App) -> None:
        self._app = app
        super().__init__(connection, address, None)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size) if size else b""
        path, _, query = self.path.partition("?")
        self._send(self._app(HttpRequest(self.command, path, query, self.headers, body)))

    do_POST = do_GET
    do_PATCH = do_GET
    do_DELETE = do_GET

    def _send(self, answer: HttpAnswer) -> None:
        if answer.is_reset:
            _linger_not(self.connection)
            self.close_connection = True
            return
        body = answer.body
        lines = [f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('',))[0]}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        lines.append(f"content-length: {len(body)}")
        if answer.is_truncated:
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode() + body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.close_connection = True
        self._send(HttpAnswer(code, (message or "").encode(), {"content-type": "text/plain"}))

    def log_message(self, format: str, *args: Any) -> None:
        pass
