"""The limits of the server, as it is configured when nothing is said. Tests change them to meet them cheaply."""

from dataclasses import dataclass


@dataclass(slots=True)
class Limits:
    message_bytes: int = 104_858_000
    """Of one gRPC message, either way. A client reads it once, when it connects."""
    query_maximum_results: int = 10_000
    default_results: int = 10
    dimensions: int = 65_535
    """The server keeps a vector's length in 16 bits."""
