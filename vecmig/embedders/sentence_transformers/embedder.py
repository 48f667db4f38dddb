"""A model that Sentence Transformers runs on this machine."""

import copy
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecmig.catalogue.models import ModelFacts, facts_of
from vecmig.embedders.identity import identity_of
from vecmig.embedders.prefixes import prefixes_of
from vecmig.embedders.sentence_transformers.loading import load, version_of
from vecmig.embedders.sentence_transformers.options import SentenceTransformersOptions
from vecmig.errors import ConnectorError, RefusedText, UnsupportedError
from vecmig.protocols import Embedded, EmbedderLimits, TextKind

_OWN_NAMES = {"passage": ("document", "passage", "corpus"), "query": ("query",)}  # of a model's prompts
_ALL = 1 << 30  # tokens: where counting must not be cut


class SentenceTransformersEmbedder:
    """Made by `open_embedder`."""

    def __init__(self, options: SentenceTransformersOptions, model: str, dimensions: int | None) -> None:
        facts = facts_of(f"sentence-transformers/{model}")
        self._options, self._model = options, model
        self._loaded: Any = load(options, model)
        self._version = version_of(options, model)
        self._prefixes = prefixes_of(
            facts,
            self._own_prompt("passage") if options.passage_prefix is None else options.passage_prefix,
            self._own_prompt("query") if options.query_prefix is None else options.query_prefix,
        )
        self._turn, self._counting = Lock(), Lock()
        # a tokenizer that embeds is changed while it does, and must not be used by others then
        self._tokenizer = copy.deepcopy(self._loaded.tokenizer)
        self._tokenizer.model_max_length = _ALL
        own = self._encode(["dimensions"], "passage").shape[1]
        self._dimensions = _checked(model, dimensions, own, facts)
        self._shortens = self._dimensions < own

    @property
    def limits(self) -> EmbedderLimits:
        return EmbedderLimits(self._options.max_items, max_text_tokens=self._loaded.max_seq_length)

    @property
    def identity(self) -> str:
        return identity_of(
            "sentence-transformers",
            self._model,
            version=self._version,
            dimensions=self._dimensions,
            max_text_tokens=self._loaded.max_seq_length,
            passage_prefix=self._prefixes.passage,
            query_prefix=self._prefixes.query,
        )

    @property
    def counts_exactly(self) -> bool:
        return True

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        try:
            "".join(texts).encode()
        except UnicodeEncodeError as error:  # the tokenizer would raise TypeError, as for a fault of ours
            raise RefusedText(f"{self._model}: a text holds half a character, which is no Unicode") from error
        vectors = self._encode(list(texts), kind)
        if self._shortens:
            vectors = vectors[:, : self._dimensions]
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return Embedded(np.ascontiguousarray(vectors, np.float32), sum(self.count_tokens(texts)))

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        prefix = self._prefixes.longest
        with self._counting:
            found = self._tokenizer([prefix + text for text in texts], truncation=False)["input_ids"] if texts else []
        return [len(ids) for ids in found]

    def truncate(self, text: str, tokens: int) -> str:
        """Return the beginning; by halves, for not every tokenizer tells where its tokens stand."""
        fits, longest = 0, len(text)
        while fits < longest:
            middle = (fits + longest + 1) // 2
            if self.count_tokens([text[:middle]])[0] <= tokens:
                fits = middle
            else:
                longest = middle - 1
        return text[:fits]

    def close(self) -> None:
        self._loaded = self._loaded.to("cpu")  # the GPU's memory is for the next one

    def _encode(self, texts: list[str], kind: TextKind) -> NDArray[np.float32]:
        encode = self._loaded.encode_query if kind == "query" else self._loaded.encode_document
        try:
            with self._turn:
                found = encode(
                    texts,
                    prompt=self._prefixes.of(kind),
                    batch_size=self._options.batch_items,
                    show_progress_bar=False,
                )
        except RuntimeError as error:  # PyTorch's: no memory, a device that is gone
            raise ConnectorError(
                f"{self._model} failed with {len(texts):,} texts ({type(error).__name__}); a smaller `batch_items`, or"
                " another `device`, may do"
            ) from error
        return np.asarray(found, np.float32)

    def _own_prompt(self, kind: TextKind) -> str | None:
        """Return what the model itself says of a kind of text; None where it says nothing."""
        prompts = self._loaded.prompts
        names = (*_OWN_NAMES[kind], self._loaded.default_prompt_name)
        return next((prompts[name] for name in names if prompts.get(name)), None)


def open_embedder(
    options: SentenceTransformersOptions, model: str, dimensions: int | None
) -> SentenceTransformersEmbedder:
    """Load the model. Raises ConnectorError, UnsupportedError for dimensions that it does not have."""
    return SentenceTransformersEmbedder(options, model, dimensions)


def _checked(model: str, dimensions: int | None, own: int, facts: ModelFacts) -> int:
    """Return how long the vectors are to be. Raises UnsupportedError."""
    if dimensions is None or dimensions == own:
        return own
    if facts.shortens is None or not facts.shortens <= dimensions < own:
        way = (
            f"{facts.shortens:,} to {own:,}" if facts.shortens is not None else f"{own:,}, and is not known to shorten"
        )
        raise UnsupportedError(f"{model} has no vectors of {dimensions:,} dimensions: it has {way}")
    return dimensions
