"""The SDK's clients: one for the control plane, one for an index's data."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pinecone import Index, Pinecone, RetryConfig
from pinecone.grpc import GrpcIndex

from vecmig.connectors.pinecone.client.errors import ERRORS, translated
from vecmig.connectors.pinecone.options import PineconeOptions

TIMEOUT_S = 20.0  # of one request: the SDK's own for gRPC; over REST, of each piece of the answer
CONNECT_S = 10.0
ONCE = RetryConfig(max_retries=0)  # `calls` tries again, at the pace that all workers share


def control_plane(options: PineconeOptions) -> Pinecone:
    """Return a client; it does not connect yet. Raises ConnectorError for a key that cannot be one."""
    with _translated():
        return Pinecone(api_key=options.api_key.reveal(), host=options.host, retry_config=ONCE, timeout=TIMEOUT_S)


def data_plane(options: PineconeOptions, host: str, grpc: bool, timeout_s: float = TIMEOUT_S) -> Index | GrpcIndex:
    """Return a client of the index at `host`; it does not connect yet."""
    key = options.api_key.reveal()
    with _translated():
        if grpc:
            secure = not host.startswith("http://")
            return GrpcIndex(
                host=host, api_key=key, secure=secure, timeout=timeout_s, connect_timeout=CONNECT_S, retry_config=ONCE
            )
        return _once(Index(host=host, api_key=key, timeout=timeout_s))


def _once(client: Index) -> Index:
    """Return a client that tries nothing again: after a 429 it would sleep for minutes, where nobody can stop it.

    The SDK takes a RetryConfig for all its clients but this one (10.2).
    """
    with suppress(AttributeError):  # another version may keep it elsewhere: then it tries again
        client._http._client._transport._config = ONCE  # type: ignore[attr-defined]
    return client


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        raise translated(error, "pinecone") from error
