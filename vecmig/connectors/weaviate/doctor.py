"""What `doctor` finds out about Weaviate: the client, the server, the collection."""

from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version

from vecmig.connectors.weaviate.connector import connect
from vecmig.connectors.weaviate.options import WeaviateOptions
from vecmig.errors import VecmigError

Check = tuple[str, bool, str]


def diagnose(options: WeaviateOptions) -> Iterator[Check]:
    """Yield checks: what, whether it is well, detail or way out."""
    yield "client", True, f"weaviate-client {version('weaviate-client')}"
    what = "connect"
    try:
        with closing(connect(options)) as connector:
            yield what, True, f"{options.place}, version {'.'.join(map(str, connector.session.version))}"
            what = "collection"
            found = connector.describe(options.collection)
            if found is None:
                yield what, True, f"{options.collection} is not there: an apply can make it"
                return
            shapes = ", ".join(f"{each.dimensions:,} dimensions, {each.metric}" for each in found.vectors)
            rows = sum(connector.count(options.collection).values())
            yield what, True, f"{shapes}; {rows:,} records" + ("" if found.mark else "; vecmig did not make it")
    except VecmigError as error:
        yield what, False, str(error)
