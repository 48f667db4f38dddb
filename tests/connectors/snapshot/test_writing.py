"""What a snapshot is while it is written, after a crash, and when it is damaged."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from vecmig.connectors.snapshot import dataset, finish, overwritten, store
from vecmig.connectors.snapshot.connector import SnapshotConnector
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.errors import CollectionConflict, ConnectorError
from vecmig.model.batch import RecordBatch, concat, vector_column
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.record import Digest, Key
from vecmig.protocols import Search
from vecmig.testing.contract import COLLECTION, KEYS, records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kb"


@pytest.fixture
def connector(path: Path) -> SnapshotConnector:
    opened = SnapshotOptions(str(path)).open()
    opened.create(replace(COLLECTION, name=str(path)))
    return opened


def digest(path: Path) -> Digest:
    """Return the digest of all that another reader sees now."""
    return sum(map(digest_of, pages(path)), Digest())


def pages(path: Path, at_most: int = 3) -> list[RecordBatch]:
    reader = SnapshotOptions(str(path)).open()
    return [page for part in reader.partitions(str(path), at_most) for page, _ in reader.read(part, None)]


def files(path: Path) -> list[str]:
    return sorted(each.name for each in (path / "parts").iterdir())


def manifest(path: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((path / "manifest.json").read_text())
    return found


def finished(connector: SnapshotConnector, path: Path) -> None:
    list(connector.build_index(replace(COLLECTION, name=str(path))))


def test_the_manifest_says_what_is_there(connector: SnapshotConnector, path: Path) -> None:
    connector.upsert(str(path), records(KEYS[:7]))
    connector.upsert(str(path), records(KEYS[7:]))
    finished(connector, path)
    found = manifest(path)
    assert found["format_version"] == 1
    assert found["rows"] == 10
    assert found["namespaces"] == {"one": 5, "two": 5}
    assert found["digest"] == {"hex": digest_of(records(KEYS)).hex}
    assert found["vectors"][0]["dimensions"] == 4  # type: ignore[index]
    assert [part["rows"] for part in found["parts"]] == [7, 3]  # type: ignore[attr-defined]


def test_it_reads_the_same_before_and_after_it_is_finished(connector: SnapshotConnector, path: Path) -> None:
    connector.upsert(str(path), records(KEYS))
    connector.upsert(str(path), records(KEYS[2:4], version=1))
    connector.delete(str(path), KEYS[:1])
    expected = digest_of(concat([records(KEYS[2:4], version=1), records([KEYS[1], *KEYS[4:]])]))
    for _ in range(3):
        assert digest(path) == expected
        assert SnapshotOptions(str(path)).open().count(str(path)) == {"one": 4, "two": 5}
        finished(connector, path)
    assert not [name for name in files(path) if "deleted" in name]


def test_the_last_write_wins_even_where_it_repeats_an_older_one(connector: SnapshotConnector, path: Path) -> None:
    for version in (0, 1, 0):
        connector.upsert(str(path), records(KEYS, version))
        assert digest(path) == digest_of(records(KEYS, version))
    connector.delete(str(path), KEYS)
    connector.upsert(str(path), records(KEYS))
    assert digest(path) == digest_of(records(KEYS))
    finished(connector, path)
    connector.delete(str(path), KEYS)
    finished(connector, path)
    connector.upsert(str(path), records(KEYS))
    finished(connector, path)
    connector.delete(str(path), KEYS)
    assert digest(path) == Digest()


def test_a_batch_that_is_repeated_after_a_crash_leaves_one_file(connector: SnapshotConnector, path: Path) -> None:
    connector.upsert(str(path), records(KEYS[:5]))
    for _ in range(3):
        SnapshotOptions(str(path)).open().upsert(str(path), records(KEYS[5:]))
    assert digest(path) == digest_of(records(KEYS))
    finished(connector, path)
    assert len(files(path)) == 2
    assert digest(path) == digest_of(records(KEYS))


def test_batches_cut_otherwise_after_a_crash_double_nothing(connector: SnapshotConnector, path: Path) -> None:
    connector.upsert(str(path), records(KEYS[:4]))
    connector.upsert(str(path), records(KEYS[2:9]))
    connector.upsert(str(path), records(KEYS[8:]))
    assert digest(path) == digest_of(records(KEYS))
    finished(connector, path)
    assert manifest(path)["digest"] == {"hex": digest_of(records(KEYS)).hex}


def test_writers_side_by_side_lose_nothing(connector: SnapshotConnector, path: Path) -> None:
    keys = [Key("one", f"{n:03d}") for n in range(120)]

    def write(worker: int) -> None:
        own = SnapshotOptions(str(path)).open()
        for start in range(worker * 10, 120, 40):
            own.upsert(str(path), records(keys[start : start + 10]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert digest(path) == digest_of(records(keys))
    finished(connector, path)
    assert digest(path) == digest_of(records(keys))


def test_a_writer_killed_in_the_middle_leaves_nothing_that_is_read(connector: SnapshotConnector, path: Path) -> None:
    connector.upsert(str(path), records(KEYS[:5]))
    (path / "parts" / ".tmp-0123").write_bytes(b"PAR1 half a file")
    assert digest(path) == digest_of(records(KEYS[:5]))
    finished(connector, path)
    assert digest(path) == digest_of(records(KEYS[:5]))


@pytest.mark.parametrize("calls", range(6))
def test_a_crash_at_any_step_of_finishing_changes_nothing_that_is_read(
    connector: SnapshotConnector, path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in range(3):
        connector.upsert(str(path), records(KEYS[version : version + 5], version))
    connector.delete(str(path), KEYS[6:7])
    before = digest(path)
    left = [calls]

    def stepping(name: str) -> Callable[..., object]:
        real: Callable[..., object] = getattr(store, name)

        def step(*arguments: object) -> object:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*arguments)

        return step

    for name in ("put", "remove"):
        monkeypatch.setattr(finish, name, stepping(name))
    with pytest.raises(KeyboardInterrupt):
        finished(connector, path)
    monkeypatch.undo()
    assert digest(path) == before
    again = SnapshotOptions(str(path)).open()
    finished(again, path)
    assert digest(path) == before
    parts = [part["name"] for part in manifest(path)["parts"]]  # type: ignore[attr-defined]
    assert files(path) == sorted(name.removeprefix("parts/") for name in parts)


@pytest.mark.parametrize("held", [1, 3, 1000])
def test_overwritten_rows_are_found_in_any_number_of_rounds(
    connector: SnapshotConnector, path: Path, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overwritten, "ROUND_KEYS", held)
    for version in range(4):
        connector.upsert(str(path), records(KEYS[version:], version))
    expected = [records(KEYS[version : version + 1], version) for version in range(3)] + [records(KEYS[3:], 3)]
    assert digest(path) == digest_of(concat(expected))


def test_a_cursor_holds_although_rows_before_it_were_overwritten(path: Path) -> None:
    options = SnapshotOptions(str(path), page_rows=2)
    connector = options.open()
    connector.create(replace(COLLECTION, name=str(path)))
    connector.upsert(str(path), records(KEYS))
    (part,) = connector.partitions(str(path), 1)
    _, cursor = next(connector.read(part, None))
    connector.upsert(str(path), records(KEYS[:1], version=1))
    rest = [key for page, _ in options.open().read(part, cursor) for key in page.keys]
    assert rest == KEYS[2:]


def test_records_with_and_without_vectors_are_read_as_one_type(path: Path) -> None:
    connector = SnapshotOptions(str(path)).open()
    schema = Collection(
        str(path), (VectorField("a.b", 3, "dot"), VectorField("s", 9, "dot", "sparse")), mark="vecmig:x"
    )
    connector.create(schema)
    for vectors in ([[1, 2, 3], None], [None, None], [[4, 5, 6], [-0.0, 1e-45, 3e38]]):
        keys = [Key("", f"{vectors}{n}") for n in range(2)]
        sparse = [{"indices": [1, 8], "values": [0.5, -1.0]}, None]
        table = pa.record_batch(
            {
                "id": pa.array([key.id for key in keys]),
                "namespace": pa.array(["", ""]),
                "metadata": pa.array(["{}", '{"a":12345678901234567890.5}']),
                "vector:a.b": pa.array(vectors, pa.list_(pa.float32(), 3)),
                "sparse:s": pa.array(
                    sparse, pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
                ),
            }
        )
        connector.upsert(str(path), RecordBatch(table))
        assert digest_of(connector.fetch(str(path), keys)) == digest_of(RecordBatch(table))
    assert len({page.table.schema for page in pages(path, at_most=1)}) == 1


def test_no_row_group_ends_with_a_small_page(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connector = SnapshotOptions(str(path)).open()
    connector.create(replace(COLLECTION, name=str(path)))
    keys = [Key("", f"{n:03}") for n in range(100)]
    connector.upsert(str(path), records(keys))
    finished(connector, path)
    monkeypatch.setattr(dataset, "MAX_PAGE_ROWS", 33)  # which would leave one row for the fourth page
    assert [len(page) for page in pages(path)] == [25, 25, 25, 25]


def test_a_page_of_so_many_records_has_fewer_where_they_are_large(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "PAGE_BYTES", 10_000)
    connector = SnapshotOptions(str(path), page_rows=100).open()
    connector.create(replace(COLLECTION, name=str(path)))
    texts = [f'{{"text": "{n:05}{"x" * 2_000}"}}' for n in range(50)]
    batch = concat([records([Key("", f"r{n}") for n in range(50)])]).replace("metadata", pa.array(texts))
    assert not connector.upsert(str(path), batch)
    (part,) = connector.partitions(str(path), 1)
    assert max(len(page) for page, _ in connector.read(part, None, [])) <= 5


def test_a_record_whose_metadata_is_no_object_is_rejected_and_the_rest_is_stored(
    connector: SnapshotConnector, path: Path
) -> None:
    batch = records(KEYS[:3])
    batch = batch.replace("metadata", pa.array(["{}", "[1]", '{"a":']))
    rejected = connector.upsert(str(path), batch)
    assert [each.key for each in rejected] == KEYS[1:3]
    assert connector.fetch(str(path), KEYS).keys == KEYS[:1]


def test_a_directory_of_others_is_never_written_into(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "notes.txt").write_text("mine")
    connector = SnapshotOptions(str(tmp_path / "kb")).open()
    with pytest.raises(CollectionConflict, match="notes"):
        connector.create(replace(COLLECTION, name=str(tmp_path / "kb")))
    (tmp_path / "kb" / "notes.txt").unlink()
    pq.write_table(pa.table({"id": ["a"], "emb": [[1.0, 2.0]]}), tmp_path / "kb" / "x.parquet")
    with pytest.raises(CollectionConflict):
        connector.create(replace(COLLECTION, name=str(tmp_path / "kb")))
    with pytest.raises(CollectionConflict):
        connector.upsert(str(tmp_path / "kb"), records(KEYS))
    with pytest.raises(CollectionConflict):
        connector.drop(str(tmp_path / "kb"))
    assert [each.name for each in (tmp_path / "kb").iterdir()] == ["x.parquet"]


def test_drop_leaves_what_is_not_the_snapshots(connector: SnapshotConnector, path: Path) -> None:
    connector.upsert(str(path), records(KEYS))
    (path / "notes.txt").write_text("mine")
    connector.drop(str(path))
    assert [each.name for each in path.iterdir()] == ["notes.txt"]


class TestDamage:
    @pytest.fixture
    def done(self, connector: SnapshotConnector, path: Path) -> Path:
        connector.upsert(str(path), records(KEYS[:5]))
        connector.upsert(str(path), records(KEYS[5:]))
        finished(connector, path)
        return path

    def part(self, path: Path) -> Path:
        return path / "parts" / files(path)[1]

    def fails(self, path: Path, names: str, says: str) -> None:
        with pytest.raises(ConnectorError) as error:
            pages(path)
        assert names in str(error.value)
        assert says in str(error.value)

    def test_a_manifest_that_is_no_json(self, done: Path) -> None:
        (done / "manifest.json").write_text('{"format_version": 1, "vec')
        self.fails(done, "manifest.json", "damaged")

    def test_a_manifest_of_a_newer_format(self, done: Path) -> None:
        (done / "manifest.json").write_text(json.dumps({**manifest(done), "format_version": 2}))
        self.fails(done, "manifest.json", "install a newer vecmig")

    def test_a_missing_part(self, done: Path) -> None:
        part = self.part(done)
        part.unlink()
        self.fails(done, part.name, "missing")

    def test_a_truncated_part(self, done: Path) -> None:
        part = self.part(done)
        part.write_bytes(part.read_bytes()[:-9])
        self.fails(done, part.name, "bytes instead of")

    def test_a_truncated_part_of_an_unfinished_snapshot(self, done: Path) -> None:
        (done / "parts" / f"0000000009-{'a' * 32}.parquet").write_bytes(self.part(done).read_bytes()[:-9])
        self.fails(done, "0000000009", "damaged")

    def test_a_part_with_another_number_of_rows(self, done: Path) -> None:
        text = json.dumps(manifest(done)).replace('"rows": 5', '"rows": 6')
        (done / "manifest.json").write_text(text)
        self.fails(done, "parquet", "manifest says 6")

    def test_a_part_whose_inside_is_damaged(self, done: Path) -> None:
        part = self.part(done)
        content = bytearray(part.read_bytes())
        content[4:200] = bytes(196)
        part.write_bytes(content)
        self.fails(done, part.name, "damaged")

    def test_one_flipped_bit_of_a_vector(self, done: Path) -> None:
        part = self.part(done)
        content = bytearray(part.read_bytes())
        content[content.index(records(KEYS[5:]).vectors("").tobytes()) + 5] ^= 1
        part.write_bytes(content)
        self.fails(done, part.name, "damaged")


def test_options_import_neither_arrow_nor_numpy_nor_fsspec() -> None:
    program = (
        "import sys, vecmig.connectors.snapshot.options\n"
        "assert not {'pyarrow', 'fsspec'} & set(sys.modules), set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_full_disk_is_told_and_leaves_no_half_file(connector: SnapshotConnector, path: Path) -> None:
    program = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.errors import ConnectorError
from vecmig.testing.contract import KEYS, records
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    SnapshotOptions({str(path)!r}).open().upsert({str(path)!r}, records(KEYS))
except ConnectorError as error:
    assert "could not write" in str(error), error
else:
    raise SystemExit("it wrote")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert files(path) == []


def test_a_password_does_not_belong_in_the_path() -> None:
    with pytest.raises(ValueError, match="password"):
        SnapshotOptions("ftp://user:secret@host/kb")


def test_search_by_l1_and_l2_agrees_with_the_definition(path: Path) -> None:
    random = np.random.default_rng(3)
    vectors, query = random.normal(size=(50, 4)).astype(np.float32), random.normal(size=(2, 4)).astype(np.float32)
    keys = [Key("one", f"{n:02d}") for n in range(50)]
    for order, metric in ((1, "l1"), (2, "l2")):
        place = f"{path}-{metric}"
        connector = SnapshotOptions(place).open()
        connector.create(Collection(place, (VectorField("", 4, metric),), mark="vecmig:x"))  # type: ignore[arg-type]
        connector.upsert(place, records(keys).replace("vector:", vector_column(vectors)))
        distances = np.linalg.norm(query[:, None] - vectors, ord=order, axis=2)
        for hits, row in zip(connector.search(place, Search(query, 5, namespace="one")), distances, strict=True):
            assert [key.id for key in hits.keys] == [f"{n:02d}" for n in row.argsort()[:5]]
            np.testing.assert_allclose(hits.distances, np.sort(row)[:5], rtol=1e-5)
