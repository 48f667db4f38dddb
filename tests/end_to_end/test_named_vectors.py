"""Named vectors go from Weaviate into the columns of a table and back; a vector without a name goes the same way."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import pytest
from weaviate.classes.data import DataObject

from tests.connectors.weaviate.places import make, options, remove
from tests.end_to_end.conftest import Site, digest
from tests.weaviate_server import WeaviateServer, connected
from vecmig.model.record import Digest

COUNT = 40
SIZES = {"title": 4, "body": 7, "Image": 3}
DISTANCES = {"title": "cosine", "body": "dot", "Image": "l2-squared"}
METRICS = {"title": "cosine", "body": "dot", "Image": "l2"}
PROPERTIES = [{"name": "headline", "dataType": ["text"]}, {"name": "pages", "dataType": ["int"]}]
TABLE = '{type: pgvector, dsn: "{{ env.DATABASE_URL }}", table: articles}'
THERE, AGAIN = "ArticlesOfOthers", "ArticlesAgain"


@pytest.fixture
def server(weaviate_server: WeaviateServer) -> Iterator[WeaviateServer]:
    """A server where neither collection is, and remains."""
    for name in (THERE, AGAIN):
        remove(weaviate_server, name)
    yield weaviate_server
    for name in (THERE, AGAIN):
        remove(weaviate_server, name)


def spec(server: WeaviateServer, vectors: str = "") -> str:
    """Return a spec with a migration from THERE into a table, and one from the table to AGAIN."""
    place = f'type: weaviate, url: "{server.url}", grpc_url: "grpc://{server.grpc_host}:{server.grpc_port}"'
    return f"""\
version: 1
name: articles
sources: {{others: {{{place}, collection: {THERE}}}, ours: {TABLE}}}
targets: {{table: {TABLE}, back: {{{place}, collection: {AGAIN}}}}}
verification: {{search: {{queries: {{sample: 5}}, top_k: 3}}}}
migrations: [{{name: out, source: others, target: table{vectors}}}, {{name: home, source: ours, target: back}}]
"""


def vector(n: int, name: str) -> list[float]:
    made = np.random.default_rng((n, *name.encode())).standard_normal(SIZES[name]).astype(np.float32)
    return [float(each) for each in made]


def fill(server: WeaviateServer, schema: dict[str, Any], vectors: list[Any]) -> None:
    """Make THERE as others do, with a record for each of the vectors."""
    make(server, {"class": THERE, "properties": PROPERTIES, **schema})
    objects: list[DataObject[Any, Any]] = [
        DataObject(uuid=uuid5(UUID(int=7), str(n)), properties={"headline": f"Nr. {n} ü", "pages": n}, vector=each)
        for n, each in enumerate(vectors)
    ]
    with connected(server) as client:
        assert not client.collections.use(THERE).data.insert_many(objects).errors


def fill_named(server: WeaviateServer) -> None:
    """Every record has a title, two of three have the other vectors, too."""
    config = {
        name: {
            "vectorizer": {"none": {}},
            "vectorIndexType": "hnsw",
            "vectorIndexConfig": {"distance": distance, "maxConnections": 8},
        }
        for name, distance in DISTANCES.items()
    }
    every = [{name: vector(n, name) for name in SIZES if name == "title" or n % 3} for n in range(COUNT)]
    fill(server, {"vectorConfig": config}, every)


def stored(server: WeaviateServer, name: str) -> Digest:
    with closing(options(server, name).open()) as connector:
        return digest(connector, name)


def go(site: Site, spec: str) -> list[dict[str, Any]]:
    """Run both migrations, one after the other; return their reports, which must be good."""
    site.spec(spec)
    reports: list[dict[str, Any]] = [site.apply("--only", name)["reports"][0] for name in ("out", "home")]
    for report in reports:
        assert (report["verdict"], report["records"]["matching"]) == ("passed", COUNT), report
    return reports


def test_three_named_vectors_go_through_a_table_and_come_back_equal(site: Site, server: WeaviateServer) -> None:
    fill_named(server)
    for report in go(site, spec(server)):
        assert {each["vector"] for each in report["search"]} == set(SIZES)
    found = site.sql(
        "SELECT attname::text, atttypmod FROM pg_attribute WHERE attrelid = 'articles'::regclass"
        " AND atttypid = 'vector'::regtype"
    )
    assert dict(found) == {f"embedding_{name}": size for name, size in SIZES.items()}
    assert stored(server, AGAIN) == stored(server, THERE)
    with closing(options(server, AGAIN).open()) as connector:
        again = connector.describe(AGAIN)
        assert again
        assert {each.name: (each.dimensions, each.metric) for each in again.vectors} == {
            name: (SIZES[name], METRICS[name]) for name in SIZES
        }
    site.settled()


def test_those_that_the_spec_names_go_alone_and_under_other_names(site: Site, server: WeaviateServer) -> None:
    fill_named(server)
    go(site, spec(server, ", vectors: {title: {}, text: {from: body}}"))
    with closing(options(server, AGAIN).open()) as connector:
        again = connector.describe(AGAIN)
        assert again
        assert {each.name: (each.dimensions, each.metric) for each in again.vectors} == {
            "title": (4, "cosine"),
            "text": (7, "dot"),
        }
        (found,) = [batch for part in connector.partitions(AGAIN, 1) for batch, _ in connector.read(part, None)]
        by_id = dict(zip([key.id for key in found.keys], found.table.column("vector:text").to_pylist(), strict=True))
        assert by_id == {str(uuid5(UUID(int=7), str(n))): vector(n, "body") if n % 3 else None for n in range(COUNT)}


def test_a_vector_without_a_name_as_older_collections_have_it_goes_the_same_way(
    site: Site, server: WeaviateServer
) -> None:
    schema = {"vectorizer": "none", "vectorIndexType": "hnsw", "vectorIndexConfig": {"distance": "dot"}}
    fill(server, schema, [vector(n, "body") for n in range(COUNT)])
    for report in go(site, spec(server)):
        assert [each["vector"] for each in report["search"]] == [""]
    assert stored(server, AGAIN) == stored(server, THERE)
    assert site.sql("SELECT vector_dims(embedding), count(*) FROM articles GROUP BY 1") == [(7, COUNT)]
