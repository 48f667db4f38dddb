"""Search the new collection by vector, by words, and by both: `python search.py`, after `vecmig apply`.

Vectors know what is meant, and not what it is called: a name that no model has learned is nowhere near anything. BM25
finds the name, and nothing that is said in other words. A hybrid search ranks by both.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from embedding import Glove
from weaviate.classes.query import Filter

from vecmig.connectors.weaviate.client.session import connected
from vecmig.spec.load import load

QUESTIONS = (
    "switch the connection to TLS with STARTTLS",
    "is this address in a private network",
    "wait until a thread ends, with a timeout",
)
ALPHA = 0.5  # the share of the vector's score
SEARCHED = ["title", "text"]  # the fields with `search: true`
KINDS = ("vector", "words", "hybrid")
PHRASES, PHRASE_WORDS = 60, 5


def main() -> None:
    (migration,) = load(str(Path(__file__).parent / "vecmig.yaml")).migrations
    options: Any = migration.target.options
    glove = Glove()
    with closing(connected(options).client) as client:
        manual = client.collections.use(options.collection)
        for question in QUESTIONS:
            print(f"\n{question!r}")
            for kind in KINDS:
                print(f"  {kind:<7} {', '.join(ids(search(manual, glove, kind, question, limit=4)))}")
        inside = Filter.by_property("module").equal("asyncio.subprocess")
        print(f"\n{QUESTIONS[-1]!r}, where module = asyncio.subprocess")
        print(f"  hybrid  {', '.join(ids(search(manual, glove, 'hybrid', QUESTIONS[-1], limit=4, filters=inside)))}")
        count_phrases(manual, glove)


def search(manual: Any, glove: Glove, kind: str, question: str, **options: Any) -> Iterable[Any]:
    """Return what is found, best first: by the kind of search that is asked for."""
    vector = glove.embed(question)
    if kind == "words" or vector is None:
        return manual.query.bm25(question, query_properties=SEARCHED, **options).objects
    if kind == "vector":
        return manual.query.near_vector(vector.tolist(), **options).objects
    return manual.query.hybrid(
        question, vector=vector.tolist(), alpha=ALPHA, query_properties=SEARCHED, **options
    ).objects


def ids(found: Iterable[Any]) -> list[str]:
    """Return their ids in PostgreSQL: Weaviate's are UUIDs, so vecmig keeps any other beside them."""
    return [each.properties["vecmig_id"] for each in found]


def count_phrases(manual: Any, glove: Glove) -> None:
    """Print how often the text is found again that a phrase stands in."""
    texts = {each.properties["vecmig_id"]: each.properties["text"].split() for each in manual.iterator()}
    chosen = sorted(texts)[:: len(texts) // PHRASES][:PHRASES]
    again = dict.fromkeys(KINDS, 0)
    for id in chosen:
        words = texts[id]
        start = (len(words) - PHRASE_WORDS) // 2
        phrase = " ".join(words[start : start + PHRASE_WORDS])
        for kind in KINDS:
            again[kind] += id in ids(search(manual, glove, kind, phrase, limit=10))
    print(f"\n{PHRASES} phrases of {PHRASE_WORDS} words, each out of one text: it is among the first 10")
    for kind in KINDS:
        print(f"  {kind:<7} {again[kind]:>3} times")


if __name__ == "__main__":
    main()
