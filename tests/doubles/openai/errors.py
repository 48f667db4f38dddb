"""What a call is refused with, in the words and shape of OpenAI's errors."""

from typing import Any


class Refused(Exception):
    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body: dict[str, Any] = {"error": {"message": message, "type": type, "param": param, "code": code}}


class Dropped(Exception):
    """The connection is to be reset."""
