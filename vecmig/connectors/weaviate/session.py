"""One connection: the client for logging in, REST by way of it, and its gRPC stub without its own retries.

The client's calls sleep for up to a minute after UNAVAILABLE, where nobody can stop them, and make a Python list of each
vector. So requests go over its channels, but not through its collections; this is the one module that reaches into it.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.errors import ConnectorError

with warnings.catch_warnings():  # its import announces the next version of a library, which asks to be heard always
    from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]

    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    import weaviate as weaviate
    from weaviate.auth import AuthApiKey, AuthClientCredentials
    from weaviate.config import AdditionalConfig, Timeout

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
    http, grpc = urlsplit(options.url), urlsplit(options.grpc_url or _grpc_url(options.url))
    assert http.hostname
    assert grpc.hostname
    secure = http.scheme == "https"
    client = weaviate.connect_to_custom(
        http_host=http.hostname,
        http_port=http.port or (443 if secure else 80),
        http_secure=secure,
        grpc_host=grpc.hostname,
        grpc_port=grpc.port or (443 if _is_secure(grpc.scheme) else 50051),
        grpc_secure=_is_secure(grpc.scheme),
        headers={name: value.reveal() for name, value in options.headers.items()} or None,
        auth_credentials=_credentials(options),
        additional_config=AdditionalConfig(timeout=Timeout(query=TIMEOUT_S, insert=TIMEOUT_S, init=INIT_S)),
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
