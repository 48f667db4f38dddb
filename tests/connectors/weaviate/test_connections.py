"""The ways to a server: Weaviate Cloud, TLS with an authority of one's own, keys, OpenID Connect, local, embedded."""

import base64
import hashlib
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from tests.connectors.weaviate.places import batch
from tests.doubles.weaviate import Double
from tests.doubles.weaviate.http import Door, HttpAnswer, HttpRequest
from tests.weaviate_server import WeaviateServer
from vecmig.connectors.weaviate.addresses import Address, grpc_address
from vecmig.connectors.weaviate.client.embedded import embedded, release
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.errors import ConnectorError, TransientError
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.secret import Secret

VECTORS = (VectorField("", 2, "cosine"),)
ROWS = batch([{"id": f"id-{n}", "vector:": [1.0, n]} for n in range(5)], VECTORS)
ROOT = Path(__file__).parents[3]


def used(options: WeaviateOptions, pause_s: float = 0) -> None:
    """Use a connection for all that there is: REST and gRPC, writing and reading."""
    with closing(options.open()) as connector:
        declared = options.complete(Collection(options.collection, VECTORS, mark="vecmig:test", namespaced=False))
        connector.create(declared)
        time.sleep(pause_s)
        assert not connector.upsert(options.collection, ROWS)
        assert digest_of(connector.fetch(options.collection, ROWS.keys)) == digest_of(ROWS)
        connector.drop(options.collection)


def options_of(double: Double, **given: Any) -> WeaviateOptions:
    server = WeaviateServer.of(double)
    return WeaviateOptions("Kb", url=server.url, grpc_url=f"grpc://{server.grpc_host}:{server.grpc_port}", **given)


def test_a_local_server_is_used_without_a_key(weaviate_double: Double) -> None:
    used(options_of(weaviate_double))


@pytest.mark.parametrize(
    "url",
    [
        "https://my-cluster.weaviate.network",
        "https://abc123.c0.europe-west3.gcp.weaviate.cloud",
        "https://abc123.c0.us-west3.gcp.weaviate.io",
    ],
)
def test_the_cloud_is_asked_where_its_own_client_asks_it(url: str) -> None:
    from weaviate.connect import helpers

    # a name that Python would change inside of a class
    _, there = getattr(helpers, "__parse_weaviate_cloud_cluster_url")(url)
    assert grpc_address(url, None) == Address(there, 443, secure=True)


def test_elsewhere_grpc_has_the_same_host() -> None:
    assert grpc_address("http://localhost:8080", None) == Address("localhost", 50051, secure=False)
    assert grpc_address("https://weaviate.example.com", None) == Address("weaviate.example.com", 50051, secure=True)
    assert grpc_address("https://a.example.com", "grpcs://b.example.com") == Address("b.example.com", 443, secure=True)


@pytest.mark.parametrize("url", ["grpc://localhost:8080", "grpc://LOCALHOST:8080"])
def test_one_port_for_rest_and_grpc_is_told_to_be_wrong(url: str) -> None:
    with pytest.raises(ValueError, match="`url` and `grpc_url` are both localhost:8080"):
        WeaviateOptions("Kb", url="http://localhost:8080", grpc_url=url)
    with pytest.raises(ValueError, match="names no host"):
        WeaviateOptions("Kb", url="http://")


def test_a_port_where_nothing_answers_over_grpc_is_told_at_once_by_the_key_of_the_spec(weaviate_double: Double) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    wrong = replace(options_of(weaviate_double), grpc_url=f"grpc://127.0.0.1:{port}")
    begun = time.monotonic()
    with pytest.raises(TransientError, match=rf"not over gRPC at 127.0.0.1:{port}: .*`grpc_url` says another"):
        wrong.open()
    assert time.monotonic() - begun < 5
    assert [(what, well) for what, well, _ in wrong.diagnose()] == [("client", True), ("connect", False)]


def test_an_api_key_opens_and_a_wrong_one_or_none_is_a_clear_error_without_it(weaviate_double: Double) -> None:
    weaviate_double.gate.accepted_keys = {"right-canary"}
    used(options_of(weaviate_double, api_key=Secret("right-canary")))
    for given in ({"api_key": Secret("wrong-canary")}, {}):
        with pytest.raises(ConnectorError) as refused:
            options_of(weaviate_double, **given).open()
        assert "check the `api_key`, or `client_secret`" in str(refused.value)
        assert "canary" not in str(refused.value)


def test_a_key_that_may_not_write_is_told_so(weaviate_double: Double) -> None:
    weaviate_double.gate.accepted_keys = {"writer", "reader"}
    weaviate_double.gate.reading_keys = {"reader"}
    with closing(options_of(weaviate_double, api_key=Secret("writer")).open()) as writer:
        writer.create(writer.options.complete(Collection("Kb", VECTORS, mark="vecmig:test", namespaced=False)))
    with closing(options_of(weaviate_double, api_key=Secret("reader")).open()) as reader:
        assert reader.count("Kb") == {}
        (first, *rest) = reader.upsert("Kb", ROWS)
        assert len(rest) == 4
        assert "forbidden" in first.reason


def test_headers_are_sent_with_every_request(weaviate_double: Double) -> None:
    seen: list[str] = []
    run = weaviate_double.gate.run

    def noted(call: Any, authorization: str, work: Callable[[Any], Any]) -> Any:
        seen.append(authorization)
        return run(call, authorization, work)

    weaviate_double.gate.run = noted  # type: ignore[method-assign]
    used(options_of(weaviate_double, headers={"Authorization": Secret("Bearer by-proxy")}))
    assert set(seen) == {"Bearer by-proxy"}


class Issuer:
    """An identity provider that gives a new token to whoever has the secret, and the double accepts the last one."""

    def __init__(self, double: Double) -> None:
        self.double, self.asked, self.lives_s = double, list[dict[str, list[str]]](), 3_600
        double.gate.accepted_keys = set()
        self.door = Door(self._answer)
        double.store.openid = {
            "href": f"http://127.0.0.1:{self.door.port}/config",
            "clientId": "vecmig-client",
            "scopes": ["openid"],
        }

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        if request.path == "/config":
            return self._json({"token_endpoint": f"http://127.0.0.1:{self.door.port}/token"})
        form = parse_qs(request.body.decode())
        basic = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        sent = basic or f"{form.get('client_id', [''])[0]}:{form.get('client_secret', [''])[0]}"
        if sent != "vecmig-client:right-canary" or form["grant_type"] != ["client_credentials"]:
            return self._json({"error": "invalid_client"}, 401)
        self.asked.append(form)
        token = f"token-{len(self.asked)}"
        self.double.gate.accepted_keys = {token}
        return self._json({"access_token": token, "token_type": "Bearer", "expires_in": self.lives_s})

    @staticmethod
    def _json(body: dict[str, Any], status: int = 200) -> HttpAnswer:
        # the client leaves a connection open where logging in fails
        return HttpAnswer(status, orjson.dumps(body), {"content-type": "application/json", "connection": "close"})


@pytest.fixture
def issuer(weaviate_double: Double) -> Iterator[Issuer]:
    made = Issuer(weaviate_double)
    yield made
    made.door.close()


LOGGED_IN = """
import sys, time
from vecmig.connectors.weaviate.client import session  # as in the command: nobody has imported the client before
from tests.connectors.weaviate.test_connections import used
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.schema.parameters import Oidc
from vecmig.model.secret import Secret
url, grpc_url, scope, pause_s = sys.argv[1:]
oidc = Oidc(tuple(scope.split())) if scope else None
options = WeaviateOptions("Kb", url=url, grpc_url=grpc_url, client_secret=Secret("right-canary"), oidc=oidc)
used(options, float(pause_s))
"""


def log_in(double: Double, scope: str = "", pause_s: float = 0) -> None:
    """Use a connection in a process of its own."""
    options = options_of(double)
    arguments = [options.url, str(options.grpc_url), scope, str(pause_s)]
    subprocess.run([sys.executable, "-W", "ignore", "-c", LOGGED_IN, *arguments], check=True, cwd=ROOT, timeout=120)


def test_client_credentials_of_openid_connect_open(weaviate_double: Double, issuer: Issuer) -> None:
    log_in(weaviate_double, "vecmig")
    assert [each["scope"] for each in issuer.asked] == [["openid vecmig"]]
    assert {each.transport for each in weaviate_double.requests} == {"rest", "grpc"}


def test_a_token_that_ends_is_renewed_for_both_transports(weaviate_double: Double, issuer: Issuer) -> None:
    issuer.lives_s = 32  # the client renews it half a minute before its end
    log_in(weaviate_double, pause_s=5)
    assert len(issuer.asked) > 1


def test_a_wrong_client_secret_is_a_clear_error_without_it(weaviate_double: Double, issuer: Issuer) -> None:
    with pytest.raises(ConnectorError) as refused:
        options_of(weaviate_double, client_secret=Secret("wrong-canary")).open()
    assert "check the `api_key`, or `client_secret`" in str(refused.value)
    assert "canary" not in str(refused.value)


def test_key_and_client_secret_are_two_ways() -> None:
    with pytest.raises(ValueError, match="two ways to log in"):
        WeaviateOptions("Kb", api_key=Secret("a"), client_secret=Secret("b"))


class Tls:
    """Two ports of TLS in front of a double, and the certificate of the authority that signed theirs."""

    def __init__(self, double: Double, directory: Path, stack: ExitStack) -> None:
        self.authority = directory / "authority.pem"
        certificate = _certificates(directory, self.authority)
        self.port = _tunnel(certificate, double.port, ["http/1.1"], stack)
        self.grpc_port = _tunnel(certificate, double.grpc_port, ["h2"], stack)


def _certificates(directory: Path, authority: Path) -> Path:
    """Write the authority's certificate, and one for 127.0.0.1 with its key; return the latter."""

    def signed(name: str, key: Any, issuer: str, by: Any, is_authority: bool) -> x509.Certificate:
        own, above = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in (name, issuer))
        made = x509.CertificateBuilder(above, own, key.public_key(), x509.random_serial_number())
        now = datetime.now(UTC)
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        hosts = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        return made.add_extension(hosts, critical=False).sign(by, hashes.SHA256())

    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pem = serialization.Encoding.PEM
    authority.write_bytes(signed("authority", root, "authority", root, True).public_bytes(pem))
    both = directory / "server.pem"
    secret = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    both.write_bytes(secret + signed("server", own, "authority", root, False).public_bytes(pem))
    return both


def _tunnel(certificate: Path, port: int, protocols: list[str], stack: ExitStack) -> int:
    """Open a port that speaks TLS, and hands on what it says to another; return it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(protocols)
    door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def pump(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := one.recv(65_536):
                other.sendall(data)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def serve(plain: socket.socket) -> None:
        with (
            suppress(OSError, ssl.SSLError),
            plain,
            context.wrap_socket(plain, server_side=True) as secret,
            socket.create_connection(("127.0.0.1", port)) as behind,
        ):
            back = threading.Thread(target=pump, args=(behind, secret))
            back.start()
            pump(secret, behind)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(door.getsockname()[1])


@pytest.fixture
def tls(weaviate_double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tls]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with ExitStack() as stack:
        yield Tls(weaviate_double, tmp_path, stack)


def over(tls: Tls) -> WeaviateOptions:
    return WeaviateOptions("Kb", url=f"https://127.0.0.1:{tls.port}", grpc_url=f"grpcs://127.0.0.1:{tls.grpc_port}")


def test_a_server_behind_tls_is_used_where_its_authority_is_known(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority))
    used(over(tls))


def test_where_nothing_answers_the_cause_is_told_and_what_to_look_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(TransientError) as caught:
        WeaviateOptions("Kb", url=f"http://127.0.0.1:{port}").open()
    said = str(caught.value)
    assert said.startswith(f"weaviate at 127.0.0.1:{port}: the connection failed: [Errno")
    assert said.endswith("Connection refused; is the server up, and `url` its address?")


def test_one_whose_authority_is_not_known_is_not_talked_to(tls: Tls) -> None:
    with pytest.raises(TransientError, match="CERTIFICATE_VERIFY_FAILED"):
        over(tls).open()


def test_an_authority_that_is_not_there_is_told(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/authority.pem")
    with pytest.raises(ConnectorError, match="SSL_CERT_FILE names a file that cannot be read"):
        over(tls).open()


STAND_IN = """\
#!/bin/sh
while [ "$1" != --port ]; do shift; done
exec {python} -m tests.doubles.weaviate --port "$2" --grpc-port "$GRPC_PORT" > /dev/null
"""


@pytest.fixture(params=["double", "real"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, short_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A directory for an embedded server, whose program, a stand-in or the real one, is where the client looks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    file = tmp_path / f"weaviate-v1.38.11-{hashlib.sha256(b'v1.38.11').hexdigest()}"
    if request.param == "double":
        file.write_text(STAND_IN.format(python=sys.executable))
        file.chmod(0o755)
    elif binary := os.environ.get("VECMIG_TEST_WEAVIATE_BINARY"):
        file.symlink_to(binary)
    else:
        pytest.skip("no Weaviate to start: set VECMIG_TEST_WEAVIATE_BINARY")
    made = short_directory / "weaviate"
    yield made
    release(str(made))


def test_an_embedded_server_is_started_once_and_keeps_its_data_in_its_directory(
    place: Path, request: pytest.FixtureRequest
) -> None:
    options = WeaviateOptions("Kb", url=f"embedded:{place}")
    used(options)
    one = embedded(str(place))
    with closing(options.open()) as first, closing(options.open()) as second:
        assert embedded(str(place)) is one
        first.create(options.complete(Collection("Kb", VECTORS, mark="vecmig:test", namespaced=False)))
        first.upsert("Kb", ROWS)
        assert second.count("Kb") == {"": 5}
    process = one.process.process
    assert process is not None
    release(str(place))
    assert process.poll() is not None
    if "real" in request.node.name:
        with closing(options.open()) as again:
            assert again.fetch("Kb", ROWS.keys).keys == ROWS.keys


def test_one_that_another_process_uses_is_told_and_what_a_killed_one_left_is_ended(place: Path) -> None:
    code = f"from vecmig.connectors.weaviate.client.embedded import embedded; embedded({str(place)!r}); print(1, flush=True); input()"
    options = WeaviateOptions("Kb", url=f"embedded:{place}")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(ConnectorError, match="is used by another process"):
            options.open()
        left = int((place / "vecmig.lock").read_text())
        other.kill()
    assert runs(left)
    used(options)
    assert not runs(left)


def runs(pid: int) -> bool:
    """Return whether a process is there that has not ended."""
    shown = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")


def test_without_its_program_nothing_is_downloaded_and_the_way_to_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ConnectorError, match=r"there is no Weaviate to start .* weaviate.connect_to_embedded\(\)"):
        WeaviateOptions("Kb", url=f"embedded:{tmp_path / 'data'}").open()
    assert list(tmp_path.iterdir()) == []


def test_an_embedded_server_has_a_place_of_its_own_and_no_keys(tmp_path: Path) -> None:
    options = WeaviateOptions("kb", url="embedded:here").anchored(str(tmp_path))
    assert (options.url, options.place) == (f"embedded:{tmp_path / 'here'}",) * 2
    with pytest.raises(ValueError, match="an embedded server has neither `grpc_url` nor keys"):
        WeaviateOptions("Kb", url="embedded:here", api_key=Secret("a"))
