"""A provider with OpenAI's embeddings API on localhost; see server.py."""

from tests.doubles.openai.faults import Fault
from tests.doubles.openai.ledger import Ledger
from tests.doubles.openai.server import Double, running

__all__ = ["Double", "Fault", "Ledger", "running"]
