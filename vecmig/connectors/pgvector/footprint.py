"""What a collection will need: bytes from the layouts of PostgreSQL and pgvector, speeds from a measurement."""

import math

from vecmig.model.collection import Collection, Index, VectorField
from vecmig.protocols import Footprint

PAGE = 8_192
USABLE = 8_136  # of a page, without its header and special space
TOAST_CHUNK = 1_996  # bytes of a value moved out of its row, and of a chunk's own row 36 more
# Measured with PostgreSQL 18 and pgvector 0.8.5 on 2 cores; see `basis`.
LOAD_BYTES_PER_S = 20_000 * 6_400
LOAD_ROWS_PER_S = 150_000  # where rows are small, their own cost is the bound
SPARSE_NONZERO = 128  # assumed: only the records know
# Scaled by bytes for the load; by bytes, candidates and rows for hnsw (10,000 rows, ef_construction 64, in memory).
BASIS = "measured on 2 cores at 1,536 dimensions, and scaled: load 20,000 rows/s, hnsw 508 rows/s"


def footprint(declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
    """Return what `rows` records need. `declared` is complete; `metadata_bytes` is the mean of one record's JSON."""
    key = 48  # namespace and id, about
    stored = [_bytes(vector) for vector in declared.vectors]
    inline = 28 + 8 + key + sum(each for each in stored if each < 1_900)  # row header, created_at
    toasted = sum(_toasted(each) for each in stored if each >= 1_900)
    if metadata_bytes > 1_900:
        toasted += _toasted(metadata_bytes // 2)  # compressed
    else:
        inline += metadata_bytes
    row = inline + toasted + key + 16  # and the primary key's entry
    scalar = sum(40 for field in declared.fields if field.filter)
    scalar += sum(metadata_bytes // 2 for field in declared.fields if field.search)
    indexed = [vector for vector in declared.vectors if (vector.index or Index()).type != "flat"]
    disk = rows * (row * 1.05 + scalar + sum(_index_bytes(vector) for vector in indexed))
    return Footprint(
        disk_bytes=int(disk),
        index_memory_bytes=max((index_memory(vector, rows) for vector in indexed), default=0),
        load_rows_per_s=min(LOAD_ROWS_PER_S, LOAD_BYTES_PER_S / (sum(stored) + metadata_bytes + key)),
        index_rows_per_s=_index_speed(indexed, rows),
        basis=BASIS,
    )


def index_memory(vector: VectorField, rows: int) -> int:
    """Return the bytes of `maintenance_work_mem` that a build of this index takes to stay in memory.

    HNSW keeps vector, element (about 128 bytes) and neighbours (16 bytes each, 2m on the lowest layer) in memory;
    IVFFlat a sample of 50 rows a list, and the centres.
    """
    index = vector.index or Index()
    if index.type == "flat":
        return 0
    if index.type == "hnsw":
        m = index.m or 16
        return int(rows * (_bytes(vector) + 128 + 2 * m * 16 * 1.1) * 1.1)
    return int(_lists(index, rows) * 51 * _bytes(vector) * 1.2)


def default_lists(rows: int) -> int:
    """Return pgvector's recommendation (README, "IVFFlat"): rows / 1000 up to a million, above it the square root."""
    return min(32_768, max(1, rows // 1000 if rows <= 1_000_000 else round(math.sqrt(rows))))


def _lists(index: Index, rows: int) -> int:
    return index.lists or default_lists(rows)


def _bytes(vector: VectorField) -> int:
    if vector.kind == "sparse":
        return 16 + 8 * min(vector.dimensions or SPARSE_NONZERO, SPARSE_NONZERO)
    return 8 + vector.dimensions * (2 if vector.kind == "float16" else 4)


def _toasted(size: int) -> int:
    chunks = math.ceil(size / TOAST_CHUNK)
    return 18 + size + chunks * (36 + 24)  # pointer; the chunks' rows; their index


def _index_bytes(vector: VectorField) -> float:
    index = vector.index or Index()
    if index.type == "ivfflat":
        return PAGE / max(1, USABLE // (_bytes(vector) + 16))
    neighbours = 6 * 2 * (index.m or 16) + 40  # 6 bytes a tuple id, 2m on the lowest layer and m on each above
    element = _bytes(vector) + 80
    # an element and its neighbours share a page where they can
    return PAGE / max(1, USABLE // (element + neighbours))


def _index_speed(vectors: list[VectorField], rows: int) -> float | None:
    if not vectors or rows <= 0:
        return None
    return rows / sum(_index_s(vector, rows) for vector in vectors)


def _index_s(vector: VectorField, rows: int) -> float:
    index = vector.index or Index()
    share = max(_bytes(vector), 600) / 6_152
    if index.type == "ivfflat":
        return rows * share * (0.0002 + _lists(index, rows) * 4e-7)
    # 19.7 s at ef_construction 64 and 39.6 s at 200, for 10,000 rows: linear in the candidates
    seconds = (10.3 + 0.147 * (index.ef_construction or 64)) / 10_000
    return rows * share * seconds * max(1.0, math.log(max(rows, 2)) / math.log(10_000))
