"""Tenants: the namespaces of a collection that has them; one that sleeps is woken for as long as it is read."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from vecmig.connectors.weaviate.calls import Calls
from vecmig.connectors.weaviate.layout import Layout
from vecmig.connectors.weaviate.proto import tenants_pb2
from vecmig.errors import ConnectorError

_ACTIVE = (tenants_pb2.TENANT_ACTIVITY_STATUS_HOT, tenants_pb2.TENANT_ACTIVITY_STATUS_ACTIVE)
_INACTIVE = (tenants_pb2.TENANT_ACTIVITY_STATUS_COLD, tenants_pb2.TENANT_ACTIVITY_STATUS_INACTIVE)
AT_ONCE = 100  # of one request


def statuses(calls: Calls, layout: Layout) -> dict[str, int]:
    """Return all tenants, each with its status."""
    answer = calls.grpc("tenants", "TenantsGet", tenants_pb2.TenantsGetRequest(collection=layout.stored))
    return {each.name: each.activity_status for each in answer.tenants}


def make(calls: Calls, layout: Layout, names: Iterable[str]) -> None:
    """Create tenants; one that is there stays."""
    every = sorted(names)
    for start in range(0, len(every), AT_ONCE):
        body = [{"name": name} for name in every[start : start + AT_ONCE]]
        calls.rest("new tenants", "post", f"/schema/{layout.stored}/tenants", body)


@contextmanager
def awake(calls: Calls, layout: Layout, names: Iterable[str]) -> Iterator[None]:
    """Activate those of these tenants that are inactive, and put them back. Raises ConnectorError for offloaded ones."""
    known = statuses(calls, layout)
    some = [name for name in names if name in known]
    away = [name for name in some if known[name] not in (*_ACTIVE, *_INACTIVE)]
    if away:
        raise ConnectorError(
            f"tenant {away[0]!r} of {layout.stored!r} is offloaded{f', and {len(away) - 1:,} more' * (len(away) > 1)}: load"
            " it in Weaviate (set it to ACTIVE) and wait until it is there, or delete it, and run this again"
        )
    asleep = [name for name in some if known[name] in _INACTIVE]
    _set(calls, layout, asleep, "HOT")
    try:
        yield
    finally:
        _set(calls, layout, asleep, "COLD")


def _set(calls: Calls, layout: Layout, names: list[str], status: str) -> None:
    for start in range(0, len(names), AT_ONCE):
        body = [{"name": name, "activityStatus": status} for name in names[start : start + AT_ONCE]]
        calls.rest("tenants", "put", f"/schema/{layout.stored}/tenants", body)
