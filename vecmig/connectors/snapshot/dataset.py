"""What is read of a snapshot, whoever made it: Parquet files in an order, and how their rows become records."""

import json
from bisect import bisect_left
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from math import ceil
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vecmig.connectors.snapshot.store import Entry, Store, opened, translated
from vecmig.errors import ConnectorError
from vecmig.model.batch import RecordBatch, concat, schema_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.plan import Partition
from vecmig.model.record import Key
from vecmig.model.state import Cursor
from vecmig.protocols import Counts

PAGE_BYTES = 8 << 20
MAX_PAGE_ROWS = 1 << 13  # small records come in more pages than 8 MB would make: each is a checkpoint, and progress


class Dataset(Protocol):
    @property
    def store(self) -> Store: ...

    @property
    def collection(self) -> Collection: ...

    @property
    def files(self) -> Sequence[Entry]:
        """The files of records, in the order in which they are read."""

    @property
    def dead(self) -> Mapping[str, NDArray[np.int64]]:
        """For each file, its rows that count no more; ascending. A file without such rows is left out."""

    def counts(self) -> Counts: ...

    def columns(self, vectors: Sequence[VectorField], schema: pa.Schema) -> list[str]:
        """Return the columns of a file that make records with these vectors. Raises ConnectorError."""

    def records(self, rows: pa.RecordBatch, vectors: Sequence[VectorField], name: str, first: int) -> RecordBatch:
        """Return rows of file `name`, from row `first` on, as records."""

    def key_columns(self) -> list[str]: ...

    def keys(self, rows: pa.RecordBatch, name: str, first: int) -> RecordBatch:
        """Return `id` and `namespace` of these rows."""

    def checked(self, entry: Entry, file: pq.ParquetFile) -> None:
        """Raise ConnectorError if the file is not what the snapshot says."""


class Rows:
    """An open file of a dataset."""

    def __init__(self, data: Dataset, entry: Entry) -> None:
        self.data, self.entry, self.file = data, entry, opened(data.store, entry.name)
        self.metadata: pq.FileMetaData = self.file.metadata
        try:
            data.checked(entry, self.file)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.file.close(force=True)

    @property
    def groups(self) -> list[int]:
        """Rows of each row group."""
        return [self.metadata.row_group(n).num_rows for n in range(self.metadata.num_row_groups)]

    def raw(
        self, groups: Sequence[int], columns: Sequence[str], page_rows: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some row groups, in pages of PAGE_BYTES, and `page_rows` at most."""
        rows = min(page_rows or MAX_PAGE_ROWS, self._page_rows(groups, columns))
        # no threads: workers read side by side, and decoding one column of vectors is not faster for them
        with translated(self.data.store, self.entry.name, "read"):
            pages = self.file.iter_batches(rows, row_groups=list(groups), columns=list(columns), use_threads=False)
        while True:
            with translated(self.data.store, self.entry.name, "read"):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def key_pages(self, groups: Sequence[int] | None = None) -> Iterator[tuple[int, RecordBatch]]:
        """Yield pages of keys, each with the number of its first row."""
        sizes = self.groups
        wanted = range(len(sizes)) if groups is None else groups
        for group in wanted:
            first = sum(sizes[:group])
            for page in self.raw([group], self.data.key_columns(), MAX_PAGE_ROWS):
                yield first, self.data.keys(page, self.entry.name, first)
                first += page.num_rows

    def _page_rows(self, groups: Sequence[int], columns: Sequence[str]) -> int:
        chosen = tuple(f"{name}." for name in columns)
        size, rows, largest = 0, 0, 1
        for number in groups:
            group = self.metadata.row_group(number)
            rows += group.num_rows
            largest = max(largest, group.num_rows)
            for n in range(group.num_columns):
                column = group.column(n)
                if f"{column.path_in_schema}.".startswith(chosen):
                    # a dictionary makes a chunk smaller than what it is read as: 4 bytes a value at the least
                    size += max(column.total_uncompressed_size, 4 * column.num_values)
        most = max(1, min(PAGE_BYTES * rows // max(size, 1), MAX_PAGE_ROWS))
        # a page ends with its row group: pages of one size, or each group would end with a small one
        return ceil(largest / ceil(largest / most))


def partitions(data: Dataset, at_most: int) -> list[Partition]:
    """Split into runs of row groups with about as many rows each.

    A token is [first file, first row group, last file, end row group]: files in between belong to it whole.
    """
    groups: list[tuple[str, int, int]] = []
    for entry in data.files:
        with closing(Rows(data, entry)) as rows:
            groups += [(entry.name, n, size) for n, size in enumerate(rows.groups) if size]
    ends = np.cumsum([size for _, _, size in groups])
    parts: list[Partition] = []
    start = 0
    count = min(at_most, len(groups))
    for n in range(1, count + 1):
        end = bisect_left(ends.tolist(), ends[-1] * n / count) + 1 if n < count else len(groups)
        if end > start:
            (first, low, _), (last, high, _) = groups[start], groups[end - 1]
            parts.append(Partition(data.collection.name, json.dumps([first, low, last, high + 1])))
        start = max(start, end)
    return parts


def read(
    data: Dataset, token: str, after: Cursor | None, vectors: Sequence[str] | None, page_rows: int | None
) -> Generator[tuple[RecordBatch, Cursor], None, None]:
    """Yield records with the number of the partition's rows that were read by then.

    Rows that count no more are among those numbered, so that a cursor holds although rows die.
    """
    chosen = [each for each in data.collection.vectors if vectors is None or each.name in vectors]
    done, position = int(after or 0), 0
    for entry, low, high in _spans(data, token):
        with closing(Rows(data, entry)) as rows:
            sizes = rows.groups
            numbers = list(range(low, len(sizes) if high is None else min(high, len(sizes))))
            while numbers and position + sizes[numbers[0]] <= done:
                position += sizes[numbers.pop(0)]
            if not numbers:
                continue
            first = sum(sizes[: numbers[0]])
            columns = data.columns(chosen, rows.file.schema_arrow)
            for page in rows.raw(numbers, columns, page_rows):
                skip = min(max(done - position, 0), page.num_rows)
                part = page.slice(skip)
                if part.num_rows:
                    records = _living(
                        data, data.records(part, chosen, entry.name, first + skip), entry.name, first + skip
                    )
                    if len(records):
                        yield records, Cursor(str(position + page.num_rows))
                position += page.num_rows
                first += page.num_rows


def whole(data: Dataset) -> str:
    """Return the token of everything."""
    return json.dumps([data.files[0].name, 0, data.files[-1].name, None] if data.files else None)


def fetch(data: Dataset, keys: Sequence[Key]) -> RecordBatch:
    """Return the records that exist, in the order of `keys`."""
    wanted = set(keys)
    ids = sorted({key.id for key in wanted})
    found: list[RecordBatch] = []
    for entry in data.files:
        if not wanted:
            break
        with closing(Rows(data, entry)) as rows:
            hits = _hits(data, rows, [n for n in range(len(rows.groups)) if _may_hold(data, rows, n, ids)], wanted)
            if hits:
                found += _rows_at(data, rows, hits)
    if not found:
        return RecordBatch(pa.RecordBatch.from_pylist([], schema_of(data.collection.vectors)))
    together = concat(found)
    row_of = {key: row for row, key in enumerate(together.keys)}
    return together.take([row_of[key] for key in keys if key in row_of])


def _spans(data: Dataset, token: str) -> Iterator[tuple[Entry, int, int | None]]:
    bounds = json.loads(token)
    if bounds is None:
        return
    first, low, last, high = bounds
    names = [entry.name for entry in data.files]
    for name in (first, last):
        if name not in names:
            raise ConnectorError(
                f"{data.store.path(name)} is gone: the snapshot is not the one that the plan was made from. Plan again"
            )
    for entry in data.files[names.index(first) : names.index(last) + 1]:
        yield entry, low if entry.name == first else 0, high if entry.name == last else None


def _living(data: Dataset, records: RecordBatch, name: str, first: int) -> RecordBatch:
    dead = data.dead.get(name)
    if dead is None:
        return records
    inside = dead[np.searchsorted(dead, first) : np.searchsorted(dead, first + len(records))] - first
    return records.take(np.delete(np.arange(len(records)), inside)) if len(inside) else records


def _may_hold(data: Dataset, rows: Rows, group: int, ids: list[str]) -> bool:
    """True unless the row group's statistics rule all these ids out."""
    name = data.key_columns()[0]
    chunks = (rows.metadata.row_group(group).column(n) for n in range(rows.metadata.num_columns))
    statistics = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == name), None)
    if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, str):
        return True
    at = bisect_left(ids, statistics.min)
    return at < len(ids) and ids[at] <= statistics.max


def _hits(data: Dataset, rows: Rows, groups: Sequence[int], wanted: set[Key]) -> list[int]:
    """Return the numbers of rows with a wanted key, ascending, and take these keys out of `wanted`."""
    dead = set(data.dead.get(rows.entry.name, np.empty(0, np.int64)).tolist())
    ids = pa.array({key.id for key in wanted}, pa.string())
    hits = []
    for first, page in rows.key_pages(groups):
        candidates = pc.indices_nonzero(pc.is_in(page.table.column("id"), value_set=ids)).to_numpy()
        for n, key in zip(candidates.tolist(), page.take(candidates.astype(np.intp)).keys, strict=True):
            if key in wanted and first + n not in dead:
                wanted.discard(key)
                hits.append(first + n)
    return hits


def _rows_at(data: Dataset, rows: Rows, numbers: Sequence[int]) -> list[RecordBatch]:
    vectors = data.collection.vectors
    columns = data.columns(vectors, rows.file.schema_arrow)
    at, found, start = np.array(numbers), [], 0
    for group, size in enumerate(rows.groups):
        inside = at[(at >= start) & (at < start + size)]
        first = start
        start += size
        if not len(inside):
            continue
        for page in rows.raw([group], columns):
            here = inside[(inside >= first) & (inside < first + page.num_rows)] - first
            if len(here):
                taken = data.records(page.take(pa.array(here)), vectors, rows.entry.name, first)
                found.append(_without_problem(taken))
            first += page.num_rows
    return found


def _without_problem(records: RecordBatch) -> RecordBatch:
    """Return the records that are whole: one that is not cannot be fetched."""
    if "problem" not in records.names:
        return records
    good = RecordBatch(records.table.filter(records.table.column("problem").is_null()))
    return RecordBatch(good.table.drop_columns(["problem"]))
