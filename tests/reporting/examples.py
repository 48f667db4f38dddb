"""Plans and reports for the tests."""

from msgspec.structs import replace

from vecmig.model.collection import Collection, Index, VectorField
from vecmig.model.plan import (
    Bounds,
    BuildIndex,
    Conversion,
    Cost,
    CreateCollection,
    Estimate,
    Fidelity,
    Fingerprint,
    LoadRecords,
    MigrationPlan,
    Partition,
    Plan,
    ReconcileRecords,
    exactly,
)
from vecmig.model.record import Key
from vecmig.model.report import (
    Breach,
    CountCheck,
    Interval,
    LabelledCheck,
    Quality,
    RecordsCheck,
    Report,
    SearchCheck,
)

WORDS = Collection("public.words", (VectorField("", 50, "cosine", index=Index("hnsw", m=16, ef_construction=64)),))
PARTS = (Partition("glove", "0"), Partition("glove", "1"))
EXACT = Fingerprint("f", "exact")
HOSTILE = "id\x1b[31mred\x1b[0m\r\n<script>alert(1)</script> | **bold** `code` @someone [x](http://evil.example) \u202e"

MIGRATION = MigrationPlan(
    name="words",
    source="snapshot glove",
    target="pgvector public.words",
    actions=(
        CreateCollection("words", WORDS),
        LoadRecords("words", "glove", "public.words", PARTS, Conversion(), 20_000),
        BuildIndex("words", WORDS),
    ),
    source_fingerprint=EXACT,
    schema_digests=("a", "b"),
    source_counts={"": 20_000},
    target_counts={},
    why="there is no target yet",
    details=(
        ("columns", "id, namespace, embedding vector(50), metadata jsonb, rank bigint, initial text, created_at"),
        ("index", "hnsw cosine m=16 ef_construction=64, after the load"),
    ),
    fidelity=(
        Fidelity("rank", "int", "int", True),
        Fidelity("seen", "text", "datetime", True),
        Fidelity("initial", "text", "text", True),
    ),
    sampled=2_000,
    unchecked=("writes to the source after this plan",),
    estimate=Estimate(20_000, 14_200_000, 9_800_000, 1.4, 3.2, 1.4, "measured on a similar table"),
)
PLAN = Plan(
    name="quickstart",
    environment="default",
    spec_file="vecmig.yaml",
    spec_digest="d",
    variables={},
    only=(),
    lineage="l",
    serial=14,
    migrations=(MIGRATION,),
    created_at="2026-11-23T10:00:00Z",
    vecmig_version="0.1.0",
)
UNCHANGED = replace(
    MIGRATION,
    actions=(),
    target_counts={"": 20_000},
    why="source unchanged (exact) · target unchanged (exact) since the apply of 2026-11-23T10:00:00Z",
    fidelity=(),
    details=(),
    estimate=Estimate(),
)
RECONCILE = replace(
    MIGRATION,
    source_counts={"de": 12_000, "en": 8_000},
    target_counts={"": 19_990},
    actions=(
        ReconcileRecords("words", "glove", "public.words", Conversion(), prune=False, rows=20_000),
        BuildIndex("words", WORDS),
    ),
    why="the source changed since the apply of 2026-11-23T10:00:00Z",
    changes=("index m 16 -> 32",),
    risks=("the source shows changes by counts only: one that leaves them equal is not seen",),
    unchecked=("writes to the source after this plan", "how many records differ (`--data` counts them)"),
    estimate=Estimate(20_000, None, 9_800_000, None, 3.2, None, ""),
)
READS = Cost(
    "Pinecone",
    "reads",
    "RU",
    exactly(275_000),
    Bounds(4.4, 7.425),
    "Standard, 2026-06-09, example.org",
    {"de": exactly(120_000), "en": exactly(155_000)},
    ("copy", "proof"),
    side="source",
    store="pinecone support-kb",
    basis="6,312 bytes a record, the mean of 2,000 sampled; copy reads once, proof reads once",
)
EGRESS = Cost("Pinecone", "egress", "GB", exactly(12), side="source", store="pinecone support-kb")
METERED = replace(MIGRATION, estimate=replace(MIGRATION.estimate, costs=(READS, EGRESS)))

REPORT = Report(
    name="quickstart",
    environment="default",
    migration="words",
    source="snapshot glove",
    target="pgvector public.words",
    verdict="passed",
    started_at="2026-11-23 10:00:00 UTC",
    seconds=192,
    count=CountCheck({"": 20_000}, {"": 20_000}),
    records=RecordsCheck(20_000, 20_000, digests=("ab" * 16, "ab" * 16)),
    search=(
        SearchCheck(
            "", "", "", 4, 10, Interval(0.975, 0.94, 1.0), 3, Interval(0.9999, 0.9991, 1.0),
            overlaps=(1.0, 1.0, 1.0, 0.9), recalls=(1.0, 1.0, 1.0, 0.9996),
        ),
        SearchCheck("", "", "initial = k", 4, 10, recall=Interval(1, 1, 1), recalls=(1.0,) * 4, note="only the target"),
    ),
)  # fmt: skip
FAILED = replace(
    REPORT,
    verdict="failed",
    quarantined=2,
    count=CountCheck({"de": 12_000, "en": 8_000}, {"de": 12_000, "en": 7_993, "fr": 1}),
    records=RecordsCheck(
        20_001,
        19_992,
        mismatched=1,
        missing=7,
        extra=1,
        mismatched_keys=(Key("en", "king"),),
        missing_keys=tuple(Key("en", f"w{i}") for i in range(5)),
        extra_keys=(Key("fr", "roi"),),
    ),
    search=(replace(REPORT.search[0], recall=Interval(0.94987, 0.93, 0.97), namespace="en"),),
    breaches=(
        Breach("missing", 0, 7),
        Breach("extra", 0, 1, "`prune: true` removes them"),
        Breach("recall", 0.95, 0.94987, "raise ef_search or ef_construction"),
    ),
)
UNDECIDED = replace(
    REPORT,
    verdict="unknown",
    count=None,
    records=RecordsCheck(1_000, 998, unknown=2, sample=1_000),
    search=(),
    breaches=(Breach("overlap", 0.95, None, "the source cannot search"),),
    notes=("the source changed while it was read",),
)
BETTER = Quality(Interval(0.8123, 0.74, 0.88), Interval(0.79, 0.7, 0.87), Interval(0.9, 0.84, 0.95), (0.9, 0.7247))
WORSE = Quality(Interval(0.6, 0.5, 0.7), Interval(0.5, 0.4, 0.6), Interval(0.75, 0.65, 0.85), (0.7, 0.5))
RELEVANCE = replace(REPORT, labelled=(LabelledCheck("", 2, 10, WORSE, BETTER),))
