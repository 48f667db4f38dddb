"""Where a server listens: for REST, and for gRPC."""

from dataclasses import dataclass
from urllib.parse import urlsplit

GRPC_PORT = 50051  # Weaviate's own


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int
    secure: bool  # by TLS

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def rest_address(url: str) -> Address:
    """Return where REST is. Raises ValueError for what is no address."""
    return _address(url, 443 if url.startswith("https:") else 80)


def grpc_address(url: str, grpc_url: str | None) -> Address:
    """Return where gRPC is; where nothing says it, from the address of REST. Raises ValueError for what is no address."""
    if grpc_url is not None:
        return _address(grpc_url, 443 if grpc_url.startswith(("grpcs:", "https:")) else GRPC_PORT)
    rest = rest_address(url)
    if rest.host.endswith(".weaviate.network"):  # Weaviate Cloud has a host of its own for it
        name, _, domain = rest.host.partition(".")
        return Address(f"{name}.grpc.{domain}", 443, True)
    if rest.host.endswith((".weaviate.cloud", ".weaviate.io")):
        return Address(f"grpc-{rest.host}", 443, True)
    return Address(rest.host, GRPC_PORT, rest.secure)


def _address(url: str, port: int) -> Address:
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError(f"{url} names no host")
    return Address(parts.hostname, parts.port or port, parts.scheme in ("https", "grpcs"))
