"""Each error of the SDK as a person reads it: what happened, where, what next; tried again where that may help."""

import pickle
from typing import Any

import httpx
import pytest

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import TRANSPORTS, plant
from tests.doubles.pinecone import Double, Fault
from tests.doubles.pinecone.errors import Code
from vecmig.connectors.pinecone.client.errors import LARGE, Refused, TooLarge, retry_after_s, translated
from vecmig.errors import CollectionNotFound, ConnectorError, TransientError
from vecmig.model.secret import Secret

KINDS: dict[Code, type[ConnectorError]] = {
    Code.INVALID_ARGUMENT: Refused,
    Code.DEADLINE_EXCEEDED: TransientError,
    Code.NOT_FOUND: CollectionNotFound,
    Code.ALREADY_EXISTS: TransientError,
    Code.PERMISSION_DENIED: ConnectorError,
    Code.RESOURCE_EXHAUSTED: TransientError,
    Code.FAILED_PRECONDITION: TransientError,
    Code.ABORTED: TransientError,
    Code.OUT_OF_RANGE: TransientError,
    Code.UNIMPLEMENTED: TransientError,
    Code.INTERNAL: TransientError,
    Code.UNAVAILABLE: TransientError,
    Code.UNAUTHENTICATED: ConnectorError,
}


def raised(double: Double, connect: Connect, transport: str, fault: Fault) -> Any:
    """Return the SDK's own error for a fault."""
    index = double.store.indexes.get("docs") or plant(double, ["a"])
    assert index
    connector = connect("docs", transport=transport)
    opened = connector._open("docs")
    double.faults.add(fault, on="stats")
    try:
        opened.api.stats()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize("code", Code)
def test_each_code_of_grpc_has_its_error(double: Double, connect: Connect, code: Code) -> None:
    error = translated(raised(double, connect, "grpc", Fault.status(code.http, code=code)), "pinecone stats in 'docs'")
    assert type(error) is KINDS[code]
    assert str(error).startswith("pinecone stats in 'docs': ")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, ConnectorError),
        (402, ConnectorError),
        (403, ConnectorError),
        (404, CollectionNotFound),
        (408, TransientError),
        (409, TransientError),
        (412, ConnectorError),
        (413, TooLarge),
        (414, TooLarge),
        (418, ConnectorError),
        (422, Refused),
        (429, TransientError),
        (500, TransientError),
        (501, ConnectorError),
        (502, TransientError),
        (503, TransientError),
        (504, TransientError),
        (599, TransientError),
    ],
)
def test_each_status_of_rest_has_its_error(
    double: Double, connect: Connect, status: int, kind: type[ConnectorError]
) -> None:
    error = translated(raised(double, connect, "rest", Fault.status(status)), "pinecone stats in 'docs'")
    assert type(error) is kind
    assert type(pickle.loads(pickle.dumps(error))) is kind
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("fault", [Fault.reset(), Fault.truncated()], ids=["reset", "half"])
def test_a_broken_connection_is_transient(double: Double, connect: Connect, transport: str, fault: Fault) -> None:
    assert isinstance(translated(raised(double, connect, transport, fault), "here"), TransientError)


def test_over_rest_the_sdk_tries_nothing_again_by_itself(double: Double, connect: Connect) -> None:
    raised(double, connect, "rest", Fault.status(503))
    assert [each.status for each in double.requests if each.operation == "stats"] == [503]


def test_over_grpc_the_sdk_tries_nothing_again_by_itself(double: Double, connect: Connect) -> None:
    raised(double, connect, "grpc", Fault.status(503))
    assert [each.status for each in double.requests if each.operation == "stats"] == [503]


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_known_over_rest(double: Double, connect: Connect, status: int) -> None:
    assert retry_after_s(raised(double, connect, "rest", Fault.status(status, retry_after_s=7))) == 7


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Error, message length too large: found 5453452 bytes, the limit is: 4194304 bytes", TooLarge),
        ("Received message larger than max (5453452 vs. 4194304)", TooLarge),
        ("grpc: received message larger than max (5453452 vs. 4194304)", TooLarge),
        ("You've reached the write unit limit for the current month", ConnectorError),
        ("Request failed. You've reached your monthly quota", ConnectorError),
        ("Too many requests", TransientError),
        ("You've reached the max upsert size limit per second for index 'docs'. Pace your requests", TransientError),
        ("You've reached the max fetch requests per second for project 'p'", TransientError),
    ],
)
def test_what_is_exhausted_is_told_apart_by_its_words(message: str, kind: type[ConnectorError]) -> None:
    from pinecone import ApiError

    assert type(translated(ApiError(message, 429), "here")) is kind


def test_an_address_too_long_is_halved_as_what_is_too_large() -> None:
    error = translated(httpx.InvalidURL("URL component 'query' too long"), "here")
    assert isinstance(error, TooLarge)
    assert error.reason == LARGE


def test_values_that_a_refusal_quotes_are_not_repeated() -> None:
    from pinecone import ApiError, PineconeTypeError

    for said in (
        ApiError("Metadata value must be a string, got 'canary' for field \"canary\"", 400),
        ApiError("Metadata value must be a string, got 'it's the canary's', it isn't", 400),
        ApiError("message length too large: 'canary'", 400),
        PineconeTypeError("metadata value `canary` must be a str"),
    ):
        error = translated(said, "here")
        assert isinstance(error, Refused)
        assert "canary" not in str(error) + error.reason


def test_the_key_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    from pinecone import UnauthorizedError

    monkeypatch.setenv("PINECONE_API_KEY", "canary-key")
    Secret("{{ env.PINECONE_API_KEY }}").reveal()
    assert "canary" not in str(translated(UnauthorizedError("Invalid API Key: canary-key"), "here"))


def test_a_long_answer_is_cut() -> None:
    from pinecone import ApiError

    assert len(str(translated(ApiError("<html>" + "x" * 5_000, 500), "here"))) < 400
