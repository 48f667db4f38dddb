"""Batches with texts -> batches with vectors, in order; texts of several batches fill one request."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecmig.conversion.convert import Converted
from vecmig.embedding.buyer import Buyer
from vecmig.embedding.cache import Cache, key_of
from vecmig.embedding.coming import Coming, Vector, vector_of
from vecmig.embedding.texts import Pieces, mean_of, pieces_of
from vecmig.errors import RefusedText, VecmigError
from vecmig.model.batch import RecordBatch, concat, text_column, vector_column
from vecmig.model.plan import EmbedRule
from vecmig.model.record import Key, Rejected
from vecmig.model.state import Cursor
from vecmig.protocols import Embedder

Pages = Iterable[tuple[Converted, Cursor]]
Step = Callable[[Pages], Iterator[tuple[Converted, Cursor]]]  # texts of converted batches become vectors
WINDOW_BYTES = 64 << 20  # of records and vectors that are asked for ahead: they wait in memory
GONE = "its embedding is not in the cache"


class NotCached(VecmigError):
    """A text's embedding is not in the cache, and nothing is to be bought."""


@dataclass(frozen=True, slots=True)
class Model:
    """One that is open, and who buys from it; `buyer` None: only the cache is asked."""

    embedder: Embedder
    cache: Cache
    buyer: Buyer | None

    def ask(self, texts: Sequence[str]) -> list[Vector | Coming | None]:
        """Return a vector, or one that is to come, for each text; None where it is not there, and nothing is bought."""
        identity = self.embedder.identity
        keys = [key_of(identity, "passage", text) for text in texts]
        if self.buyer is not None:
            answers: Mapping[bytes, Vector | Coming] = self.buyer.ask(dict(zip(keys, texts, strict=True)))
        else:
            answers = self.cache.find(keys)
        return [answers.get(key) for key in keys]


@dataclass(frozen=True, slots=True)
class _Column:
    """The vectors of one rule, for one batch."""

    rule: EmbedRule
    pieces: Sequence[Pieces | None]  # a record each
    asked: Sequence[Vector | Coming | None]  # a piece each


@dataclass(frozen=True, slots=True)
class _Page:
    converted: Converted
    cursor: Cursor
    columns: tuple[_Column, ...]

    @property
    def ready(self) -> bool:
        return all(not isinstance(each, Coming) or each.done() for column in self.columns for each in column.asked)

    @property
    def nbytes(self) -> int:
        """Of the records, as read and with their texts, and of the vectors that are to come."""
        batch, origin = self.converted.batch, self.converted.origin
        vectors = sum(len(column.asked) * column.rule.dimensions * 4 for column in self.columns)
        return batch.nbytes + (origin.nbytes if origin else 0) + vectors


def embedded(
    pages: Pages, rules: Sequence[EmbedRule], models: Mapping[str, Model], aside: Set[Key] = frozenset()
) -> Generator[tuple[Converted, Cursor], None, None]:
    """Yield each batch once all its vectors are there, in the order of `pages`.

    `models` by the name of the rule. A text that cannot be embedded makes its record one of the rejected. Raises what a
    provider raised; where nothing is bought, NotCached for a record that was not put `aside` before.
    """
    window: deque[_Page] = deque()
    room = min((models[rule.name].buyer.room for rule in rules if models[rule.name].buyer), default=0)  # type: ignore[union-attr]
    for converted, cursor in pages:
        window.append(
            _Page(converted, cursor, tuple(_asked(converted.batch, rule, models[rule.name]) for rule in rules))
        )
        while window and window[0].ready:
            yield _finished(window.popleft(), aside)
        while len(window) > 1 and (
            sum(len(page.converted.batch) for page in window) > room
            or sum(page.nbytes for page in window) > WINDOW_BYTES
        ):
            yield _finished(window.popleft(), aside, models.values(), more=True)
    while window:
        yield _finished(window.popleft(), aside, models.values())


def _asked(batch: RecordBatch, rule: EmbedRule, model: Model) -> _Column:
    texts = batch.strings(text_column(rule.name))
    pieces = pieces_of(texts, model.embedder, rule.too_long)
    return _Column(rule, pieces, model.ask([text for each in pieces if each for text in each.texts]))


def _finished(
    page: _Page, aside: Set[Key], models: Iterable[Model] = (), more: bool = False
) -> tuple[Converted, Cursor]:
    """Return the batch with its vectors; wait for them.

    What waits at `models` for a full request is sent first; where there are `more` texts to come, only if this batch
    needs it.
    """
    if not page.ready:
        wanted = [each for column in page.columns for each in column.asked] if more else None
        for model in models:
            if model.buyer is not None:
                model.buyer.flush(wanted)
    batch = page.converted.batch
    reasons: dict[int, str] = {}
    columns = {name: batch.table.column(name) for name in batch.names if not name.startswith("text:")}
    for column in page.columns:
        matrix, wrong = _matrix(column)
        reasons = wrong | reasons
        columns[f"vector:{column.rule.name}"] = vector_column(matrix)
    done = RecordBatch(pa.RecordBatch.from_pydict(columns))
    if not reasons:
        return replace(page.converted, batch=done), page.cursor
    keys, rows = batch.keys, sorted(reasons)
    if gone := [row for row in rows if reasons[row] == GONE and keys[row] not in aside]:
        raise NotCached(f"{len(gone):,} embeddings are not in the cache")
    rejected = tuple(Rejected(keys[row], reasons[row]) for row in rows)
    origin = page.converted.origin
    assert origin is not None, "where texts are embedded, conversion keeps the source's records"
    bad = concat([page.converted.bad, origin.take(rows)]) if len(page.converted.bad) else origin.take(rows)
    good = [row for row in range(len(batch)) if row not in reasons]
    converted = page.converted
    return replace(converted, batch=done.take(good), rejected=(*converted.rejected, *rejected), bad=bad), page.cursor


def _matrix(column: _Column) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Return (n, d) vectors, and why some rows have none."""
    rule = column.rule
    matrix = np.zeros((len(column.pieces), rule.dimensions), np.float32)
    wrong: dict[int, str] = {}
    asked = iter(column.asked)
    for row, pieces in enumerate(column.pieces):
        if pieces is None:
            wrong[row] = f"its text is over the limit of {rule.model} (`too_long: quarantine`)"
            continue
        vectors, refused = [], ""
        for _ in pieces.texts:
            try:
                if (each := next(asked)) is None:
                    refused = GONE
                else:
                    vectors.append(vector_of(each))
            except RefusedText as error:
                refused = str(error).rstrip(".")
        if refused:
            wrong[row] = refused if refused == GONE else f"{rule.model} refuses its text: {refused}"
            continue
        vector = mean_of(vectors, pieces.weights)
        if len(vector) != rule.dimensions:
            wrong[row] = f"{rule.model} gave a vector that is no {rule.dimensions:,} finite numbers"
            continue
        matrix[row] = vector
    for row in np.flatnonzero(~np.isfinite(matrix).all(axis=1)).tolist():
        wrong[row] = f"{rule.model} gave a vector that is no {rule.dimensions:,} finite numbers"
    if rule.kind == "float16":
        with np.errstate(over="ignore"):
            matrix = matrix.astype(np.float16).astype(np.float32)
    return matrix, wrong
