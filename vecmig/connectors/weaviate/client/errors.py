"""The client's and the server's errors as vecmig's: what happened, where, what next. Never a key, never a value.

The server gives nearly all of its errors over gRPC as UNKNOWN with a sentence (seen on 1.38), so the sentence decides.
"""

import re

import grpc
import httpx
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]

from vecmig.connectors.weaviate.client.session import weaviate
from vecmig.errors import CollectionNotFound, ConnectorError, TransientError
from vecmig.model.secret import redact

exceptions = weaviate.exceptions
SHOWN = 300  # characters of what the server says
ERRORS = (grpc.RpcError, httpx.HTTPError, exceptions.WeaviateBaseError, OAuthError)  # all that a request raises
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_NUMBER = re.compile(r"[-+]?\d[\d.,e+-]*")
_BUSY = (
    "leader not found",
    "no leader",
    "leadership lost",
    "context deadline exceeded",
    "connection refused",
    "connection reset",
    "transport is closing",
    "cannot achieve consistency level",
    "memory pressure",
    "not enough memory",
    "shutting down",
    "is not loaded",
    "shard is not ready",
    "being loaded",
    "tenant not active",  # one that another run has put back just now
)
_READ_ONLY = ("read-only", "readonly", "read only")
_DENIED = ("extract auth", "unauthorized", "invalid api key", "forbidden", "authorization", "unauthenticated")


class TooLarge(ConnectorError):
    """Half of it may do."""


class TookTooLong(TransientError):
    """No answer in time: a smaller `page_rows` may do."""


class Asleep(TransientError):
    """The tenant is not active, for another run has put it back just now: to be woken anew."""


class Refused(ConnectorError):
    """The server does not take the request as it is. `reason`: why, without any value."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason)  # both, so that it pickles

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def reason(self) -> str:
        return str(self.args[1])


def translated(error: Exception, where: str) -> ConnectorError:
    """Return the error of a request; TransientError where the same request may succeed later."""
    match error:
        case grpc.RpcError():
            return _of_grpc(error, where)
        case exceptions.AuthenticationFailedError() | exceptions.MissingScopeError() | OAuthError():
            return _denied(where, _shown(str(error)))
        case exceptions.UnexpectedStatusCodeError():  # InsufficientPermissionsError is one
            return of_status(error.status_code, _shown(str(error.error or error)), where)
        case exceptions.WeaviateTimeoutError() | httpx.TimeoutException():
            return TookTooLong(f"{where}: no answer in time: {_shown(str(error))}")
        case exceptions.WeaviateStartUpError() if "not supported" in str(error):
            return ConnectorError(f"{where}: {_shown(str(error))}")
        case exceptions.WeaviateConnectionError() | exceptions.WeaviateStartUpError() | httpx.HTTPError():
            return TransientError(f"{where}: the connection failed: {_shown(_with_cause(error))}")
    return ConnectorError(f"{where}: {_shown(str(error))}")


def _with_cause(error: BaseException) -> str:
    """Return what an error says, and what lies at its root: the client leaves out, for one, what is wrong with TLS."""
    root = error
    while (below := root.__cause__ or root.__context__) is not None:
        root = below
    said, cause = str(error), str(root)
    if said.startswith("Could not connect to Weaviate"):  # it says so twice, and no more
        return cause
    return said if cause in said else f"{said} ({cause})"


def of_status(status: int, said: str, where: str) -> ConnectorError:
    """Return the error of an answer over REST."""
    said = _shown(said)
    if status in (401, 403):
        return _denied(where, said)
    if status == 404:
        return CollectionNotFound(f"{where}: it is not there (any more); run `vecmig plan` to see what is")
    if status in (408, 429, 502, 503, 504) or (status >= 500 and _says(said, _BUSY)):
        return TransientError(f"{where}: Weaviate failed: {said} ({status})")
    if status in (400, 422):
        return Refused(f"{where}: Weaviate refuses it: {said}", "Weaviate refuses it")
    return ConnectorError(f"{where}: Weaviate refuses it: {said} ({status})")


def reason(said: str) -> str:
    """Return why an object was refused, without any value of it: the server quotes them."""
    for words, meaning in (
        ("no such prop", "it has a field that is no property of the collection"),
        ("vector lengths", "its vector has other dimensions than those before"),
        ("wrong size", "its vector has other dimensions than those before"),
        ("dimensions", "its vector has other dimensions than those before"),
    ):
        if words in said:
            return meaning
    plain = _NUMBER.sub("…", _QUOTED.sub("…", said.partition("given value")[0]))
    return f"Weaviate refuses it: {' '.join(plain.split())[:120].strip(' :,')}"


def is_transient(said: str) -> bool:
    """Return whether an object that was refused may be taken later."""
    return _says(said, _BUSY)


def is_read_only(said: str) -> bool:
    return _says(said, _READ_ONLY)


def read_only(where: str) -> ConnectorError:
    return ConnectorError(
        f"{where}: Weaviate takes no writes: a shard is read-only, mostly because the disk or the memory is nearly full"
        " (DISK_USE_READONLY_PERCENTAGE, MEMORY_READONLY_PERCENTAGE): make room, set it READY again, and run it again"
    )


def _of_grpc(error: grpc.RpcError, where: str) -> ConnectorError:
    code, said = error.code(), _shown(str(error.details() or ""))
    match code:
        case _ if _is_too_large(code, said):
            return TooLarge(f"{where}: it is too large: {said}")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TookTooLong(f"{where}: no answer in time: {said}")
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.ABORTED | grpc.StatusCode.RESOURCE_EXHAUSTED:
            return TransientError(f"{where}: the connection failed: {said}")
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return _denied(where, said)
        case grpc.StatusCode.INTERNAL | grpc.StatusCode.CANCELLED if _says(said, ("rst_stream", "stream", "closed")):
            return TransientError(f"{where}: the connection failed: {said}")
    if _says(said, ("could not find class", "class not found", "could not find collection")):
        return CollectionNotFound(f"{where}: it is not there (any more); run `vecmig plan` to see what is")
    if _says(said, _DENIED):
        return _denied(where, said)
    if is_read_only(said):
        return read_only(where)
    if "tenant not active" in said:
        return Asleep(f"{where}: {said}")
    if _says(said, _BUSY):
        return TransientError(f"{where}: Weaviate failed: {said}")
    return Refused(f"{where}: Weaviate refuses it: {_QUOTED.sub('…', said)}", reason(said))


def _is_too_large(code: grpc.StatusCode, said: str) -> bool:
    return "larger than max" in said or "QUERY_MAXIMUM_RESULTS" in said or "message too large" in said.lower()


def _denied(where: str, said: str) -> ConnectorError:
    return ConnectorError(
        f"{where}: Weaviate denies it: {said}; check the `api_key`, or `client_secret`, and the rights of its role"
    )


def _shown(said: str) -> str:
    text = " ".join(said.split())
    return redact(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def _says(said: str, words: tuple[str, ...]) -> bool:
    lower = said.lower()
    return any(each in lower for each in words)
