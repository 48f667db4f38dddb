"""One connection: the client for logging in, REST by way of it, and its gRPC stub without its own retries.

The client's calls sleep for up to a minute after UNAVAILABLE, where nobody can stop them, and make a Python list of each
vector. So requests go over its channels, but not through its collections; this is the one module that reaches into it.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grpc import RpcError, ssl_channel_credentials

from vecmig.connectors.weaviate.addresses import Address, grpc_address, rest_address
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.errors import ConnectorError, TransientError


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Let an import of this module fail meanwhile."""
    known = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]  # what makes it fail
    try:
        yield
    finally:
        del sys.modules[module]
        if known is not None:
            sys.modules[module] = known


# The client's import announces the next version of authlib, which asks to be heard always. And authlib builds on httpx2
# where that is installed (other SDKs bring it), while the client hands it what is of httpx: then no token is ever fetched.
with warnings.catch_warnings(), _hidden("httpx2"):
    from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]

    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    import weaviate as weaviate
    from weaviate.auth import AuthApiKey, AuthClientCredentials
    from weaviate.config import AdditionalConfig, GrpcConfig, Proxies, Timeout
    from weaviate.proto.v1 import health_weaviate_pb2

Answer = tuple[int, Any]  # status, and the JSON body or None
TIMEOUT_S = 20.0  # of one request: a person who pressed Ctrl-C still waits
INIT_S = 10.0
OLDEST = (1, 29)  # counts over gRPC, and vectors of queries by name
ALIASES = (1, 32)


@dataclass(frozen=True, slots=True)
class Session:
    client: weaviate.WeaviateClient
    version: tuple[int, ...]

    @property
    def stub(self) -> Any:
        """The gRPC stub: Search, BatchObjects, BatchDelete, TenantsGet, Aggregate."""
        return self.client._connection.grpc_stub

    @property
    def metadata(self) -> Any:
        """What every gRPC request carries; a token of OpenID Connect is renewed by the client."""
        return self.client._connection.grpc_headers()

    @property
    def has_aliases(self) -> bool:
        return self.version >= ALIASES

    def rest(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request to /v1`path`. Raises what the client raises where there is no answer, or access is denied."""
        connection = self.client._connection
        given = {"weaviate_object": body} if body is not None else {}
        response: Any = getattr(connection, method)(path, error_msg=f"{method} {path}", **given)
        try:
            return response.status_code, response.json() if response.content else None
        except ValueError:
            return response.status_code, response.text  # of a proxy

    def close(self) -> None:
        self.client.close()


def connected(options: WeaviateOptions) -> Session:
    """Return a connection that has reached the server by REST and by gRPC.

    Raises what the client raises; ConnectorError for a server that is too old; TransientError, with what to look at,
    where gRPC does not answer.
    """
    rest, grpc = _addresses(options)
    authority = os.environ.get("SSL_CERT_FILE") if rest.secure or grpc.secure else None
    client = weaviate.connect_to_custom(
        http_host=rest.host,
        http_port=rest.port,
        http_secure=rest.secure,
        grpc_host=grpc.host,
        grpc_port=grpc.port,
        grpc_secure=grpc.secure,
        headers={name: value.reveal() for name, value in options.headers.items()} or None,
        auth_credentials=_credentials(options),
        additional_config=AdditionalConfig(
            timeout=Timeout(query=TIMEOUT_S, insert=TIMEOUT_S, init=INIT_S),
            proxies=Proxies(),  # none but those that httpx and gRPC find by themselves
            trust_env=authority is not None,
            grpc_config=_trusting(authority) if authority is not None else None,
        ),
        skip_init_checks=True,  # they ask a package index whether the client is new
    )
    try:
        version = _version(str(client.get_meta().get("version", "")))
        if version < OLDEST:
            raise ConnectorError(
                f"weaviate at {options.place} is version {'.'.join(map(str, version))}, and vecmig needs"
                f" {'.'.join(map(str, OLDEST))} or later: update it"
            )
        session = Session(client, version)
        _reach_grpc(session, grpc)
    except BaseException:
        client.close()
        raise
    return session


def _reach_grpc(session: Session, address: Address) -> None:
    """Ask for the server's health over gRPC: a port where nothing listens is known before anything is moved."""
    channel: Any = session.client._connection._grpc_channel
    ask = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_weaviate_pb2.WeaviateHealthCheckRequest.SerializeToString,
        response_deserializer=health_weaviate_pb2.WeaviateHealthCheckResponse.FromString,
    )
    try:
        ask(health_weaviate_pb2.WeaviateHealthCheckRequest(), timeout=INIT_S, metadata=session.metadata)
    except RpcError as error:
        raise TransientError(
            f"weaviate answers at its `url`, but not over gRPC at {address}: is that its port, and open? `grpc_url` says"
            f" another one ({error.details() or error.code()})"
        ) from error


def _addresses(options: WeaviateOptions) -> tuple[Address, Address]:
    """Return the addresses of REST and gRPC; an embedded server is started."""
    url, grpc_url = options.url, options.grpc_url
    if options.embedded_in is not None:
        from vecmig.connectors.weaviate.client.embedded import embedded  # not all systems have what it needs

        server = embedded(options.embedded_in)
        url, grpc_url = server.url, server.grpc_url
    return rest_address(url), grpc_address(url, grpc_url)


def _trusting(authority: str) -> GrpcConfig:
    """Return what makes gRPC trust whom REST trusts. Raises ConnectorError."""
    try:
        return GrpcConfig(credentials=ssl_channel_credentials(Path(authority).read_bytes()))
    except OSError as error:
        raise ConnectorError(f"SSL_CERT_FILE names a file that cannot be read: {error}") from error


def _credentials(options: WeaviateOptions) -> AuthApiKey | AuthClientCredentials | None:
    if options.api_key is not None:
        return AuthApiKey(options.api_key.reveal())
    if options.client_secret is not None:
        scope = list(options.oidc.scope) if options.oidc else []
        return AuthClientCredentials(options.client_secret.reveal(), scope=scope or None)
    return None


def _version(text: str) -> tuple[int, ...]:
    """Return the numbers of `1.38.11` or `1.39.0-rc.0`."""
    numbers = text.partition("-")[0].split(".")
    return tuple(int(each) for each in numbers if each.isdigit())
