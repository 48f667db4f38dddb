"""States for the tests: one by hand, and any."""

from hypothesis import strategies as st

from vecmig.model.batch import Key, Rejected
from vecmig.model.digest import Digest
from vecmig.model.plan import Conversion, Fingerprint, LoadRecords, MigrationPlan, Partition, Plan
from vecmig.model.report import Report
from vecmig.model.state import Applied, Checkpoint, Cursor, Event, Resource, State, UsedPlan

PART = Partition("kb", "a..m")
EXACT = Fingerprint("f", "exact")
PLAN = Plan(
    name="support-kb",
    environment="prod",
    spec_file="vecmig.yaml",
    spec_digest="s",
    variables={"table": "kb"},
    only=(),
    lineage="l",
    serial=0,
    migrations=(
        MigrationPlan(
            name="m",
            source="snapshot kb",
            target="pgvector kb",
            actions=(LoadRecords("m", "kb", "kb", (PART,), Conversion(), 3),),
            source_fingerprint=EXACT,
            schema_digests=("a", "b"),
            source_counts={"": 3},
            target_counts={},
        ),
    ),
    created_at="2026-11-23T10:00:00Z",
    vecmig_version="0.1.0",
)
STATE = State("support-kb", "prod", "lineage-1", plan=PLAN, vecmig_version="0.1.0")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(0, 2**63 - 1)
keys = st.builds(Key, texts, texts)
rejections = st.lists(st.builds(Rejected, keys, texts), max_size=2).map(tuple)
digests = st.builds(Digest, st.integers(0, 2**128 - 1).map("{:032x}".format))
partitions = st.builds(Partition, texts, texts)
fingerprints = st.builds(Fingerprint, texts, st.sampled_from(["exact", "counters", "counts"]))
checkpoints = st.builds(
    Checkpoint,
    migration=texts,
    partition=partitions,
    cursor=st.none() | texts.map(Cursor),
    read=numbers,
    rows=numbers,
    digest=digests,
    rejected=rejections,
    deleted=numbers,
)
finite = st.floats(allow_nan=False, allow_infinity=False)
reports = st.builds(
    Report,
    texts,
    texts,
    texts,
    texts,
    texts,
    verdict=st.sampled_from(["passed", "failed", "unknown"]),
    started_at=texts,
    seconds=finite,
    notes=st.lists(texts, max_size=2).map(tuple),
)
applied = st.builds(
    Applied,
    plan=texts,
    at=texts,
    source_fingerprint=fingerprints,
    target_fingerprint=fingerprints,
    conversion_digest=texts,
    rows=numbers,
    rejected=rejections,
    rows_per_s=st.none() | finite,
    report=st.none() | reports,
)
states = st.builds(
    State,
    name=st.just("support-kb"),
    environment=st.just("prod"),
    lineage=texts,
    serial=st.integers(0, 2**40),
    plan=st.none() | st.just(PLAN),
    done=numbers,
    checkpoints=st.lists(checkpoints, max_size=2).map(tuple),
    plans=st.lists(st.builds(UsedPlan, texts, texts), max_size=2).map(tuple),
    resources=st.lists(st.builds(Resource, texts, texts, texts, st.none() | texts, texts), max_size=2).map(tuple),
    applied=st.dictionaries(texts, applied, max_size=2),
    history=st.lists(st.builds(Event, texts, numbers, texts), max_size=2).map(tuple),
    vecmig_version=texts,
)
