"""Through Pinecone and back: whatever the records are, the digest stays."""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.doubles.pinecone import Double
from tests.end_to_end.conftest import Row, Site, batch_of, digest, rows
from tests.end_to_end.pinecone import HEAD, INDEXES, NAMESPACES, Cloud, end, options
from tests.end_to_end.test_roundtrip import floats, migrate, texts, values
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.collection import Collection, Metric, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.record import Digest

ODD: list[dict[str, Any]] = [  # each is the metadata of one id in three namespaces
    {},
    {"nothing": None, "text": "", "blank": " "},
    {"nested": {"a": {"b": [1, None, {"c": "ü"}]}}, "empty": {}},
    {"mixed": [1, "two", None, True], "numbers": [1, 2.5], "none": [], "texts": ["a", "b"]},
    {"big": 2**53 + 1, "bigger": -(2**63), "exact": 2**53, "half": 0.5, "tiny": 1e-300, "minus": -0.0},
    {"$price": 1, "$": "x", "_vecmig": "mine", "_vecmig.x": [None], "_id": "y", "_values": 1},
    {"created": "2026-03-01T12:00:00Z", "seen": "2026-03-01T12:00:00.000001Z"},
    {"created": "1969-12-31T23:59:59.999999+05:30", "seen": "0001-01-01T00:00:00Z"},
    {"created": None, "true": True, "false": False},
]
IDS = ["plain", "größe", "日本語 #1", "a/b?c=d&e", "vecmig:x", "%41", " ", "🎈", "x" * 512]


METRICS: dict[str, Metric] = {"vectors": "l2", "documents": "cosine"}


def odd_rows() -> list[Row]:
    return [
        {**row, "id": id, "namespace": namespace, "metadata": {**metadata, "n": n, "of": namespace}}
        for n, (id, metadata) in enumerate(zip(IDS, ODD, strict=True))
        for row, namespace in zip(rows([3 * n, 3 * n + 1, 3 * n + 2]), NAMESPACES, strict=True)
    ]


@pytest.fixture
def cloud(double: Double, site: Site) -> Cloud:
    return Cloud(double, site)


FIELDS = "fields: {created: {type: datetime, filter: true}, seen: {type: datetime}, n: {type: int, filter: true}}"


def table(name: str) -> str:
    return f'{{type: pgvector, dsn: "{{{{ env.DATABASE_URL }}}}", table: {name}}}'


def spec(*steps: tuple[str, str], more: str = "") -> str:
    """Return a spec that takes records from each end to the next; each step is a migration."""
    ends = [one for one, _ in steps] + [steps[-1][1]]
    sources = ", ".join(f"s{n}: {each}" for n, each in enumerate(ends[:-1]))
    targets = ", ".join(f"t{n}: {each}" for n, each in enumerate(ends[1:]))
    migrations = ", ".join(f"{{name: m{n}, source: s{n}, target: t{n}}}" for n in range(len(steps)))
    return f"""{HEAD}
{more}
sources: {{{sources}}}
targets: {{{targets}}}
verification: {{search: {{queries: {{sample: 5}}, top_k: 3}}, thresholds: {{recall: 0}}}}
migrations: [{migrations}]
"""


def test_tables_go_into_pinecone_and_come_back_equal(cloud: Cloud) -> None:
    cloud.site.store(odd_rows())
    first, last = table("first"), table("last")
    steps = (("{type: snapshot, path: source}", first), (first, end("kb")), (end("kb"), last))
    cloud.site.spec(spec(*steps, more=FIELDS))
    for n in range(3):
        outcome = cloud.outcome("--only", f"m{n}")
        assert outcome["written"] == len(odd_rows())
        assert outcome["reports"][0]["records"]["matching"] == len(odd_rows())
    _, before = cloud.site.digests("first")
    _, after = cloud.site.digests("last")
    assert before == after == cloud.digest("kb")
    assert cloud.site.sql("SELECT count(*), count(DISTINCT created) FROM last") == [(27, 2)]
    again = cloud.site.run("apply", "--auto-approve")
    assert again.out.startswith("No changes."), again.out


def test_a_date_that_is_declared_is_a_number_that_pinecone_can_compare(cloud: Cloud) -> None:
    cloud.site.store(odd_rows())
    cloud.site.spec(spec(("{type: snapshot, path: source}", end("kb")), more=FIELDS))
    cloud.outcome()
    held = cloud.double.store.find("kb").records("de")
    dated = [each.metadata for each in held.values() if each.metadata and "created" in each.metadata]
    assert sorted(each["created"] for each in dated) == [-19800.000001, 1772366400.0]
    with cloud.client() as client, client.index("kb") as index:
        found = index.query(vector=[1.0] * 8, top_k=9, namespace="de", filter={"created": {"$gte": 1.7e9}})
        assert [match.id for match in found.matches] == [" "]


names = st.text(st.characters(max_codepoint=127, exclude_characters="\0"), max_size=12).filter(
    lambda name: name != "__default__" and (not name or name.strip())
)
dense = st.lists(floats, min_size=3, max_size=3).filter(lambda vector: any(np.float32(each) != 0 for each in vector))


@st.composite
def record(draw: st.DrawFn) -> Row:
    return {
        "id": draw(texts.filter(bool)),
        "namespace": draw(names),
        "metadata": orjson.dumps(draw(st.dictionaries(texts, values, max_size=4))).decode(),
        "vector:": draw(dense),
    }


records = st.lists(record(), max_size=20, unique_by=lambda each: (each["namespace"], each["id"]))


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(kind=st.sampled_from(sorted(METRICS)), given=records)
def test_any_records_keep_their_digest_there_and_back(
    tmp_path: Path, double: Double, kind: str, given: list[Row]
) -> None:
    shutil.rmtree(tmp_path)  # each example begins anew
    tmp_path.mkdir()
    vectors = (VectorField("", 3, METRICS[kind]),)
    there, back = (SnapshotOptions(str(tmp_path / name)) for name in ("there", "back"))
    index = options(double, "kb", kind=kind, page_rows=3)
    expected = Digest()
    with closing(there.open()) as snapshot:
        snapshot.create(Collection(there.collection, vectors, mark="vecmig:test"))
        if given:
            batch = batch_of(given, vectors)
            expected = digest_of(batch)
            assert not snapshot.upsert(there.collection, batch)
    try:
        assert migrate(tmp_path, "out", there, index).verdict == "passed"
        assert migrate(tmp_path, "home", index, back).verdict == "passed"
        with closing(index.open()) as stored, closing(back.open()) as snapshot:
            assert digest(stored, "kb") == expected
            assert digest(snapshot, back.collection) == expected
    finally:
        with closing(index.open()) as connector:
            connector.drop("kb")


SNAPSHOT = "{type: snapshot, path: exported}"


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("dense", SNAPSHOT),
        ("documents", SNAPSHOT),
        ("sparse", table("kb")),
        ("both", table("kb")),
        ("documents-both", table("kb")),
        ("sparse", SNAPSHOT),
        ("both", SNAPSHOT),
        ("documents-both", SNAPSHOT),
    ],
    ids=lambda value: value if value in INDEXES else value.partition(",")[0].removeprefix("{type: "),
)
def test_an_index_that_others_made_goes_elsewhere_and_comes_back_equal(cloud: Cloud, name: str, by: str) -> None:
    count = cloud.fill(name)
    cloud.site.spec(spec((end(name), by), (by, end("back"))))
    for migration in ("m0", "m1"):
        outcome = cloud.outcome("--only", migration)
        assert outcome["written"] == count
        (report,) = outcome["reports"]
        assert (report["verdict"], report["records"]["matching"]) == ("passed", count)
    assert cloud.digest("back") == cloud.digest(name)


def test_a_sparse_index_that_no_table_takes_is_told_by_the_plan_and_the_vector_may_be_left_out(cloud: Cloud) -> None:
    count = cloud.fill("both", highest=3_640_890_688)  # as hashed terms have them
    cloud.site.spec(spec((end("both"), table("kb"))))
    said = " ".join(cloud.site.run("plan").out.split())
    assert "30 of 30 sampled records have an index in their sparse vector 'sparse' beyond the 1,000,000,000" in said
    refused = cloud.site.run("apply", "--auto-approve")
    assert refused.code == 1
    assert "has an index beyond its 1,000,000,000 dimensions" in refused.err
    cloud.site.edit("target: t0", 'target: t0, vectors: {"": {}}')
    cloud.site.edit("table: kb", "table: dense")
    assert cloud.outcome()["written"] == count
