"""One connection: the client for logging in, REST by way of it, and its gRPC stub without its own retries.

The client's calls sleep for up to a minute after UNAVAILABLE, where nobody can stop them, and make a Python list of each
vector. So requests go over its channels, but not through its collections; this is the one module that reaches into it.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from grpc import ssl_channel_credentials

from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.errors import ConnectorError


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

    def rest(self, method: str, path: str, body: object = None, params: Mapping[str, str] | None = None) -> Answer:
        """Send a request to /v1`path`. Raises what the client raises where there is no answer, or access is denied."""
        connection = self.client._connection
        given = {"weaviate_object": body} if body is not None else {"params": dict(params)} if params else {}
        response: Any = getattr(connection, method)(path, error_msg=f"{method} {path}", **given)
        try:
            return response.status_code, response.json() if response.content else None
        except ValueError:
            return response.status_code, response.text  # of a proxy

    def close(self) -> None:
        self.client.close()


def connected(options: WeaviateOptions) -> Session:
    """Return a connection. Raises what the client raises, and ConnectorError for a server that is too old."""
    http, grpc = map(urlsplit, _urls(options))
    assert http.hostname
    assert grpc.hostname
    secure = http.scheme == "https"
    authority = os.environ.get("SSL_CERT_FILE") if secure or _is_secure(grpc.scheme) else None
    client = weaviate.connect_to_custom(
        http_host=http.hostname,
        http_port=http.port or (443 if secure else 80),
        http_secure=secure,
        grpc_host=grpc.hostname,
        grpc_port=grpc.port or (443 if _is_secure(grpc.scheme) else 50051),
        grpc_secure=_is_secure(grpc.scheme),
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
    except BaseException:
        client.close()
        raise
    return Session(client, version)


def _urls(options: WeaviateOptions) -> tuple[str, str]:
    """Return the addresses of REST and gRPC; an embedded server is started."""
    if options.embedded_in is not None:
        from vecmig.connectors.weaviate.client.embedded import embedded  # not all systems have what it needs

        server = embedded(options.embedded_in)
        return server.url, server.grpc_url
    return options.url, options.grpc_url or _grpc_url(options.url)


def _trusting(authority: str) -> GrpcConfig:
    """Return what makes gRPC trust whom REST trusts. Raises ConnectorError."""
    try:
        return GrpcConfig(credentials=ssl_channel_credentials(Path(authority).read_bytes()))
    except OSError as error:
        raise ConnectorError(f"SSL_CERT_FILE names a file that cannot be read: {error}") from error


def _grpc_url(url: str) -> str:
    """Return where a server listens for gRPC: in Weaviate Cloud at a host of its own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.endswith(".weaviate.network"):
        name, _, domain = host.partition(".")
        return f"grpcs://{name}.grpc.{domain}:443"
    if host.endswith((".weaviate.cloud", ".weaviate.io")):
        return f"grpcs://grpc-{host}:443"
    return f"grpcs://{host}:443" if parts.scheme == "https" else f"grpc://{host}:50051"


def _is_secure(scheme: str) -> bool:
    return scheme in ("grpcs", "https")


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
