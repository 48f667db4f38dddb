"""A model behind OpenAI's API."""

import logging
from collections.abc import Sequence
from threading import Lock
from urllib.parse import urlsplit

import openai

from vecmig.catalogue.models import ModelFacts, facts_of
from vecmig.embedders.identity import identity_of
from vecmig.embedders.openai import headers
from vecmig.embedders.openai.answers import check_dimensions, read_answer
from vecmig.embedders.openai.client import client_of
from vecmig.embedders.openai.errors import asks_for_less, asks_for_smaller, pause_s, translated
from vecmig.embedders.openai.keys import Key, keys_of
from vecmig.embedders.openai.lanes import Lane, lanes
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.embedders.openai.tokens import tokenizer
from vecmig.embedders.prefixes import prefixes_of
from vecmig.errors import RefusedText, UnsupportedError
from vecmig.protocols import Embedded, EmbedderLimits, TextKind

log = logging.getLogger(__name__)
MAX_REQUEST_TOKENS = 300_000  # OpenAI's reference, "Create embeddings"
OF_A_MINUTE = 6  # a request has a sixth of a minute's tokens at most: limits are measured in shorter windows, too
AT_ONCE = 4  # requests of one key: an answer takes about a second, and a full one is 17 MB


class OpenAIEmbedder:
    """Made by `open_embedder`."""

    def __init__(self, options: OpenAIOptions, model: str, dimensions: int | None) -> None:
        facts = facts_of(f"openai/{model}")
        self._options, self._model, self._key_count = options, model, max(1, len(options.api_keys))
        # made for the first request: who only counts tokens needs no key
        self._connected: tuple[tuple[Key, ...], list[openai.OpenAI]] | None = None
        self._lock = Lock()
        self._dimensions = dimensions or facts.dimensions
        self._expected = self._dimensions  # where it is not known, the first answer tells
        # a model that is known not to shorten would refuse the parameter, though it is its own number
        self._asked = dimensions if dimensions and (facts == ModelFacts() or facts.shortens) else None
        self._max_text_tokens = options.max_text_tokens or facts.max_text_tokens
        self._prefixes = prefixes_of(facts, options.passage_prefix, options.query_prefix)
        self._tokenizer = tokenizer(facts.tokenizer)
        self._lanes = lanes(
            self._key_count,
            (options.requests_per_minute, facts.requests_per_minute if _is_own(options) else None),
            (options.tokens_per_minute, facts.tokens_per_minute if _is_own(options) else None),
        )
        self._where = f"{options.label} {model}"

    @property
    def limits(self) -> EmbedderLimits:
        per_minute = self._lanes.least_tokens_per_minute
        return EmbedderLimits(
            self._options.max_items,
            MAX_REQUEST_TOKENS
            if per_minute is None
            else max(1, min(MAX_REQUEST_TOKENS, int(per_minute / OF_A_MINUTE))),
            self._max_text_tokens,
            self._lanes.requests_per_minute,
            self._lanes.tokens_per_minute,
            AT_ONCE * self._key_count,
        )

    @property
    def identity(self) -> str:
        options = self._options
        return identity_of(
            "openai",
            self._model,
            dimensions=self._dimensions,
            url=None if _is_own(options) else options.url,
            deployment=options.azure and options.azure.deployment,
            passage_prefix=self._prefixes.passage,
            query_prefix=self._prefixes.query,
            input_type=options.input_type and (options.input_type.passage, options.input_type.query),
        )

    @property
    def counts_exactly(self) -> bool:
        return self._tokenizer.exact

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        prefix = self._prefixes.longest
        return [self._tokenizer.count(prefix + text) for text in texts]

    def truncate(self, text: str, tokens: int) -> str:
        prefix = self._prefixes.longest
        return self._tokenizer.beginning(prefix + text, tokens)[len(prefix) :]

    def embed(self, texts: Sequence[str], kind: TextKind) -> Embedded:
        counted = sum(self.count_tokens(texts))
        self._connect()  # before a lane is taken: a key that is not set is no request
        lane = self._lanes.take(counted)
        body, told = self._send(lane, [self._prefixes.of(kind) + text for text in texts], kind)
        answer = None
        try:
            answer = read_answer(body, len(texts), self._where)
        finally:
            charged = counted if answer is None or answer.tokens is None else answer.tokens
            self._lanes.done(lane, charged - counted, told)
        expected = self._expected
        if expected is None:
            self._expected = expected = answer.vectors.shape[1]
        check_dimensions(answer.vectors, expected, self._asked is not None, self._where)
        return Embedded(answer.vectors, charged)

    def close(self) -> None:
        self._lanes.close()
        for client in self._connected[1] if self._connected else ():
            client.close()

    def _connect(self) -> tuple[tuple[Key, ...], list[openai.OpenAI]]:
        """Return keys and clients. Raises SpecError that names a variable which is not set."""
        with self._lock:
            if self._connected is None:
                keys = keys_of(self._options)
                self._connected = keys, [client_of(self._options, key) for key in keys]
            return self._connected

    def _send(self, lane: Lane, texts: list[str], kind: TextKind) -> tuple[bytes, tuple[float | None, float | None]]:
        """Return the answer's body, and the limits that it told."""
        words = self._options.input_type
        # there the SDK takes the texts as they are; as `input` it looks at each for its type, a seventh of all the work
        body: dict[str, object] = {"input": texts}
        if words:
            body["input_type"] = words.query if kind == "query" else words.passage
        keys, clients = self._connect()
        try:
            response = clients[lane.number - 1].embeddings.with_raw_response.create(
                input="",
                model=self._model,
                dimensions=self._asked or openai.omit,
                encoding_format="base64",
                extra_body=body,
            )
        except openai.APIError as error:
            told = headers.limits(error.response.headers) if isinstance(error, openai.APIStatusError) else (None, None)
            pause = None if asks_for_smaller(error) else pause_s(error)
            self._lanes.failed(lane, told, slow_down=asks_for_less(error), pause_s=pause)
            raise translated(error, self._where, self._model, keys[lane.number - 1].name, texts) from error
        except UnicodeEncodeError as error:
            self._lanes.failed(lane)
            raise RefusedText(f"{self._where}: a text holds half a character, which is no Unicode") from error
        return response.content, headers.limits(response.headers)


def open_embedder(options: OpenAIOptions, model: str, dimensions: int | None) -> OpenAIEmbedder:
    """Return an embedder. Raises UnsupportedError for dimensions that the model is known not to have."""
    if dimensions is not None:
        _check_possible(model, dimensions, facts_of(f"openai/{model}"))
    return OpenAIEmbedder(options, model, dimensions)


def _check_possible(model: str, dimensions: int, facts: ModelFacts) -> None:
    own = facts.dimensions
    if own is None or dimensions == own or (facts.shortens is not None and facts.shortens <= dimensions < own):
        return
    way = f"{facts.shortens:,} to {own:,}" if facts.shortens is not None else f"{own:,}, and they cannot be shortened"
    raise UnsupportedError(f"openai/{model} has no vectors of {dimensions:,} dimensions: it has {way}")


def _is_own(options: OpenAIOptions) -> bool:
    """Return whether it is OpenAI itself: what is known of its models' limits does not hold elsewhere."""
    return urlsplit(options.url).hostname == "api.openai.com"
