"""What `doctor` finds out about Pinecone: the SDK, the key, the index."""

from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version

from vecmig.connectors.pinecone.connector import connect
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.errors import VecmigError
from vecmig.model.collection import VectorField

Check = tuple[str, bool, str]


def diagnose(options: PineconeOptions) -> Iterator[Check]:
    """Yield checks: what, whether it is well, detail or way out."""
    yield "client", True, f"pinecone {version('pinecone')}, {options.transport}"
    try:
        with closing(connect(options)) as connector:
            found = connector.describe(options.index)
            yield "connect", True, options.place
            if found is None:
                yield "index", True, f"{options.index} is not there: an apply can make it"
                return
            shapes = " and ".join(map(_shape, found.vectors)) or "no vectors"
            rows = sum(connector.count(options.index).values())
            yield "index", True, f"{shapes}; {rows:,} records" + ("" if found.mark else "; vecmig did not make it")
    except VecmigError as error:
        yield "connect", False, str(error)


def _shape(vector: VectorField) -> str:
    return "sparse" if vector.kind == "sparse" else f"{vector.dimensions:,} dimensions, {vector.metric}"
