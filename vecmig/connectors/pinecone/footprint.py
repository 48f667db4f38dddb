"""What records will need in an index: bytes by Pinecone's own sum (page "Understanding cost", "Storage")."""

from vecmig.model.collection import Collection
from vecmig.protocols import Footprint

ID_BYTES = 36  # assumed: only the records know
SPARSE_NONZERO = 128  # likewise


def record_bytes(declared: Collection, metadata_bytes: int) -> int:
    """Return the size of a record: its id, 4 bytes a component, 8 a sparse one, and its metadata."""
    vectors = sum(
        8 * SPARSE_NONZERO if vector.kind == "sparse" else 4 * vector.dimensions for vector in declared.vectors
    )
    return ID_BYTES + vectors + metadata_bytes


def footprint(declared: Collection, rows: int, metadata_bytes: int) -> Footprint:
    """Return what `rows` records need. `metadata_bytes` is the mean of one record's JSON."""
    return Footprint(disk_bytes=rows * record_bytes(declared, metadata_bytes))
