"""Pagination tokens: opaque to a client, base64 of JSON."""

import base64
import time

import orjson

from tests.doubles.pinecone.errors import Refused
from tests.doubles.pinecone.limits import Limits


def token(after: str, *bound: str) -> str:
    """A token to go on after this id, good for the same `bound` (operation, namespace, prefix) only."""
    return base64.b64encode(orjson.dumps({"skip_past": after, "bound": bound, "issued": time.time()})).decode()


def skip_past(given: str | None, limits: Limits, *bound: str) -> str | None:
    """The id to go on after, None at the start. Raises Refused for a token that is not, or no longer, good here."""
    if not given:
        return None
    try:
        content = orjson.loads(base64.b64decode(given, validate=True))
        after, issued, is_ours = str(content["skip_past"]), float(content["issued"]), content["bound"] == list(bound)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("Invalid pagination token") from error
    is_old = limits.token_life_s is not None and time.time() - issued > limits.token_life_s
    if is_old or not is_ours:
        raise Refused("Invalid pagination token")
    return after
