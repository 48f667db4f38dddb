"""Tenants: the namespaces of a collection that has them; one that sleeps is woken for as long as it is used."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from vecmig.connectors.weaviate.client.calls import Calls
from vecmig.connectors.weaviate.client.proto import tenants_pb2
from vecmig.connectors.weaviate.schema import names
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.errors import ConnectorError

ACTIVE = (tenants_pb2.TENANT_ACTIVITY_STATUS_HOT, tenants_pb2.TENANT_ACTIVITY_STATUS_ACTIVE)
INACTIVE = (tenants_pb2.TENANT_ACTIVITY_STATUS_COLD, tenants_pb2.TENANT_ACTIVITY_STATUS_INACTIVE)
AT_ONCE = 100  # of one request, and awake at once where all are looked at


def holding(namespaces: Iterable[str]) -> dict[str, str]:
    """Return the tenant of each namespace; there is none for one that is too long."""
    found = {}
    for each in namespaces:
        with suppress(ValueError):
            found[each] = names.tenant(each)
    return found


def statuses(calls: Calls, layout: Layout, of: Iterable[str] | None = None) -> dict[str, int]:
    """Return all tenants, or those of these that are there, each with its status."""
    some = None if of is None else tenants_pb2.TenantNames(values=sorted(of))
    if some is not None and not some.values:
        return {}
    request = tenants_pb2.TenantsGetRequest(collection=layout.stored, names=some)
    return {each.name: each.activity_status for each in calls.grpc("tenants", "TenantsGet", request).tenants}


def make(calls: Calls, layout: Layout, wanted: Iterable[str]) -> None:
    """Create those of these tenants that are not there."""
    wanted = set(wanted)
    every = sorted(wanted - statuses(calls, layout, wanted).keys())
    for start in range(0, len(every), AT_ONCE):
        body = [{"name": name} for name in every[start : start + AT_ONCE]]
        calls.rest("new tenants", "post", f"/schema/{layout.stored}/tenants", body)


def wake(calls: Calls, layout: Layout, wanted: Iterable[str]) -> list[str]:
    """Activate those of these tenants that are inactive, and return them. Raises ConnectorError for offloaded ones."""
    known = statuses(calls, layout, wanted)
    away = [name for name, status in known.items() if status not in (*ACTIVE, *INACTIVE)]
    if away:
        raise ConnectorError(
            f"tenant {away[0]!r} of {layout.stored!r} is offloaded{f', and {len(away) - 1:,} more' * (len(away) > 1)}: load"
            " it in Weaviate (set it to ACTIVE) and wait until it is there, or delete it, and run this again"
        )
    asleep = [name for name, status in known.items() if status in INACTIVE]
    _set(calls, layout, asleep, "HOT")
    return asleep


def put_back(calls: Calls, layout: Layout, wanted: Iterable[str]) -> None:
    """Deactivate tenants that `wake` returned."""
    _set(calls, layout, sorted(wanted), "COLD")


@contextmanager
def awake(calls: Calls, layout: Layout, wanted: Iterable[str]) -> Iterator[None]:
    """Have these tenants active, and put those back that were not. Raises ConnectorError for offloaded ones."""
    asleep = wake(calls, layout, wanted)
    try:
        yield
    except BaseException:
        with suppress(ConnectorError):  # what went wrong before says more
            put_back(calls, layout, asleep)
        raise
    put_back(calls, layout, asleep)


def each_awake(calls: Calls, layout: Layout) -> Iterator[str]:
    """Yield every tenant while it is active; few that were not are so at once."""
    every = sorted(statuses(calls, layout))
    for start in range(0, len(every), AT_ONCE):
        some = every[start : start + AT_ONCE]
        with awake(calls, layout, some):
            yield from some


def _set(calls: Calls, layout: Layout, every: list[str], status: str) -> None:
    for start in range(0, len(every), AT_ONCE):
        body = [{"name": name, "activityStatus": status} for name in every[start : start + AT_ONCE]]
        calls.rest("tenants", "put", f"/schema/{layout.stored}/tenants", body)
