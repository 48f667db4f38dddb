"""Pinecone has no name that can be given to another index: a build beside has its own, and the application changes."""

import re

import pytest
from msgspec.structs import replace

from tests.connectors.pinecone.conftest import Connect
from tests.doubles.pinecone.server import Double
from vecmig.connectors.pinecone.limits import MAX_INDEX
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.errors import UnsupportedError
from vecmig.model.secret import Secret
from vecmig.testing.contract import COLLECTION, KEYS, held, records


def beside(index: str, generation: int) -> str:
    return PineconeOptions(Secret("test"), index).beside(generation).index


@pytest.mark.parametrize("index", ["kb", "a-b", "k" * MAX_INDEX, "k" * 36 + "-" + "k" * 8])
@pytest.mark.parametrize("generation", [1, 2, 123])
def test_the_name_beside_is_one_that_pinecone_takes(index: str, generation: int) -> None:
    name = beside(index, generation)
    assert len(name) <= MAX_INDEX
    assert re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert name.endswith(f"-v{generation}")


def test_long_names_that_begin_alike_have_different_ones_beside() -> None:
    assert beside("k" * MAX_INDEX, 2) != beside("k" * (MAX_INDEX - 1) + "x", 2)


def test_all_but_the_name_is_that_of_what_serves(double: Double) -> None:
    options = PineconeOptions(Secret("test"), "kb", host=double.url, region="eu-west-1", kind="documents")
    assert options.beside(2) == replace(options, index="kb-v2")


def test_a_switch_says_what_the_application_has_to_read_and_changes_nothing(connect: Connect) -> None:
    target = connect("kb")
    for version, name in enumerate(("kb", "kb-v2")):
        target.create(replace(COLLECTION, name=name))
        target.upsert(name, records(KEYS, version))
        target.settle(name, {"one": 5, "two": 5}, timeout_s=60)
    assert not target.capabilities.switches
    with pytest.raises(UnsupportedError, match="let the application read 'kb-v2' instead of 'kb'"):
        target.switch("kb", "kb-v2", "kb-v1")
    assert [held(target, name) for name in ("kb", "kb-v2")] == [(KEYS, {0}), (KEYS, {1})]
    assert target.describe("kb-v1") is None
