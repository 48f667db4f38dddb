"""A model that a function of one's own runs."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmig.embedders.estimate import Estimate
from vecmig.embedders.identity import identity_of
from vecmig.embedders.prefixes import Prefixes
from vecmig.embedders.python.loading import Function, load, own_errors
from vecmig.embedders.python.options import PythonOptions
from vecmig.errors import ConnectorError
from vecmig.protocols import Embedded, EmbedderLimits, TextKind


class PythonEmbedder:
    """Made by `open_embedder`."""

    def __init__(self, options: PythonOptions, model: str, dimensions: int | None, function: Function) -> None:
        self._options, self._model, self._dimensions, self._function = options, model, dimensions, function
        self._prefixes = Prefixes(options.passage_prefix, options.query_prefix)
        self._tokens = Estimate()
        self._turn: AbstractContextManager[Any] = nullcontext() if options.thread_safe else Lock()

    @property
    def limits(self) -> EmbedderLimits:
        options = self._options
        at_once = os.cpu_count() or 1 if options.thread_safe else 1
        return EmbedderLimits(options.max_items, max_text_tokens=options.max_text_tokens, at_once=at_once)

    @property
    def identity(self) -> str:
        options = self._options
        return identity_of(
            "python",
            self._model,
            call=options.call,
            arguments=tuple(sorted(options.arguments.items())),
            revision=options.revision,
            dimensions=self._dimensions,
            passage_prefix=self._prefixes.passage,
            query_prefix=self._prefixes.query,
        )

    @property
    def counts_exactly(self) -> bool:
        return self._tokens.exact

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        prefix, call = self._prefixes.of(kind), self._options.call
        with self._turn, own_errors(f"`{call}` failed with {len(texts):,} texts"):
            given = self._function([prefix + text for text in texts])
        return Embedded(self._checked(given, len(texts)), sum(self.count_tokens(texts)))

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        prefix = self._prefixes.longest
        return [self._tokens.count(prefix + text) for text in texts]

    def truncate(self, text: str, tokens: int) -> str:
        prefix = self._prefixes.longest
        return self._tokens.beginning(prefix + text, tokens)[len(prefix) :]

    def close(self) -> None: ...

    def _checked(self, given: Any, texts: int) -> NDArray[np.float32]:
        """Return what the function gave as (n, d) float32, which it need not be."""
        call = self._options.call
        try:
            vectors = np.ascontiguousarray(given, np.float32)
        except (TypeError, ValueError) as error:
            raise ConnectorError(f"`{call}` gives no numbers, or vectors of unequal lengths") from error
        if vectors.ndim != 2 or len(vectors) != texts or not vectors.shape[1]:
            shape = " x ".join(map(str, vectors.shape)) or "one number"
            raise ConnectorError(f"`{call}` must give a vector for each text: it gave {shape} for {texts:,} texts")
        if self._dimensions is not None and vectors.shape[1] != self._dimensions:
            raise ConnectorError(
                f"`{call}` gives vectors of {vectors.shape[1]:,} dimensions, not of {self._dimensions:,}: set"
                f" `dimensions` to {vectors.shape[1]}, or leave it out"
            )
        return vectors


def open_embedder(options: PythonOptions, model: str, dimensions: int | None) -> PythonEmbedder:
    """Return an embedder. Raises ConnectorError."""
    return PythonEmbedder(options, model, dimensions, load(options))
