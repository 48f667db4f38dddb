"""How a request is refused, the same for both transports."""

from enum import Enum


class Code(Enum):
    """A gRPC status, with its number and the HTTP status that says the same."""

    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    ABORTED = (10, 409)
    OUT_OF_RANGE = (11, 413)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    UNAUTHENTICATED = (16, 401)

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def http(self) -> int:
        return self.value[1]


class Refused(Exception):
    """The double answers with an error. `name` replaces the code's name in the errors of the control plane."""

    def __init__(
        self,
        message: str,
        code: Code = Code.INVALID_ARGUMENT,
        *,
        http: int | None = None,
        name: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.http = http or code.http
        self.name = name or code.name
        self.retry_after_s = retry_after_s


class Dropped(Exception):
    """The double breaks the connection and answers nothing."""


def code_of(http: int) -> Code:
    """The gRPC status for an HTTP status, as a gateway would map it."""
    special = {408: Code.DEADLINE_EXCEEDED, 409: Code.ABORTED, 502: Code.UNAVAILABLE}
    if http in special:
        return special[http]
    return next((code for code in Code if code.http == http), Code.INTERNAL if http >= 500 else Code.INVALID_ARGUMENT)
