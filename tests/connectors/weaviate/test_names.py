"""Names and ids that Weaviate does not take come back, and no two become one."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecmig.connectors.weaviate.records import ids
from vecmig.connectors.weaviate.schema import names


@given(st.text(max_size=20))
def test_a_namespace_comes_back_from_its_tenant(namespace: str) -> None:
    try:
        tenant = names.tenant(namespace)
    except ValueError:
        assert len(namespace.encode()) > 38
        return
    assert 1 <= len(tenant) <= 64
    assert set(tenant) <= set(string.ascii_letters + string.digits + "-_")
    assert names.namespace(tenant) == namespace


@pytest.mark.parametrize("namespace", ["acme", "a-b_c", "42"])
def test_a_namespace_that_can_be_a_tenant_is_one_of_its_own_name(namespace: str) -> None:
    assert names.tenant(namespace) == namespace


@given(st.lists(st.text(max_size=8), max_size=12))
def test_no_two_fields_share_a_property(fields: list[str]) -> None:
    properties = names.properties(fields)
    assert properties.keys() == set(fields)
    assert len({each.lower() for each in properties.values()}) == len(properties)
    for name in properties.values():
        assert name[:1] in string.ascii_lowercase + "_"
        assert set(name) <= set(string.ascii_letters + string.digits + "_")
        assert name not in ("id", "_id", "vector", "_additional")


def test_a_canonical_uuid_stays_and_anything_else_becomes_one_by_namespace_and_id() -> None:
    uuid = "0b5e8a53-7a52-4c3e-8f0e-6f1d7a52c3e8"
    assert ids.stored("a", uuid) == uuid
    assert ids.stored("a", uuid.upper()) != uuid
    assert ids.stored("a", "bc") != ids.stored("ab", "c")
    assert ids.stored("a", "b") == ids.stored("a", "b")
