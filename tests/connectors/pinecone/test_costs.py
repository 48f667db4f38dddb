"""Units on both sides of each minimum, and against what the double counts while a plan runs."""

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest

from tests.doubles.pinecone.server import Double
from tests.execution.world import MemoryStore
from vecmig.connectors.memory import MemoryOptions
from vecmig.connectors.pinecone.costs import costs, read_units, write_units
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.migration import Endpoint, Migration, Project
from vecmig.model.batch import RecordBatch, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.filter import parse
from vecmig.model.plan import Bounds, Plan, exactly
from vecmig.model.report import Report
from vecmig.model.secret import Secret
from vecmig.model.settings import Queries, Sample, Search, Thresholds, Verification
from vecmig.protocols import ConnectorOptions, Work
from vecmig.workflow.run import execute, prepare

GB = 1_000_000_000
MIXED = 7_144  # bytes of a record in an example of Pinecone's page


@pytest.mark.parametrize(
    ("rows", "units"),
    [(0, 0), (1, 2), (10, 2), (11, 3), (100, 11), (101, 13), (250, 28), (251, 29), (1_000_000, 110_000)],
)
def test_a_pass_lists_a_hundred_ids_and_fetches_ten_records_for_a_unit(rows: int, units: float) -> None:
    assert read_units(Work("copy", "n", exactly(rows), exactly(1)), MIXED) == exactly(units)
    assert read_units(Work("copy", "n", exactly(rows), Bounds(1, 3)), MIXED) == Bounds(units, 3 * units)


@pytest.mark.parametrize(("records", "units"), [(1, 1), (10, 1), (11, 2), (107, 11)])
def test_a_fetch_costs_a_unit_for_ten_records_and_never_less(records: int, units: float) -> None:
    assert read_units(Work("proof", "n", fetched=exactly(records)), MIXED) == exactly(units)
    scattered = read_units(Work("proof", None, fetched=exactly(records)), MIXED)
    assert scattered == Bounds(units, records), "each may be in a namespace of its own"


@pytest.mark.parametrize(
    ("rows", "size", "units"),
    [(1, 100, 0.25), (250, GB // 1000, 0.25), (251, GB // 1000, 0.251), (1_000_000, MIXED, 7.144)],
)
def test_a_query_costs_a_unit_for_each_gigabyte_and_a_quarter_at_least(rows: int, size: int, units: float) -> None:
    found = read_units(Work("proof", "n", exactly(rows), queries=exactly(40)), size)
    assert found.low == found.high == pytest.approx(40 * units)


def test_an_exact_search_reads_the_namespace() -> None:
    assert read_units(Work("proof", "n", exactly(1_000), exact=Bounds(1, 3)), MIXED) == Bounds(110, 330)


@pytest.mark.parametrize(
    ("rows", "size", "units"),
    [
        (0, 1_000, 0),
        (1, 100, 5),
        (1, 5_000, 5),
        (1, 5_001, 6),
        (50, 100, 5),
        (51, 100, 6),
        (1_000, 100, 100),
        (1_001, 100, 105),  # the last request holds one record, and costs the least
        (1_000_000, 7_140, 7_142_858),
    ],
)
def test_an_upsert_costs_a_unit_for_each_kilobyte_and_five_at_least(rows: int, size: int, units: float) -> None:
    found = write_units(Work("load", "n", written=exactly(rows)), size)
    assert found.low == found.high == pytest.approx(units, rel=1e-3)


def test_each_part_of_a_load_may_end_with_a_small_request() -> None:
    assert write_units(Work("load", "n", written=exactly(1_000), parts=4), 100) == Bounds(100, 115)
    assert write_units(Work("load", "n", written=exactly(1), parts=4), 100) == exactly(5)
    assert write_units(Work("load", None, written=exactly(1_000)), 100) == Bounds(100, 5_000)


def test_prefixes_add_their_last_pages_and_small_fetches_their_rest() -> None:
    once = Work("copy", "n", exactly(1_000), exactly(1))
    assert read_units(once, MIXED, prefixes=3) == Bounds(110, 114)
    assert read_units(once, MIXED, at_once=15) == exactly(10 + 66 * 2 + 1)


def test_a_million_records_cost_what_the_prices_say_over_all_plans() -> None:
    reads, egress = costs([Work("copy", "n", exactly(1_000_000), exactly(1))], MIXED)
    assert (reads.units, reads.unit, reads.steps) == (exactly(110_000), "RU", ("copy",))
    assert reads.usd
    assert [reads.usd.low, reads.usd.high] == pytest.approx([0.110 * 16, 0.110 * 27])
    assert reads.prices == "Standard to Enterprise, 2026-06-09, usagepricing.com"
    assert egress.units.high == pytest.approx(7.144)
    assert (egress.unit, egress.usd) == ("GB", None), "no price, no guess"
    writes, storage = costs([Work("load", "n", exactly(1_000_000), written=exactly(1_000_000))], MIXED)
    assert writes.usd
    assert [writes.usd.low, writes.usd.high] == pytest.approx([28.58, 48.22], abs=0.1)
    assert storage.monthly
    assert storage.usd
    assert storage.usd.high == pytest.approx(7.144 * 0.33)


def test_no_work_costs_nothing() -> None:
    assert costs([], MIXED) == []
    assert costs([Work("proof", "n", exactly(10))], MIXED) == []


VECTORS = (VectorField("", 16, "cosine"),)


def batch(namespace: str, rows: int) -> RecordBatch:
    values = np.random.default_rng(rows).standard_normal((rows, 16)).astype(np.float32)
    records = [
        {
            "id": f"r{n:05}",
            "namespace": namespace,
            "vector:": values[n],
            "metadata": json.dumps({"n": n, "t": "x" * 40}),
        }
        for n in range(rows)
    ]
    return RecordBatch(pa.RecordBatch.from_pylist(records, schema_of(VECTORS)))


@pytest.fixture
def ends(double: Double) -> tuple[MemoryOptions, PineconeOptions]:
    """A source of three namespaces in memory, and an index that is not there yet."""
    memory = MemoryOptions("docs", str(uuid4()))
    with closing(memory.open()) as source:
        source.create(Collection("docs", VECTORS))
        for namespace, rows in (("a", 640), ("b", 101), ("", 7)):
            source.upsert("docs", batch(namespace, rows))
    return memory, PineconeOptions(Secret("test"), "kb", host=double.url)


@pytest.fixture
def run(double: Double, tmp_path: Path) -> Callable[..., Plan]:
    """Plan, apply and prove; what the double counts before the plan is made is forgotten."""

    def run(source: ConnectorOptions, target: ConnectorOptions, verification: Verification) -> Plan:
        ends = Endpoint("s", "any", source), Endpoint("t", "any", target, adopt=True)
        filters = (parse({"n": {"lt": 50}}),) if verification.search else ()
        migration = Migration("m", *ends, verification=verification, filters=filters)
        project = Project("p", "e", "vecmig.yaml", str(tmp_path), "d", (migration,))
        prepared = prepare(project, None, None)
        double.requests.clear()
        reports = [each for each in execute(project, prepared, MemoryStore(), Event()) if isinstance(each, Report)]
        assert [each.verdict for each in reports] == ["passed"]
        return prepared.plan

    return run


def units(plan: Plan, what: str) -> Bounds:
    return sum((cost.units for cost in plan.costs if cost.what == what), Bounds())


WITH_SEARCH = Verification(search=Search(Queries(20), top_k=3), thresholds=Thresholds(overlap=0))
SETTLED = 64  # records that are fetched, at most, to see that the last writes show
COUNTED = 8  # requests that ask for counts


@pytest.mark.parametrize("verification", [WITH_SEARCH, Verification(Sample(30), Search(Queries(20), top_k=3))])
def test_reading_an_index_takes_what_the_plan_said(
    double: Double,
    ends: tuple[MemoryOptions, PineconeOptions],
    run: Callable[..., Plan],
    verification: Verification,
) -> None:
    memory, pinecone = ends
    run(memory, pinecone, Verification(search=None))
    plan = run(pinecone, MemoryOptions("back", memory.database), verification)
    said = units(plan, "reads")
    assert said.low <= double.read_units <= said.high + COUNTED
    assert said.high < 1.5 * said.low


def test_loading_an_index_takes_what_the_plan_said(
    double: Double, ends: tuple[MemoryOptions, PineconeOptions], run: Callable[..., Plan]
) -> None:
    plan = run(*ends, WITH_SEARCH)
    reads, writes = units(plan, "reads"), units(plan, "writes")
    assert reads.low <= double.read_units <= reads.high + SETTLED
    assert 0.9 * writes.low <= double.write_units <= writes.high  # a KB of the double has 1,024 bytes


def test_reconciling_an_index_takes_what_the_plan_said(
    double: Double, ends: tuple[MemoryOptions, PineconeOptions], run: Callable[..., Plan]
) -> None:
    memory, pinecone = ends
    run(memory, pinecone, Verification(search=None))
    with closing(memory.open()) as source:
        source.upsert("docs", batch("b", 150))
    plan = run(memory, pinecone, Verification(search=None))
    reads, writes = units(plan, "reads"), units(plan, "writes")
    assert reads.low < double.read_units <= reads.high + SETTLED
    assert 0 < double.write_units <= writes.high
