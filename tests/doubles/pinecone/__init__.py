"""A Pinecone on localhost: see server.py."""

from tests.doubles.pinecone.calls import Request
from tests.doubles.pinecone.faults import Fault
from tests.doubles.pinecone.server import Double, running
from tests.doubles.pinecone.store import Index, Record, Sparse

__all__ = ["Double", "Fault", "Index", "Record", "Request", "Sparse", "running"]
