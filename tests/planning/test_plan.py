from collections.abc import Sequence
from dataclasses import replace as with_changes
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

from vecmig.connectors.memory import MemoryOptions
from vecmig.connectors.pgvector.options import PgvectorOptions
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.connectors.weaviate.schema.parameters import Quantizer
from vecmig.errors import CollectionConflict, UnsupportedError
from vecmig.migration import Embedding, Endpoint, Migration, VectorChoice
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection, Field, Index, VectorField
from vecmig.model.filter import parse
from vecmig.model.observed import Observed
from vecmig.model.plan import (
    BuildIndex,
    CreateCollection,
    Estimate,
    Fidelity,
    FieldRule,
    Fingerprint,
    LoadRecords,
    MigrationPlan,
    Partition,
    ReconcileRecords,
)
from vecmig.model.report import CountCheck, RecordsCheck, Report
from vecmig.model.secret import Secret
from vecmig.model.settings import Limits, Thresholds, Verification
from vecmig.model.state import Applied
from vecmig.planning.digests import conversion_digest, endpoints_digest, schema_digest
from vecmig.planning.plan import plan_migration
from vecmig.testing.contract import COUNTS, KEYS, records

MARK = "vecmig:kb/prod:1"
BEFORE, AFTER = Fingerprint("1", "exact"), Fingerprint("2", "exact")
PARTS = (Partition("docs", "0/1"),)


class IndexedOptions(MemoryOptions, frozen=True):
    """A store that builds its index after the load, and cannot hold more than eight dimensions."""

    def complete(self, declared: Collection, actual: Collection | None = None) -> Collection:
        def full(index: Index | None) -> Index | None:
            return replace(index, m=index.m or 16) if index and index.type == "hnsw" else index

        return replace(declared, vectors=tuple(replace(v, index=full(v.index)) for v in declared.vectors))

    def refusals(self, declared: Collection, actual: Collection | None = None) -> Sequence[str]:
        return [f"{v.dimensions} dimensions are over 8" for v in declared.vectors if v.dimensions > 8]


SOURCE = Collection("docs", (VectorField("", 4, "cosine"),), model="glove")
DECLARED = Collection("kb", (VectorField("", 4, "cosine", index=Index(m=16)),), mark=MARK, model="glove")
MIGRATION = Migration(
    "docs-to-kb",
    Endpoint("docs", "memory", MemoryOptions("docs")),
    Endpoint("kb", "memory", IndexedOptions("kb")),
)


def changed(migration: Migration = MIGRATION, **changes: Any) -> Migration:
    return with_changes(migration, **changes)


def source(collection: Collection = SOURCE, sample: RecordBatch | None = None, seen: Fingerprint = BEFORE) -> Observed:
    return Observed(collection, COUNTS, seen, records(KEYS) if sample is None else sample, PARTS)


def target(
    collection: Collection = DECLARED, counts: dict[str, int] | None = None, seen: Fingerprint = BEFORE
) -> Observed:
    return Observed(collection, COUNTS if counts is None else counts, seen)


NOTHING = Observed(None, {})


def applied(plan: MigrationPlan, report: str | None = "passed") -> Applied:
    load = next(each for each in plan.actions if isinstance(each, LoadRecords))
    return Applied(
        plan="p",
        at="2026-01-01T00:00:00Z",
        source_fingerprint=BEFORE,
        target_fingerprint=BEFORE,
        conversion_digest=conversion_digest(load.conversion),
        endpoints_digest=plan.endpoints_digest,
        rows=10,
        report=Report("kb", "prod", plan.name, "s", "t", report, "", 1.0) if report else None,  # type: ignore[arg-type]
    )


FIRST = plan_migration(MIGRATION, source(), NOTHING, None, MARK)


@pytest.mark.parametrize(
    ("asked", "given", "hint"),
    [
        (Embedding("opnai/small", meant="openai"), None, "opnai/small (did you mean `openai`?), so whether"),
        (Embedding("opnai/small", meant="openai"), "opnai/small", "opnai/small (did you mean `openai`?), so whether"),
        (Embedding("glove/50"), None, "nothing here embeds with glove/50, so whether"),
    ],
)
def test_a_copy_under_a_name_that_nothing_here_embeds_with_is_a_risk(
    asked: Embedding, given: str | None, hint: str
) -> None:
    plan = plan_migration(changed(embedding=asked), source(replace(SOURCE, model=given)), NOTHING, None, MARK)
    assert plan.decisions[0].how == "copy"
    assert hint in plan.risks[0]
    named = plan_migration(changed(embedding=Embedding("glove")), source(), NOTHING, None, MARK)
    assert not named.risks, "both sides call it so"


def test_a_new_target_is_created_loaded_and_indexed_in_this_order() -> None:
    create, load, index = FIRST.actions
    assert create == CreateCollection("docs-to-kb", replace(DECLARED, namespaced=True))
    assert isinstance(load, LoadRecords)
    assert (load.source, load.target, load.partitions, load.rows) == ("docs", "kb", PARTS, 10)
    assert index == BuildIndex("docs-to-kb", replace(DECLARED, namespaced=True))


def test_nothing_moved_since_the_last_apply_means_no_action_and_says_on_what_that_rests() -> None:
    plan = plan_migration(MIGRATION, source(), target(), applied(FIRST), MARK)
    assert plan.actions == ()
    assert "source unchanged (exact)" in plan.why
    assert not plan.verify


@pytest.mark.parametrize("report", ["failed", "unknown", None])
def test_a_verification_that_did_not_pass_is_run_again(report: str | None) -> None:
    plan = plan_migration(MIGRATION, source(), target(), applied(FIRST, report), MARK)
    assert plan.actions == ()
    assert plan.verify


@pytest.mark.parametrize(
    ("found", "prune", "mends"),
    [
        (RecordsCheck(10, 9, mismatched=1), False, True),
        (RecordsCheck(10, 9, missing=1), False, True),
        (RecordsCheck(10, 10, extra=1), False, False),
        (RecordsCheck(10, 10, extra=1), True, True),
    ],
)
def test_what_a_verification_found_to_differ_is_reconciled(found: RecordsCheck, prune: bool, mends: bool) -> None:
    before = applied(FIRST, "failed")
    assert before.report
    before = replace(before, report=replace(before.report, records=found))
    plan = plan_migration(changed(prune=prune), source(), target(), before, MARK)
    assert bool(plan.actions) is mends
    assert plan.verify


@pytest.mark.parametrize(("here", "there"), [(AFTER, BEFORE), (BEFORE, AFTER)])
def test_a_side_that_moved_is_reconciled(here: Fingerprint, there: Fingerprint) -> None:
    plan = plan_migration(MIGRATION, source(seen=here), target(seen=there), applied(FIRST), MARK)
    (action,) = plan.actions
    assert isinstance(action, ReconcileRecords)
    assert not action.prune
    assert "changed since" in plan.why


def test_an_equal_value_of_another_strength_is_a_change() -> None:
    plan = plan_migration(MIGRATION, source(seen=Fingerprint("1", "counts")), target(), applied(FIRST), MARK)
    assert plan.actions
    assert any("counts only" in risk for risk in plan.risks)


def test_a_target_of_unknown_history_is_compared_and_an_empty_one_loaded() -> None:
    (compare,) = plan_migration(MIGRATION, source(), target(), None, MARK).actions
    (load,) = plan_migration(MIGRATION, source(), target(counts={}), None, MARK).actions
    assert isinstance(compare, ReconcileRecords)
    assert isinstance(load, LoadRecords)


def test_another_conversion_means_that_records_are_compared() -> None:
    other = changed(rules=(FieldRule("lang", "lang", "text"),))
    (action,) = plan_migration(other, source(), target(), applied(FIRST), MARK).actions
    assert isinstance(action, ReconcileRecords)


def test_a_target_that_was_dropped_by_hand_is_made_again() -> None:
    assert plan_migration(MIGRATION, source(), NOTHING, applied(FIRST), MARK).actions == FIRST.actions


def test_other_index_parameters_build_only_the_index() -> None:
    plan = plan_migration(changed(index=Index(m=32)), source(), target(), applied(FIRST), MARK)
    (action,) = plan.actions
    assert isinstance(action, BuildIndex)
    assert plan.changes == ("index m 16 -> 32",)


def test_settings_of_the_query_build_nothing() -> None:
    assert not plan_migration(changed(index=Index(ef_search=200)), source(), target(), applied(FIRST), MARK).actions


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        (VectorField("", 5, "cosine"), "dimensions 5 -> 4"),
        (VectorField("", 4, "l2"), "metric l2 -> cosine"),
        (VectorField("", 4, "cosine", "float16"), "kind float16 -> float32"),
        (VectorField("title", 4, "cosine"), "vector 'title' is there"),
    ],
)
def test_what_only_a_rebuild_can_change_is_refused_with_the_way_out(there: VectorField, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason) as error:
        plan_migration(MIGRATION, source(), target(replace(DECLARED, vectors=(there,))), None, MARK)
    assert "name another target" in str(error.value)


def test_a_field_that_the_target_does_not_type_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="'lang' is not a typed field"):
        plan_migration(changed(fields=(Field("lang", "text"),)), source(), target(), None, MARK)


@pytest.mark.parametrize("mark", [None, "vecmig:kb/prod:another"])
def test_a_target_that_is_not_this_states_own_is_left_alone_unless_it_is_adopted(mark: str | None) -> None:
    theirs = target(replace(DECLARED, mark=mark))
    with pytest.raises(CollectionConflict, match="adopt"):
        plan_migration(MIGRATION, source(), theirs, None, MARK)
    adopting = changed(target=with_changes(MIGRATION.target, adopt=True))
    (action,) = plan_migration(adopting, source(), theirs, None, MARK).actions
    assert isinstance(action, ReconcileRecords)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"embedding": Embedding(dimensions=8)}, "8 dimensions cannot be made of 4"),
        (
            {"embedding": Embedding(model="other")},
            r"embedded anew with other \(different models\), and .* of what text",
        ),
        ({"vectors": (VectorChoice("a", "b"),)}, "no vector 'b'"),
    ],
)
def test_what_the_source_cannot_give_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        plan_migration(changed(**change), source(), NOTHING, None, MARK)


def test_a_vector_that_no_record_has_is_refused_with_the_ways_out() -> None:
    unknown = Collection("docs", (VectorField("title", 0, "cosine"),), model="glove")
    with pytest.raises(UnsupportedError, match=r"no record of the source has the vector 'title', .*`vectors` names"):
        plan_migration(MIGRATION, source(unknown), NOTHING, None, MARK)


def test_what_the_store_cannot_hold_is_refused_with_its_reason() -> None:
    wide = Collection("docs", (VectorField("", 9, "cosine"),))
    with pytest.raises(UnsupportedError, match="9 dimensions are over 8"):
        plan_migration(MIGRATION, source(wide), NOTHING, None, MARK)


def test_records_of_the_sample_that_cannot_be_moved_are_a_risk_that_names_the_first() -> None:
    vectors = np.ones((10, 4)).tolist()
    vectors[3][0] = float("nan")
    plan = plan_migration(MIGRATION, source(sample=records(KEYS, vectors=vectors)), NOTHING, None, MARK)
    (risk,) = plan.risks
    assert risk.startswith("1 of 10 sampled records cannot be moved")
    assert "'d' in namespace 'one'" in risk


def test_why_sampled_records_cannot_be_moved_is_counted_by_reason() -> None:
    vectors = np.ones((10, 4)).tolist()
    for row in (3, 5, 6):
        vectors[row][0] = float("nan")
    metadata = pa.array(["[]" if row == 8 else "{}" for row in range(10)])
    sample = records(KEYS, vectors=vectors).replace("metadata", metadata)
    risk = plan_migration(MIGRATION, source(sample=sample), NOTHING, None, MARK).risks[0]
    assert "and 2 more: the vector holds NaN or infinity · " in risk
    assert risk.endswith("the metadata cannot be read: metadata is not a JSON object")


@pytest.mark.parametrize(("most", "told"), [(9, True), (10, False)])
def test_more_bad_records_than_may_be_put_aside_are_foretold(most: int, told: bool) -> None:
    vectors = np.ones((10, 4)).tolist()
    vectors[3][0] = float("nan")
    hundred = with_changes(source(sample=records(KEYS, vectors=vectors)), counts={"": 100})
    limits = Limits(max_quarantined=most)
    aside = changed(on_bad_record="quarantine")
    risks = plan_migration(aside, hundred, NOTHING, None, MARK, limits).risks
    said = "about 10 of 100 records would be put aside, and `limits.max_quarantined` is 9, where apply stops (6)"
    assert any(said in risk for risk in risks) == told
    assert not any(
        "max_quarantined" in risk for risk in plan_migration(MIGRATION, hundred, NOTHING, None, MARK, limits).risks
    )


def test_zero_vectors_are_a_risk_under_cosine_only() -> None:
    zeros = records(KEYS, vectors=np.zeros((10, 4)).tolist())
    (risk,) = plan_migration(MIGRATION, source(sample=zeros), NOTHING, None, MARK).risks
    assert "10 of 10 sampled vectors are zero" in risk
    by_l2 = Collection("docs", (VectorField("", 4, "l2"),), model="glove")
    assert not plan_migration(MIGRATION, source(by_l2, sample=zeros), NOTHING, None, MARK).risks


def test_integers_that_a_store_of_doubles_may_have_rounded_are_a_risk() -> None:
    texts = ['{"a": 9007199254740992.0, "b": 5.0}', '{"a": -1e16, "c": 1e300}', '{"a": 9007199254740993, "d": 0.5}']
    sample = records(KEYS[:3]).replace("metadata", pa.array(texts))
    doubles = with_changes(source(sample=sample), rounds_integers=True)
    (risk,) = plan_migration(MIGRATION, doubles, NOTHING, None, MARK).risks
    assert risk.startswith("2 of 3 sampled records have an integer of 2**53 or more in 'a'")
    assert not plan_migration(MIGRATION, source(sample=sample), NOTHING, None, MARK).risks


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"metric": "l2"}, "metric cosine -> l2"),
        ({"limit": 3}, "`limit`"),
        ({"namespace_from": "lang"}, "`namespace_from`"),
    ],
)
def test_a_search_that_cannot_be_compared_is_told_before_it_is_moved(change: dict[str, Any], reason: str) -> None:
    risks = plan_migration(changed(**change), source(), NOTHING, None, MARK).risks
    assert any("cannot be compared" in risk and reason in risk for risk in risks)
    asked = replace(Verification(), thresholds=Thresholds(overlap=0))
    risks = plan_migration(changed(**change, verification=asked), source(), NOTHING, None, MARK).risks
    assert not any("cannot be compared" in risk for risk in risks)


def test_a_field_that_no_sampled_record_has_is_a_risk() -> None:
    plan = plan_migration(changed(fields=(Field("lnag", "text"),)), source(), NOTHING, None, MARK)
    assert any("no sampled record has the field 'lnag'" in risk for risk in plan.risks)


def test_a_value_that_cannot_become_its_type_is_not_called_lossless() -> None:
    plan = plan_migration(changed(rules=(FieldRule("of", "of", "int"),)), source(), NOTHING, None, MARK)
    (line,) = (line for line in plan.fidelity if line.field == "of")
    assert not line.lossless
    assert "10 sampled values cannot be that" in line.note


def test_digits_that_a_float_does_not_hold_are_a_loss_and_a_risk() -> None:
    numbers = ["0.12345678901234567890", '"0.1"', "12"]
    metadata = pa.array([f'{{"price": {number}}}' for number in numbers], pa.string())
    sample = records(KEYS[:3]).replace("metadata", metadata)
    rules = (FieldRule("price", "price", "float"),)
    plan = plan_migration(changed(rules=rules), source(sample=sample), NOTHING, None, MARK)
    (line,) = plan.fidelity
    assert (line.lossless, line.note) == (False, "1 sampled values lose digits")
    assert "1 of 3 sampled records lose digits of 'price': `type: float` holds about 17" in "\n".join(plan.risks)


def test_fidelity_tells_what_becomes_of_each_field() -> None:
    rules = FieldRule("count", "n", "text"), FieldRule("of", "of", drop=True), FieldRule("lang", "lang", "text")
    plan = plan_migration(changed(rules=rules), source(), NOTHING, None, MARK)
    lines = {line.field: line for line in plan.fidelity}
    assert (lines["n"].target, lines["n"].lossless) == ("count text", False)
    assert lines["of"].target == "dropped"
    assert (lines["share"].source, lines["share"].target, lines["share"].lossless) == ("float", "float", True)
    assert lines["tags"].source == "text[]"
    assert lines["lang"].lossless


def test_what_the_source_does_not_give_is_no_lossless_field() -> None:
    partly = replace(SOURCE, left_out=(("fts", "tsvector"),), findings=("column `fts` is left out",))
    plan = plan_migration(MIGRATION, source(partly), NOTHING, None, MARK)
    assert plan.fidelity[0] == Fidelity("fts", "tsvector", "left out", lossless=False)
    assert plan.risks[0] == "of the source, column `fts` is left out"
    assert schema_digest(partly) == schema_digest(SOURCE)


def test_a_filter_leaves_the_number_of_rows_open_and_a_limit_bounds_it() -> None:
    filtered = plan_migration(changed(where=parse({"lang": "en"})), source(), NOTHING, None, MARK)
    limited = plan_migration(changed(limit=3), source(), NOTHING, None, MARK)
    assert filtered.estimate.rows is None
    assert limited.estimate.rows == 3


@pytest.mark.parametrize(
    ("index", "said"),
    [
        (
            Index(ef_search=100, iterative_scan="strict_order"),
            "SET hnsw.ef_search = 100; SET hnsw.iterative_scan = strict_order: ",
        ),
        (
            Index("ivfflat", probes=7, iterative_scan="relaxed_order"),
            "SET ivfflat.probes = 7; SET ivfflat.iterative_scan = relaxed_order: ",
        ),
        (Index(m=16), None),
    ],
)
def test_a_plan_tells_what_the_application_must_set_for_its_searches_to_be_as_the_proof(
    index: Index, said: str | None
) -> None:
    target = with_changes(MIGRATION.target, options=PgvectorOptions(Secret("postgresql://localhost/db"), "kb"))
    found = dict(plan_migration(changed(target=target, index=index), source(), NOTHING, None, MARK).details)
    assert found.get("searches", "").startswith(said) if said else "searches" not in found


@pytest.mark.parametrize(
    ("key", "value", "compares"),
    [
        ("api_key", Secret("{{ env.OTHER }}"), False),
        ("quantizer", Quantizer("rq"), False),
        ("replicas", 3, False),
        ("without", ("blob",), True),
        ("collection", "Other", True),
    ],
)
def test_a_change_of_what_says_nothing_of_the_records_compares_nothing_anew(
    key: str, value: object, compares: bool
) -> None:
    def digest(options: WeaviateOptions) -> str:
        return endpoints_digest(changed(target=with_changes(MIGRATION.target, options=options)), source(), target())

    before = WeaviateOptions("Kb")
    assert (digest(before) != digest(replace(before, **{key: value}))) == compares


def test_the_times_are_those_that_the_throttles_allow() -> None:
    free = with_changes(MIGRATION.target, options=PgvectorOptions(Secret("postgresql://localhost/db"), "kb"))

    def timed(target: Endpoint = free, **limits: int) -> Estimate:
        return plan_migration(changed(target=target), source(), NOTHING, None, MARK, Limits(**limits)).estimate

    assert timed().load_s is not None
    assert timed().load_s == timed().verify_s
    assert "limits" not in timed().basis
    slow = timed(read_records_per_s=5, write_records_per_s=2)
    assert (slow.load_s, slow.verify_s) == (5.0, 2.0)  # of 10 records, of which a proof writes none
    assert slow.basis.startswith("the throttles in `limits`, else measured")
    assert timed(write_records_per_s=10**9).load_s == timed().load_s, "one that does not bind changes nothing"
    unmeasured = timed(MIGRATION.target, write_records_per_s=2)
    assert (unmeasured.load_s, unmeasured.verify_s) == (5.0, None)


def test_the_schema_digest_moves_with_the_shape_and_not_with_the_index() -> None:
    other_index = replace(DECLARED, vectors=(VectorField("", 4, "cosine", index=Index(m=99)),))
    other_shape = replace(DECLARED, vectors=(VectorField("", 5, "cosine"),))
    digests = {schema_digest(each) for each in (None, DECLARED, other_shape)}
    assert len(digests) == 3
    assert schema_digest(other_index) == schema_digest(DECLARED)


def test_other_options_of_an_endpoint_mean_that_records_are_compared() -> None:
    other = changed(source=with_changes(MIGRATION.source, options=MemoryOptions("docs", page_rows=7)))
    (action,) = plan_migration(other, source(), target(), applied(FIRST), MARK).actions
    assert isinstance(action, ReconcileRecords)


def test_another_database_under_the_same_name_means_that_records_are_compared() -> None:
    elsewhere = with_changes(target(), place="db2:5432/app")
    (action,) = plan_migration(MIGRATION, source(), elsewhere, applied(FIRST), MARK).actions
    assert isinstance(action, ReconcileRecords)


@pytest.mark.parametrize(("actual", "prune", "mends"), [(9, False, True), (11, False, False), (11, True, True)])
def test_counts_that_a_verification_found_to_differ_are_reconciled(actual: int, prune: bool, mends: bool) -> None:
    before = applied(FIRST, "failed")
    assert before.report
    before = replace(before, report=replace(before.report, count=CountCheck({"": 10}, {"": actual})))
    assert bool(plan_migration(changed(prune=prune), source(), target(), before, MARK).actions) is mends


def test_the_model_that_the_target_declares_is_asked_for() -> None:
    other = changed(target=with_changes(MIGRATION.target, embedding=Embedding(model="other")))
    with pytest.raises(UnsupportedError, match=r"embedded anew with other \(different models\)"):
        plan_migration(other, source(), NOTHING, None, MARK)
