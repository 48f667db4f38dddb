"""A migration held against its source as it is now, also where the reading itself is wrong."""

from collections.abc import Collection as Some
from collections.abc import Generator, Iterator, Mapping, Set
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from dataclasses import replace as replace_purse
from threading import Event

from msgspec.structs import replace

from vecmig.comparison.reading import Side
from vecmig.comparison.sides import OnRejected, Reads, partitions_of, source_side, target_side
from vecmig.comparison.terms import Terms
from vecmig.comparison.watched import Count, watched
from vecmig.conversion.convert import Converted
from vecmig.embedding.embed import NotCached
from vecmig.embedding.models import Purse, embedding_step
from vecmig.errors import CollectionNotFound
from vecmig.migration import Migration
from vecmig.model.collection import Collection
from vecmig.model.digest import digest_of
from vecmig.model.plan import Conversion, Decision, Partition
from vecmig.model.record import Digest, Key
from vecmig.model.report import Breach, Report
from vecmig.model.state import Cursor
from vecmig.planning.declare import conversion_of, declare
from vecmig.protocols import Event as Happening
from vecmig.protocols import Looked, Stage
from vecmig.retry import Throttle, retrying
from vecmig.verification.again import with_sample
from vecmig.verification.asked import Embeds, Searching
from vecmig.verification.models import embeds_of
from vecmig.verification.verify import verify


@dataclass(frozen=True, slots=True)
class Proof:
    """What a migration is held against its source with."""

    project: str
    environment: str
    excluded: frozenset[Key]  # keys that apply put aside
    refused: Mapping[Key, Digest | None] | None = (
        None  # those of them that the target refused, as they were; None: any of them may be
    )
    written: Some[str] = ()  # namespaces that the migration has written before
    decisions: tuple[Decision, ...] = ()  # how vectors came about at the last apply
    purse: Purse | None = None  # where embeddings are, and who pays for queries and for a sample of those that are gone
    lag_s: float = 0.0  # see `verify`
    read_records_per_s: int | None = None  # of the source, over all workers
    workers: int = 1


def prove(migration: Migration, proof: Proof, stop: Event) -> Generator[Happening, None, Report]:
    """Verify a migration; yield how far it is.

    What apply put aside is expected as soon as the source gives it well, and what the target refused as soon as the
    source gives another record in its place. Besides what `verify` checks, a record that cannot be moved and was not put
    aside fails, and so does a source that says it holds more or fewer records than reading it gave: nothing that was
    skipped on both ways is proven. Where an embedding is not in the cache any more, a sample is embedded again, and the
    rest is unknown.
    """
    yield Stage(migration.name, "verify")
    cached = replace_purse(proof.purse, run=None) if proof.purse else None
    try:
        return (yield from _proven(migration, proof, cached, stop))
    except NotCached:
        report = yield from _proven(migration, proof, None, stop)
        return with_sample(report, migration, proof.decisions, proof.purse, stop)


def _proven(migration: Migration, proof: Proof, purse: Purse | None, stop: Event) -> Generator[Happening, None, Report]:
    by_target = dict.fromkeys(proof.excluded) if proof.refused is None else proof.refused
    unmovable: dict[Key, str] = {}

    def reject(converted: Converted, part: Partition, cursor: Cursor) -> None:
        unmovable.update({each.key: each.reason for each in converted.rejected if each.key not in proof.excluded})

    throttle = Throttle(proof.read_records_per_s, stop)
    with sides_of(migration, proof.workers, reject, stop, throttle, proof.decisions, purse, proof.excluded) as sides:
        said = retrying(stop)(_said, migration)
        refused = still_refused(sides, by_target)
        unexpected = _unexpected(migration, sides.source, proof.excluded - (by_target.keys() - refused), refused)
        count = Count()
        if migration.verification.records == "all" and migration.where is None and migration.limit is None:
            yield Looked(migration.name, 0, of=2 * said)
        report = yield from watched(
            migration.name,
            count,
            lambda: verify(
                migration,
                sides.source,
                sides.target,
                Terms(proof.written, unexpected, watch=count.add, stop=stop),
                Searching(sides.conversion, sides.declared, _embeds(migration, sides.schema, proof, stop)),
                project=proof.project,
                environment=proof.environment,
                lag_s=proof.lag_s,
            ),
        )
    report = replace(report, quarantined=len(unexpected | (proof.excluded & sides.source.refused.keys)))
    breaches = [*report.breaches]
    if unmovable:
        key, reason = min(unmovable.items())
        hint = f"the source holds records that cannot be moved, such as {key}: {reason}"
        allowed = migration.verification.thresholds.missing
        lost = len(unmovable) + (report.records.missing if report.records else 0)
        if lost > allowed:
            breaches.append(Breach("missing", allowed, lost, hint))
    if not sides.reads.agree_with(said):
        hint = (
            f"the source says it holds {said:,} records, reading gave {sides.reads.rows:,}: was it written meanwhile?"
        )
        breaches.append(Breach("missing", 0, abs(said - sides.reads.rows), hint))
    if len(breaches) > len(report.breaches):
        report = replace(report, verdict="failed", breaches=tuple(breaches))
    return report


def _embeds(migration: Migration, source: Collection, proof: Proof, stop: Event) -> Embeds:
    """Return what makes vectors of the user's own queries, where some are texts."""
    if proof.purse is None or migration.golden is None or not migration.golden.texts:
        return {}
    return embeds_of(migration, source, {each.vector: each for each in proof.decisions}, proof.purse, stop)


def _said(migration: Migration) -> int:
    """Return how many records the source says it holds."""
    with closing(migration.source.open_source()) as store:
        return sum(store.count(migration.source.options.collection).values())


def still_refused(sides: "Sides", by_target: Mapping[Key, Digest | None]) -> frozenset[Key]:
    """Return the keys of the records that the target refused and that are as they were then."""
    known = {key: digest for key, digest in by_target.items() if digest is not None}
    if not known or sides.source.fetch is None or sides.conversion.embed:
        return frozenset(by_target)
    with closing(sides.source.open()) as store:
        found = sides.source.fetch(store, sorted(known))
    mended = {key for row, key in enumerate(found.keys) if digest_of(found.take([row])) != known[key]}
    return frozenset(by_target.keys() - mended)


def _unexpected(migration: Migration, source: Side, aside: frozenset[Key], by_target: frozenset[Key]) -> frozenset[Key]:
    """Return the keys that the target need not hold though the source gives them."""
    if migration.verification.records == "all":
        return by_target  # what cannot be converted is not given
    if source.fetch is None:
        return aside  # vectors are not read: what is wrong with them does not show
    with closing(source.open()) as store:
        return aside.difference(source.fetch(store, sorted(aside - by_target)).keys)


@dataclass(frozen=True, slots=True)
class Sides:
    source: Side  # what is expected
    target: Side  # what is there
    conversion: Conversion  # how the one becomes the other
    schema: Collection  # of the source, as it is
    declared: Collection  # what the spec asks for
    reads: Reads


@contextmanager
def sides_of(
    migration: Migration,
    workers: int,
    reject: OnRejected,
    stop: Event,
    throttle: Throttle | None = None,
    decisions: Some[Decision] = (),
    purse: Purse | None = None,
    aside: Set[Key] = frozenset(),
) -> Iterator[Sides]:
    """Yield both sides. `decisions`: how vectors came about at the last apply. `purse` None: vectors that are made of

    texts are left out on both sides. `aside`: what the last apply put aside.
    """
    collection, parts = retrying(stop)(_source_now, migration, workers)
    decided = {each.vector: each for each in decisions}
    declared = declare(migration, collection, None, decisions=decided)
    conversion = conversion_of(migration, collection, declared, decided)
    reads, rules = Reads(migration.limit), conversion.embed
    embedding = embedding_step(migration, rules, purse, stop, aside) if rules and purse is not None else nullcontext()
    with embedding as step:
        source = source_side(migration, parts, conversion, workers, reject, stop, reads, throttle, step)
        left_out = [] if step is not None else [rule.name for rule in rules]
        target = retrying(stop)(target_side, migration, workers, stop, left_out)
        yield Sides(source, target, conversion, collection, declared, reads)


def _source_now(migration: Migration, workers: int) -> tuple[Collection, tuple[Partition, ...]]:
    with closing(migration.source.open_source()) as connection:
        collection = connection.describe(migration.source.options.collection)
        if collection is None:
            raise CollectionNotFound(f"{migration.name}: the source {migration.source.label} is not there")
        return collection, partitions_of(migration, connection, workers)
