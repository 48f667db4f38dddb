"""Make the snapshot `.demo/manual`: real texts, each with the vector of the model that is to be retired: `python fill.py`."""

from contextlib import closing
from pathlib import Path

import orjson
import pyarrow as pa
from glove import DIMENSIONS, embed
from texts import texts

from vecmig.connectors.snapshot.options import SnapshotOptions
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.collection import Collection, VectorField

PLACE = Path(__file__).parent / ".demo" / "manual"


def main() -> None:
    if (PLACE / "manifest.json").exists():
        print("The snapshot is there already")
        return
    found = texts()
    metadata = [orjson.dumps({"name": name, "text": text}).decode() for name, text in found.items()]
    columns = {
        "id": pa.array(list(found), pa.string()),
        "namespace": pa.array([""] * len(found), pa.string()),
        "metadata": pa.array(metadata, pa.string()),
        "vector:": vector_column(embed(list(found.values()))),
    }
    collection = Collection(str(PLACE), (VectorField("", DIMENSIONS, "cosine"),), mark="retire-a-model")
    with closing(SnapshotOptions(str(PLACE)).open()) as snapshot:
        snapshot.create(collection)
        snapshot.upsert(collection.name, RecordBatch(pa.RecordBatch.from_pydict(columns)))
        list(snapshot.build_index(collection))
    print(f"{len(found):,} texts, each with its vector of {DIMENSIONS} dimensions, in .demo/manual")


if __name__ == "__main__":
    main()
