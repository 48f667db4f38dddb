"""The SDK's errors as vecmig's: what happened, where, what next. Never the key, never a value."""

import httpx
from pinecone import (
    ApiError,
    ForbiddenError,
    NotFoundError,
    PayloadTooLargeError,
    PineconeConnectionError,
    PineconeError,
    PineconeTimeoutError,
    RateLimitError,
    ResponseParsingError,
    UnauthorizedError,
)

from vecmig.errors import CollectionNotFound, ConnectorError, TransientError
from vecmig.model.secret import redact

SHOWN = 300  # characters of what the service says
# Of a 400: the request as such was too large, and a half of it may do. Those of gRPC come without a status of their own.
_TOO_LARGE = ("message length too large", "exceeds the maximum", "too large", "size limit")
LARGE = "it alone is larger than Pinecone takes in one request"
_QUOTA = ("quota", "reached the max", "monthly")


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


def translated(error: Exception, where: str) -> ConnectorError:
    """Return the error of a request; TransientError where the same request may succeed later."""
    said = message(error)
    match error:
        case RateLimitError():
            if any(word in said.lower() for word in _QUOTA):
                return ConnectorError(f"{where}: {said}; raise the project's quota, or wait until it begins anew")
            return TransientError(f"{where}: Pinecone asks for fewer requests: {said}")
        case PayloadTooLargeError():
            return Refused(f"{where}: {said}", LARGE)
        case UnauthorizedError():
            return ConnectorError(
                f"{where}: Pinecone does not take the `api_key`: {said}; check it in the spec's environment"
            )
        case ForbiddenError():
            way = "check the rights of the `api_key`, the project's quotas and `deletion_protection`"
            return ConnectorError(f"{where}: Pinecone refuses it: {said}; {way}")
        case NotFoundError():
            return CollectionNotFound(f"{where}: it is not there (any more); run `vecmig plan` to see what is")
        case ApiError() if error.status_code >= 500 or error.status_code in (408, 409):
            return TransientError(f"{where}: {said}")
        case ApiError() if error.status_code in (400, 414) and any(word in said.lower() for word in _TOO_LARGE):
            return Refused(f"{where}: {said}", LARGE)
        case ApiError() if error.status_code in (400, 422):
            code = error.error_code or "bad request"
            return Refused(f"{where}: Pinecone refuses it: {said}", f"Pinecone refuses it ({error.status_code} {code})")
        case ApiError():
            return ConnectorError(f"{where}: Pinecone refuses it: {said}")
        case PineconeTimeoutError() | PineconeConnectionError() | httpx.TransportError():
            return TransientError(f"{where}: the connection failed: {said}")
        case ResponseParsingError():
            return TransientError(f"{where}: the answer cannot be read: {said}")
        case PineconeError() if any(word in said.lower() for word in ("aborted", "unavailable")):
            return TransientError(f"{where}: {said}")
    return ConnectorError(f"{where}: {said}")


def message(error: Exception) -> str:
    """Return what the service said, on one line."""
    text = " ".join(str(getattr(error, "message", "") or error).split()) or type(error).__name__
    return redact(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")


def retry_after_s(error: Exception) -> float | None:
    """Return for how many seconds the service asks to be left alone, if it does."""
    return error.retry_after if isinstance(error, RateLimitError) else None
