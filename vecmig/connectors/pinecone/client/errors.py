"""The SDK's errors as vecmig's: what happened, where, what next. Never the key, never a value.

REST answers have a status. Over gRPC (rust/src/transport.rs of the SDK, tried with each code) UNAUTHENTICATED,
PERMISSION_DENIED, NOT_FOUND, ALREADY_EXISTS, INTERNAL and UNKNOWN are the errors of 401, 403, 404, 409 and 500,
INVALID_ARGUMENT and RESOURCE_EXHAUSTED plain ApiErrors of 400 and 429, UNAVAILABLE a connection error, DEADLINE_EXCEEDED
and CANCELLED timeouts. ABORTED, OUT_OF_RANGE, FAILED_PRECONDITION, DATA_LOSS and UNIMPLEMENTED are PineconeErrors that do
not say which of them they are.
"""

import re
from collections.abc import Iterable

import httpx
from pinecone import (
    ApiError,
    ForbiddenError,
    IndexInitFailedError,
    IndexTerminatedError,
    NotFoundError,
    PayloadTooLargeError,
    PineconeConnectionError,
    PineconeError,
    PineconeTimeoutError,
    PineconeTypeError,
    PineconeValueError,
    ResponseParsingError,
    UnauthorizedError,
)

from vecmig.errors import CollectionNotFound, ConnectorError, TransientError
from vecmig.model.secret import redact

SHOWN = 300  # characters of what the service says
ERRORS = (PineconeError, httpx.HTTPError, httpx.InvalidURL)  # all that a request raises
# of gRPC's own libraries (tonic, then the others), which have no code for it in common
_MESSAGE_TOO_LARGE = ("message length too large", "message larger than max")
_TOO_LARGE = ("exceeds the maximum", "too large", "size limit", *_MESSAGE_TOO_LARGE)
LARGE = "it alone is larger than Pinecone takes in one request"
_OF_A_MONTH = ("month", "quota")  # a 429 that goes away only then; "reached the max … per second" is for seconds
_QUOTA = ("quota", "reached the max")  # a 403
_QUOTED = re.compile(r"(?<!\w)(?:'.*'|\".*\"|`.*`)(?!\w)")  # to the last: what is quoted may hold quotes itself


class Refused(ConnectorError):
    """Pinecone does not take the request as it is: it is too large, or something in it is wrong."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message, reason)  # both, so that it pickles

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def reason(self) -> str:
        """Why, if it held one record only; without what Pinecone says, which quotes values."""
        return str(self.args[1])


class TooLarge(Refused):
    """A half of the request may do."""


def translated(error: Exception, where: str) -> ConnectorError:
    """Return the error of a request; TransientError where the same request may succeed later."""
    whole = message(error)
    said = _QUOTED.sub("…", whole)  # which may be a value of a record
    status = error.status_code if isinstance(error, ApiError) else None
    match error:
        case _ if _is_too_large(error, status):
            return TooLarge(f"{where}: {said}", LARGE)
        case ApiError() if status == 429 and _says(whole, _OF_A_MONTH):
            return ConnectorError(f"{where}: {said}; raise the project's quota, or wait until it begins anew")
        case ApiError() if status == 429:
            return TransientError(f"{where}: Pinecone asks for fewer requests: {said}")
        case UnauthorizedError():
            return ConnectorError(
                f"{where}: Pinecone does not know the `api_key`: {said}; is it a key of this project?"
            )
        case ForbiddenError() if _says(whole, _QUOTA):
            return ConnectorError(f"{where}: {said}; raise the project's quota, or delete what is not needed")
        case ForbiddenError():
            return ConnectorError(
                f"{where}: Pinecone forbids it: {said}; the role of the `api_key` must allow it (Pinecone's page"
                ' "Manage API keys")'
            )
        case NotFoundError():
            return CollectionNotFound(f"{where}: it is not there (any more); run `vecmig plan` to see what is")
        case ApiError() if status in (400, 422):
            code = error.error_code or "bad request"
            return Refused(f"{where}: Pinecone refuses it: {said}", f"Pinecone refuses it ({status} {code})")
        case ApiError() if status in (408, 409) or ((status or 0) >= 500 and status != 501):
            return TransientError(f"{where}: Pinecone failed: {said} ({status})")
        case ApiError():
            return ConnectorError(f"{where}: Pinecone refuses it: {said} ({status})")
        case PineconeTimeoutError():
            return TransientError(f"{where}: no answer in time: {said}")
        case PineconeConnectionError() | httpx.HTTPError():
            return TransientError(f"{where}: the connection failed: {said}{_way(said)}")
        case httpx.InvalidURL():
            return ConnectorError(f"{where}: {said}; look at `host`")
        case ResponseParsingError():
            return TransientError(f"{where}: the answer cannot be read: {said}")
        case PineconeValueError() | PineconeTypeError():
            return Refused(f"{where}: Pinecone's SDK refuses it: {said}", "Pinecone's SDK refuses it")
        case IndexInitFailedError() | IndexTerminatedError():
            return ConnectorError(f"{where}: {said}; delete the index in Pinecone, and run it again")
    # a PineconeError that is nothing else may be ABORTED; and to try the others again only takes longer
    return TransientError(f"{where}: {said}")


def message(error: Exception) -> str:
    """Return what the service said, on one line."""
    text = " ".join(str(getattr(error, "message", "") or error).split()) or type(error).__name__
    return redact(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def asks_for_less(error: Exception) -> bool:
    """Return whether requests come faster than Pinecone wants them, or than they are served."""
    return isinstance(error, PineconeTimeoutError) or (
        isinstance(error, ApiError) and error.status_code == 429 and not _says(message(error), _OF_A_MONTH)
    )


def retry_after_s(error: Exception) -> float | None:
    """Return for how many seconds the service asks to be left alone, if it does. Over gRPC the SDK does not tell."""
    if not isinstance(error, ApiError):
        return None
    try:
        return max(0.0, float((error.headers or {})["retry-after"]))
    except (KeyError, ValueError):
        return None


def _is_too_large(error: Exception, status: int | None) -> bool:
    said = str(error).lower()
    return (
        isinstance(error, PayloadTooLargeError)
        or (isinstance(error, httpx.InvalidURL) and "too long" in said)
        or status == 414
        or (status == 400 and any(words in said for words in _TOO_LARGE))
        or (isinstance(error, PineconeError) and any(words in said for words in _MESSAGE_TOO_LARGE))
    )


def _way(said: str) -> str:
    """Return what to look at where no connection was made at all."""
    unreached = ("refused", "name or service", "dns error", "tcp connect error", "name resolution", "certificate")
    return "; look at the network, and at `host`" if any(words in said.lower() for words in unreached) else ""


def _says(said: str, words: Iterable[str]) -> bool:
    return any(each in said.lower() for each in words)
