"""How a request is refused, the same for both transports."""

from enum import Enum


class Code(Enum):
    """A gRPC status, with the HTTP status that the double answers with for the same reason."""

    CANCELLED = 499
    UNKNOWN = 422
    INVALID_ARGUMENT = 400
    DEADLINE_EXCEEDED = 504
    NOT_FOUND = 404
    PERMISSION_DENIED = 403
    RESOURCE_EXHAUSTED = 429
    INTERNAL = 500
    UNAVAILABLE = 503
    UNIMPLEMENTED = 501
    UNAUTHENTICATED = 401


class Refused(Exception):
    """The double answers with an error. Over gRPC the server says UNKNOWN of nearly everything."""

    def __init__(self, message: str, http: int = 422, code: Code = Code.UNKNOWN) -> None:
        super().__init__(message)
        self.message = message
        self.http = http
        self.code = code


class Dropped(Exception):
    """The double breaks the connection and answers nothing."""
