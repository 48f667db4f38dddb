"""A Weaviate on the loopback interface: see server.py."""

from tests.doubles.weaviate.calls import Request
from tests.doubles.weaviate.errors import Code
from tests.doubles.weaviate.faults import Fault
from tests.doubles.weaviate.partitions import Lag, Object
from tests.doubles.weaviate.server import Double, running
from tests.doubles.weaviate.store import Collection

__all__ = ["Code", "Collection", "Double", "Fault", "Lag", "Object", "Request", "running"]
