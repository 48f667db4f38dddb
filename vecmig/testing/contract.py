"""The contract that every connector passes; a plug-in outside this repository subclasses it, too."""

import json
import pickle
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import cast

import numpy as np
import pyarrow as pa
import pytest
from msgspec.structs import replace

from vecmig.errors import CollectionConflict, CollectionNotFound, UnsupportedError
from vecmig.model.batch import Key, RecordBatch, schema_of
from vecmig.model.collection import Collection, Field, Metric, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.filter import parse
from vecmig.model.metadata import canonical
from vecmig.protocols import ConnectorOptions, Counts, Search, Source, Target

COLLECTION = Collection(
    "vecmig_contract",
    (VectorField("", 4, "cosine"),),
    (Field("lang", "text", filter=True),),
    mark="vecmig:contract/test:0",
)
KEYS = [Key(namespace, id) for namespace in ("one", "two") for id in "abcde"]
COUNTS = {"one": 5, "two": 5}


def records(keys: Sequence[Key], version: int = 0, vectors: Sequence[Sequence[float]] | None = None) -> RecordBatch:
    """Return a record for each key; what it holds follows from key and version, so that a mix-up shows."""
    rows = []
    for n, key in enumerate(keys):
        random = np.random.default_rng(zlib.crc32(repr((key, version)).encode()))
        vector = vectors[n] if vectors else [-0.0, *random.normal(size=3)]
        metadata = {"lang": "en" if key.id < "c" else "de", "of": repr(key), "n": version, "share": 0.1, "tags": ["é"]}
        rows.append({"id": key.id, "namespace": key.namespace, "vector:": vector, "metadata": json.dumps(metadata)})
    return RecordBatch(pa.RecordBatch.from_pylist(rows, schema_of(COLLECTION.vectors)))


def held(target: Target, name: str) -> tuple[Sequence[Key], set[int]]:
    """Return the keys that a collection holds, and which versions of `records` they are."""
    found = target.fetch(name, KEYS)
    return found.keys, {json.loads(text)["n"] for text in found.strings("metadata")}


class SourceContract:
    """For a connector that only reads: give the fixtures.

    `options`, with pages of two records; `source`, which they open; `collection`, which holds the records of `keys`, in
    pages enough to put cursors to work; `empty`, a source where there is no such collection.
    """

    @pytest.fixture
    def keys(self) -> list[Key]:
        return KEYS

    def read(self, source: Source, collection: Collection, at_most: int) -> list[RecordBatch]:
        parts = source.partitions(collection.name, at_most)
        return [batch for part in parts for batch, _ in source.read(part, after=None)]

    def test_options_survive_pickling(self, options: ConnectorOptions) -> None:
        assert pickle.loads(pickle.dumps(options)) == options

    def test_describe_is_none_for_what_is_not_there(self, empty: Source, collection: Collection) -> None:
        assert empty.describe(collection.name) is None

    def test_what_is_not_there_cannot_be_read(self, empty: Source, collection: Collection) -> None:
        with pytest.raises(CollectionNotFound):
            empty.count(collection.name)
        with pytest.raises(CollectionNotFound):
            empty.fingerprint(collection.name)
        with pytest.raises(CollectionNotFound):
            empty.partitions(collection.name, 1)
        with pytest.raises(CollectionNotFound):
            empty.fetch(collection.name, KEYS)

    def test_what_is_counted_is_what_is_read(self, source: Source, collection: Collection) -> None:
        found = [key.namespace for batch in self.read(source, collection, at_most=3) for key in batch.keys]
        assert source.count(collection.name) == Counter(found)

    @pytest.mark.parametrize("at_most", [1, 3, 100])
    def test_partitions_are_disjoint_and_cover_everything(
        self, source: Source, collection: Collection, keys: list[Key], at_most: int
    ) -> None:
        assert len(source.partitions(collection.name, at_most)) <= at_most
        assert sorted(key for batch in self.read(source, collection, at_most) for key in batch.keys) == sorted(keys)

    def test_reading_twice_gives_the_same_order(self, source: Source, collection: Collection) -> None:
        once, twice = (self.read(source, collection, at_most=1) for _ in range(2))
        assert [batch.keys for batch in once] == [batch.keys for batch in twice]

    def test_resuming_at_any_cursor_reads_exactly_the_rest(self, source: Source, collection: Collection) -> None:
        (part,) = source.partitions(collection.name, at_most=1)
        pages = list(source.read(part, after=None))
        assert len(pages) > 1, "one page puts no cursor to the test"
        for done, (_, cursor) in enumerate(pages, start=1):
            rest = [key for batch, _ in source.read(part, after=cursor) for key in batch.keys]
            assert rest == [key for batch, _ in pages[done:] for key in batch.keys]

    def test_a_read_can_be_left_early(self, source: Source, collection: Collection, keys: list[Key]) -> None:
        (part,) = source.partitions(collection.name, at_most=1)
        pages = source.read(part, after=None)
        next(pages)
        pages.close()
        assert source.count(collection.name) == Counter(key.namespace for key in keys)

    def test_read_leaves_out_vectors_that_were_not_asked_for(self, source: Source, collection: Collection) -> None:
        (part,) = source.partitions(collection.name, at_most=1)
        for batch, _ in source.read(part, after=None, vectors=()):
            assert "vector:" not in batch.names

    def test_fetch_gives_what_is_read_in_the_order_of_keys(self, source: Source, collection: Collection) -> None:
        for batch in self.read(source, collection, at_most=1):
            asked = [Key("one", "zzz"), *reversed(batch.keys)]
            got = source.fetch(collection.name, asked)
            assert got.keys == asked[1:]
            assert digest_of(got) == digest_of(batch)


class ConnectorContract(SourceContract):
    """Give fixtures `options`, with pages of two records, and `target`, which they open, for a collection that is not there.

    `collection` is what the store makes of COLLECTION, under the name that `options` say. A store that cannot tell
    metrics, namespaces or the like apart sets the class attributes.
    """

    metrics: tuple[Metric, ...] = ("cosine", "dot", "l2", "l1", "hamming")
    vectors_are_required = False  # a record must have its dense vector

    @pytest.fixture
    def collection(self) -> Collection:
        return COLLECTION

    @pytest.fixture
    def loaded(self, target: Target, collection: Collection) -> Target:
        target.create(collection)
        self.store(target, collection, records(KEYS))
        return target

    @pytest.fixture
    def source(self, loaded: Target) -> Source:
        return loaded

    @pytest.fixture
    def empty(self, target: Target) -> Source:
        return target

    def store(self, target: Target, collection: Collection, batch: RecordBatch, expected: Counts = COUNTS) -> None:
        assert not target.upsert(collection.name, batch)
        target.settle(collection.name, expected, timeout_s=60)

    def test_create_twice_is_once(self, loaded: Target, collection: Collection) -> None:
        loaded.create(collection)
        actual = loaded.describe(collection.name)
        assert actual
        assert collection.agrees_with(actual)
        assert loaded.count(collection.name) == COUNTS

    def test_create_refuses_a_different_collection_of_the_same_name(
        self, loaded: Target, collection: Collection
    ) -> None:
        with pytest.raises(CollectionConflict):
            loaded.create(replace(collection, vectors=(VectorField("", 5, "cosine"),)))

    def test_upsert_twice_is_once(self, loaded: Target, collection: Collection) -> None:
        for _ in range(2):
            self.store(loaded, collection, records(KEYS, version=1))
        assert loaded.count(collection.name) == COUNTS
        assert digest_of(loaded.fetch(collection.name, KEYS)) == digest_of(records(KEYS, version=1))

    def test_vectors_come_back_bit_for_bit(self, loaded: Target, collection: Collection) -> None:
        for batch in [loaded.fetch(collection.name, KEYS), *self.read(loaded, collection, at_most=1)]:
            assert batch.vectors("").tobytes() == records(batch.keys).vectors("").tobytes()

    def test_metadata_comes_back_by_value(self, loaded: Target, collection: Collection) -> None:
        for batch in [loaded.fetch(collection.name, KEYS), *self.read(loaded, collection, at_most=1)]:
            sent = records(batch.keys).strings("metadata")
            assert [canonical(each) for each in batch.strings("metadata")] == [canonical(each) for each in sent]

    def test_fetch_leaves_out_what_is_missing_and_keeps_the_order_of_keys(
        self, loaded: Target, collection: Collection
    ) -> None:
        asked = [Key("two", "c"), Key("one", "zzz"), Key("one", "b"), Key("two", "a")]
        got = loaded.fetch(collection.name, asked)
        assert got.keys == [asked[0], asked[2], asked[3]]
        assert digest_of(got) == digest_of(records(got.keys))

    def test_the_same_id_in_two_namespaces_is_two_records(self, loaded: Target, collection: Collection) -> None:
        loaded.delete(collection.name, [Key("one", "a")])
        loaded.settle(collection.name, {"one": 4, "two": 5}, timeout_s=60)
        assert loaded.fetch(collection.name, [Key("one", "a"), Key("two", "a")]).keys == [Key("two", "a")]

    def test_a_record_without_a_vector_stays_without(self, target: Target, collection: Collection) -> None:
        target.create(collection)
        batch = records(KEYS[:3])
        column = pa.array([[1, 2, 3, 4], None, [4, 3, 2, 1]], pa.list_(pa.float32(), 4))
        batch = batch.replace("vector:", column)
        if self.vectors_are_required:
            assert [each.key for each in target.upsert(collection.name, batch)] == [KEYS[1]]
            return
        self.store(target, collection, batch, {"one": 3})
        assert digest_of(target.fetch(collection.name, KEYS)) == digest_of(batch)
        assert sum((digest_of(each) for each in self.read(target, collection, 1)), digest_of(batch.slice(0, 0))) == (
            digest_of(batch)
        )

    def test_a_fingerprint_changes_with_the_data(self, loaded: Target, collection: Collection) -> None:
        name = collection.name
        seen = [loaded.fingerprint(name)]
        assert loaded.fingerprint(name) == seen[0]
        self.store(loaded, collection, records([Key("two", "f")]), {"one": 5, "two": 6})
        seen.append(loaded.fingerprint(name))
        loaded.delete(name, KEYS[:2])
        loaded.settle(name, {"one": 3, "two": 6}, timeout_s=60)
        seen.append(loaded.fingerprint(name))
        if seen[0].strength == "exact":
            self.store(loaded, collection, records(KEYS[2:3], version=1), {"one": 3, "two": 6})
            seen.append(loaded.fingerprint(name))
        assert len(set(seen)) == len(seen)

    @pytest.mark.parametrize(
        ("metric", "nearest"), [("cosine", "ca"), ("dot", "ab"), ("l2", "bc"), ("l1", "cb"), ("hamming", "cb")]
    )  # fmt: skip
    def test_search_finds_the_nearest(
        self, target: Target, collection: Collection, metric: Metric, nearest: str
    ) -> None:
        if metric not in self.metrics:
            pytest.skip(f"the store does not know {metric}")
        target.create(replace(collection, vectors=(VectorField("", 4, metric),)))
        vectors: list[list[float]] = [[10, 1, 1, 0], [1, 0.5, 0.5, 0], [0.1, 0, 0, 0]]
        self.store(target, collection, records(KEYS[:3], vectors=vectors), {"one": 3})
        for exact in (False, True):
            search = Search(np.array([[1, 0, 0, 0]], np.float32), k=2, namespace="one", exact=exact)
            (hits,) = target.search(collection.name, search)
            assert [key.id for key in hits.keys] == list(nearest)
            assert hits.distances[0] < hits.distances[1]

    def test_search_respects_namespace_and_filter(self, loaded: Target, collection: Collection) -> None:
        search = Search(records(KEYS[5:]).vectors(""), k=10, namespace="two")
        hits = loaded.search(collection.name, search)
        assert [each.keys[0] for each in hits] == KEYS[5:], "each query is a record that is nearest to itself"
        assert all(sorted(each.keys) == KEYS[5:] for each in hits)
        search = Search(search.queries, k=10, namespace="two", filter=parse({"lang": "en"}))
        assert all(sorted(each.keys) == KEYS[5:7] for each in loaded.search(collection.name, search))

    def test_delete_twice_is_once(self, loaded: Target, collection: Collection) -> None:
        for _ in range(2):
            loaded.delete(collection.name, KEYS[:5])
            loaded.settle(collection.name, {"two": 5}, timeout_s=60)
        assert loaded.count(collection.name) == {"two": 5}
        assert loaded.fetch(collection.name, KEYS).keys == KEYS[5:]

    def test_a_bad_record_is_rejected_by_name_and_the_rest_of_its_batch_is_stored(
        self, target: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        target.create(collection)
        batch = records(KEYS[:3], vectors=[[1, 2, 3, 4], [1, 2, 3, np.nan], [4, 3, 2, 1]])
        (rejected,) = target.upsert(collection.name, batch)
        said = options.rejects(options.complete(collection), batch)
        assert set(said) <= {rejected}, "what a plan says of a sample is what writing it gives"
        target.settle(collection.name, {"one": 2}, timeout_s=60)
        assert rejected.key == KEYS[1]
        assert target.fetch(collection.name, KEYS).keys == [KEYS[0], KEYS[2]]

    def test_building_the_index_twice_is_once_and_keeps_the_records(
        self, loaded: Target, collection: Collection
    ) -> None:
        for _ in range(2):
            list(loaded.build_index(collection))
        assert loaded.count(collection.name) == COUNTS
        actual = loaded.describe(collection.name)
        assert actual
        assert collection.agrees_with(actual)

    def test_mending_changes_no_record(self, loaded: Target, collection: Collection) -> None:
        before = digest_of(loaded.fetch(collection.name, KEYS))
        list(loaded.mend(collection.name))
        loaded.settle(collection.name, COUNTS, timeout_s=60)
        assert loaded.count(collection.name) == COUNTS
        assert digest_of(loaded.fetch(collection.name, KEYS)) == before

    def test_drop_twice_is_once(self, loaded: Target, collection: Collection) -> None:
        for _ in range(2):
            loaded.drop(collection.name)
        assert loaded.describe(collection.name) is None

    def test_drop_refuses_what_vecmig_did_not_make(self, target: Target, collection: Collection) -> None:
        target.create(replace(collection, mark=None))
        with pytest.raises(CollectionConflict):
            target.drop(collection.name)
        assert target.describe(collection.name) is not None

    def test_what_is_beside_has_a_name_of_its_own_that_the_store_takes(
        self, options: ConnectorOptions, collection: Collection
    ) -> None:
        names = [options.collection, *(options.beside(n).collection for n in (1, 2, 12))]
        assert len(set(names)) == 4
        assert options.beside(2) == options.beside(2)
        with closing(options.beside(2).open()) as connection:
            target = cast(Target, connection)
            target.create(replace(collection, name=names[2]))
            assert target.describe(names[2]) is not None
            target.drop(names[2])

    @pytest.fixture
    def switched(self, loaded: Target, options: ConnectorOptions, collection: Collection) -> Target:
        """A build beside, with other records, takes the place of what is loaded, which is kept."""
        if not loaded.capabilities.switches:
            pytest.skip("this store cannot switch")
        build = replace(collection, name=options.beside(2).collection)
        loaded.create(build)
        self.store(loaded, build, records(KEYS[:2], version=1))
        loaded.switch(collection.name, build.name, options.beside(1).collection)
        return loaded

    def test_after_a_switch_the_serving_name_gives_the_build_and_the_kept_one_what_served(
        self, switched: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        kept, build = options.beside(1).collection, options.beside(2).collection
        assert held(switched, collection.name) == (KEYS[:2], {1})
        assert held(switched, kept) == (KEYS, {0})
        assert switched.describe(build) is None
        for name in (collection.name, kept):
            actual = switched.describe(name)
            assert actual
            assert replace(collection, name=name).agrees_with(actual)
        switched.switch(collection.name, build, kept)
        assert held(switched, kept) == (KEYS, {0}), "twice is once"

    def test_switching_back_restores_both(
        self, switched: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        kept, build = options.beside(1).collection, options.beside(2).collection
        switched.switch(collection.name, kept, build)
        assert held(switched, collection.name) == (KEYS, {0})
        assert held(switched, build) == (KEYS[:2], {1})
        assert switched.describe(kept) is None

    def test_where_nothing_serves_the_build_takes_the_name(
        self, loaded: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        if not loaded.capabilities.switches:
            pytest.skip("this store cannot switch")
        free = options.beside(7).collection
        loaded.switch(free, collection.name, options.beside(8).collection)
        assert held(loaded, free) == (KEYS, {0})
        assert loaded.describe(collection.name) is None

    @pytest.mark.parametrize("unmarked", ["serving", "build"])
    def test_a_switch_refuses_what_vecmig_did_not_make(
        self, target: Target, options: ConnectorOptions, collection: Collection, unmarked: str
    ) -> None:
        if not target.capabilities.switches:
            pytest.skip("this store cannot switch")
        build = replace(collection, name=options.beside(2).collection)
        for each, what in ((collection, "serving"), (build, "build")):
            target.create(replace(each, mark=None) if what == unmarked else each)
        with pytest.raises((CollectionConflict, UnsupportedError)):
            target.switch(collection.name, build.name, options.beside(1).collection)
        for each, what in ((collection, "serving"), (build, "build")):
            actual = target.describe(each.name)
            assert actual
            assert (actual.mark is None) == (what == unmarked), "nothing was changed"

    def test_a_switch_leaves_alone_what_has_the_kept_name(
        self, loaded: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        if not loaded.capabilities.switches:
            pytest.skip("this store cannot switch")
        build, kept = (replace(collection, name=options.beside(n).collection) for n in (2, 1))
        for each, version in ((build, 1), (kept, 2)):
            loaded.create(each)
            self.store(loaded, each, records(KEYS, version))
        with pytest.raises(CollectionConflict):
            loaded.switch(collection.name, build.name, kept.name)
        assert [held(loaded, each.name) for each in (collection, build, kept)] == [(KEYS, {n}) for n in range(3)]

    def test_there_must_be_something_to_switch_to(
        self, loaded: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        if not loaded.capabilities.switches:
            pytest.skip("this store cannot switch")
        with pytest.raises(CollectionNotFound):
            loaded.switch(collection.name, options.beside(2).collection, options.beside(1).collection)
        assert held(loaded, collection.name) == (KEYS, {0})

    def test_what_hinders_a_switch_is_told_beforehand_and_changes_nothing(
        self, loaded: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        build = options.beside(2).collection
        hindered = loaded.hindrance(collection.name, build)
        if loaded.capabilities.switches:
            assert hindered == ""
        else:
            assert build in hindered
        assert held(loaded, collection.name) == (KEYS, {0})
        assert loaded.describe(build) is None

    def test_a_store_that_cannot_switch_says_what_the_application_has_to_read(
        self, target: Target, options: ConnectorOptions, collection: Collection
    ) -> None:
        if target.capabilities.switches:
            pytest.skip("this store can switch")
        build = options.beside(2).collection
        with pytest.raises(UnsupportedError, match=re.escape(build)):
            target.switch(collection.name, build, options.beside(1).collection)
