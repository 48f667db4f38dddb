"""A verification searches both indexes in each namespace, with filters in Pinecone's own language; a plan counts that."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from tests.doubles.pinecone import Double, Index
from tests.doubles.pinecone import vectors as service
from tests.doubles.pinecone.calls import Call
from tests.end_to_end.conftest import Site, rows
from tests.end_to_end.pinecone import HEAD, NAMESPACES, Cloud, end

SPEC = f"""{HEAD}
sources: {{s: {end("source")}}}
targets: {{t: {end("kb")}}}
fields: {{created: {{type: datetime, filter: true}}}}
verification:
  search:
    queries: {{sample: 12}}
    top_k: 3
    filters: [{{n: {{gte: 6, lt: 30}}}}, {{not: {{tags: b}}}}, {{created: {{gte: 2026-01-01}}}}]
migrations: [{{name: m, source: s, target: t}}]
execution: {{workers: 2}}
"""
SINCE = {"created": {"$gte": 1767225600.0}}  # 2026-01-01 in UTC
EVERYWHERE = [{"$and": [{"n": {"$gte": 6}}, {"n": {"$lt": 30}}]}, {"tags": {"$ne": "b"}}, None]


@pytest.fixture
def cloud(double: Double, site: Site) -> Cloud:
    """An index of forty records in three namespaces, whose dates are texts."""
    made = Cloud(double, site)
    some = rows(range(40))
    for n, row in enumerate(some):
        row["metadata"] |= {"created": f"{2025 + n % 2}-06-01T00:00:00Z"}
    made.store("source", some)
    site.spec(SPEC)
    return made


def test_each_namespace_of_both_sides_is_searched_with_each_filter_that_it_can_run(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, dict[str, list[Mapping[str, Any] | None]]] = defaultdict(lambda: defaultdict(list))
    served = service.query

    def query(index: Index, call: Call, query: service.Query) -> Any:
        some = asked[index.name][call.namespace]
        if query.filter not in some:
            some.append(query.filter)
        return served(index, call, query)

    monkeypatch.setattr(service, "query", query)
    (report,) = cloud.outcome()["reports"]
    assert report["verdict"] == "passed"
    assert set(asked) == {"source", "kb"}
    for index, filters in (("source", EVERYWHERE), ("kb", [*EVERYWHERE, SINCE])):
        assert set(asked[index]) == set(NAMESPACES)
        for namespace, found in asked[index].items():
            assert len(found) == len(filters), (index, namespace, found)
            assert all(each in found for each in filters), (index, namespace, found)


def test_the_plan_says_what_each_namespace_will_cost_and_that_is_what_it_costs(cloud: Cloud) -> None:
    planned = cloud.site.run("plan", "--json", "--out", "kb.vplan")
    assert planned.code == 0, planned.err
    costs = json.loads(planned.out)["migrations"][0]["estimate"]["costs"]
    said = {(cost["side"], cost["what"]): cost["namespaces"] for cost in costs}
    shown = " ".join(cloud.site.run("plan", "-v").out.split())
    assert "source pinecone source reads" in shown
    assert "target pinecone kb writes" in shown
    assert "the source shows changes by counts only: one that leaves them equal is not seen" in shown
    for name in ("(default)", "de", "en"):
        assert shown.count(f" {name} ") >= 4, shown
    cloud.forget()
    cloud.outcome("kb.vplan")  # of a plan that was made before: to make one, reads a sample
    of_one_namespace = ("list", "fetch", "query", "upsert")
    for side, index, what, unit in (
        ("source", "source", "reads", "read_units"),
        ("target", "kb", "writes", "write_units"),
    ):
        for namespace in NAMESPACES:
            spent = sum(
                getattr(each, unit)
                for each in cloud.double.requests
                if (each.index, each.namespace) == (index, namespace) and each.operation in of_one_namespace
            )
            said_of_it = said[side, what][namespace]
            assert 0 < said_of_it["low"] <= spent <= said_of_it["high"], (index, what, namespace, said_of_it, spent)
