"""What records will need in Weaviate, by its page "Resource planning" and by what was measured."""

from vecmig.connectors.weaviate.limits import M
from vecmig.model.collection import Collection, Index, VectorField
from vecmig.protocols import Footprint

LINK_BYTES = 10  # of an hnsw graph in memory ("Resource planning": 8 to 10 bytes a connection)
GARBAGE = 2  # Go's collector lets memory grow to twice what is in use
RECORD_BYTES = 150  # id, times, keys of its properties; assumed
_QUANTIZED = {"bq": 32, "pq": 24, "sq": 4, "rq": 4}  # by how much vectors shrink in memory; pq: with its usual segments


def footprint(declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
    """Return what `rows` records need. `metadata_bytes` is the mean of one record's JSON."""
    vectors = sum(4 * vector.dimensions for vector in declared.vectors)
    links = sum(LINK_BYTES * 2 * _m(vector) for vector in declared.vectors)
    settings = dict(declared.settings)
    memory = sum(_in_memory(vector, settings) for vector in declared.vectors)
    return Footprint(
        disk_bytes=rows * (vectors + links + metadata_bytes + RECORD_BYTES),
        index_memory_bytes=GARBAGE * rows * memory,
    )


def _m(vector: VectorField) -> int:
    index = vector.index or Index()
    return (index.m or M) if index.type == "hnsw" else 0


def _in_memory(vector: VectorField, settings: dict[str, str]) -> int:
    if not _m(vector):
        return 0  # a flat index stays on disk
    quantizer = settings.get(f"{vector.name} quantizer".strip(), "none")
    return 4 * vector.dimensions // _QUANTIZED.get(quantizer, 1) + LINK_BYTES * 2 * _m(vector)
