"""A batch of the source made what the target is to hold. Pure: the same batch gives the same result, in every run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecmig.conversion.cast import cast
from vecmig.conversion.text import rendered
from vecmig.model.batch import Key, RecordBatch, Rejected, text_column, vector_column
from vecmig.model.digest import canonical_metadata
from vecmig.model.filter import matches
from vecmig.model.metadata import dumps, loads
from vecmig.model.plan import Conversion, EmbedRule, FieldRule, VectorRule
from vecmig.model.state import Cursor


@dataclass(frozen=True, slots=True)
class Converted:
    """`batch` and `rejected` together are the records of the source that the migration takes: `selected`."""

    read: int  # records that the source gave
    batch: RecordBatch
    rejected: tuple[Rejected, ...]
    bad: RecordBatch  # the rejected records as the source gave them, in the same order, for the quarantine
    origin: RecordBatch | None = (
        None  # the records of `batch` as the source gave them, where texts are yet to be embedded
    )

    @property
    def selected(self) -> int:
        return len(self.batch) + len(self.rejected)


def convert(batch: RecordBatch, conversion: Conversion, remaining: int | None = None) -> Converted:
    """Select, check and convert the records of one batch.

    `remaining`: how many more the migration's limit lets through; None is no limit. Every record that cannot be
    moved is among the rejected, with a reason that holds no value of the record.
    """
    read = len(batch)
    canonical = _canonical(batch) if _keeps_metadata(conversion) and remaining is None else None
    metadata, reasons = _parsed(batch) if canonical is None else ([], _given(batch))
    if conversion.where is not None:
        selected = [n for n, each in enumerate(metadata) if each is None or matches(conversion.where, each)]
    else:
        selected = list(range(len(batch)))
    if remaining is not None:
        selected = selected[:remaining]
    if len(selected) < len(batch):
        metadata, reasons = [metadata[n] for n in selected], [reasons[n] for n in selected]
        batch = batch.take(selected)
    source = batch
    texts, reasons = _texts(metadata, reasons, conversion.embed)
    batch, reasons = _fields(batch, metadata, reasons, conversion, texts)
    batch, reasons = _vectors(batch, reasons, conversion)
    for rule, column in zip(conversion.embed, texts, strict=True):
        batch = RecordBatch(batch.table.append_column(text_column(rule.name), pa.array(column, pa.string())))
    reasons = _repeated(batch, reasons)
    good = [n for n, reason in enumerate(reasons) if reason is None]
    if len(good) == len(batch):
        whole = RecordBatch(_without_problem(batch).table, canonical)
        return Converted(read, whole, (), source.slice(0, 0), source if conversion.embed else None)
    keys = batch.keys
    bad = [n for n, reason in enumerate(reasons) if reason is not None]
    rejected = tuple(Rejected(keys[n], str(reasons[n])) for n in bad)
    origin = source.take(good) if conversion.embed else None
    return Converted(read, _without_problem(batch.take(good)), rejected, source.take(bad), origin)


Reasons = list[str | None]  # a row each: why it cannot be moved


def _keeps_metadata(conversion: Conversion) -> bool:
    return not (conversion.where or conversion.namespace_from is not None or conversion.fields or conversion.embed)


def _canonical(batch: RecordBatch) -> pa.BinaryArray | None:
    """Return all metadata in canonical form, which checks it, too; None if one of them cannot be read."""
    try:
        return canonical_metadata(batch)
    except ValueError:
        return None


def _given(batch: RecordBatch) -> Reasons:
    """Return what the source itself found, and empty ids."""
    reasons: Reasons = batch.strings("problem") if "problem" in batch.names else [None] * len(batch)  # type: ignore[assignment]  # it may hold nulls
    for n in pc.indices_nonzero(pc.equal(pc.binary_length(batch.table.column("id")), 0)).to_pylist():
        reasons[n] = reasons[n] or "the id is empty"
    return reasons


def _parsed(batch: RecordBatch) -> tuple[list[dict[str, object] | None], Reasons]:
    metadata: list[dict[str, object] | None] = []
    reasons: Reasons = []
    for text, reason in zip(batch.bytes_of("metadata"), _given(batch), strict=True):
        value = None
        try:
            value = loads(text)
        except ValueError as error:
            reason = reason or f"the metadata cannot be read: {error}"
        metadata.append(value)
        reasons.append(reason)
    return metadata, reasons


def _texts(
    metadata: list[dict[str, object] | None], reasons: Reasons, rules: tuple[EmbedRule, ...]
) -> tuple[list[list[str | None]], Reasons]:
    """Return what is to be embedded, a list for each rule."""
    columns: list[list[str | None]] = []
    for rule in rules:
        column: list[str | None] = []
        for n, value in enumerate(metadata):
            text = None
            try:
                text = rendered(rule.text, value) if value is not None else None
                reasons[n] = reasons[n] or (
                    None if text else "it has no text to embed: what `embedding.text` reads is empty"
                )
            except ValueError as error:
                reasons[n] = reasons[n] or f"`embedding.text` {error}"
            column.append(text)
        columns.append(column)
    return columns, reasons


def _fields(
    batch: RecordBatch,
    metadata: list[dict[str, object] | None],
    reasons: Reasons,
    conversion: Conversion,
    texts: list[list[str | None]],
) -> tuple[RecordBatch, Reasons]:
    if conversion.namespace_from is not None:
        namespaces: list[str] = []
        for n, (old, value) in enumerate(zip(batch.strings("namespace"), metadata, strict=True)):
            new = value.get(conversion.namespace_from) if value is not None else None
            if not isinstance(new, str):
                reasons[n] = reasons[n] or f"field {conversion.namespace_from!r}, the namespace, is missing or no text"
            namespaces.append(new if isinstance(new, str) else old)
        batch = batch.replace("namespace", pa.array(namespaces, pa.string()))
    kept = [(rule.keep_text, column) for rule, column in zip(conversion.embed, texts, strict=True) if rule.keep_text]
    if conversion.fields or kept:
        written: list[bytes] = []
        for n, (old_text, value) in enumerate(zip(batch.bytes_of("metadata"), metadata, strict=True)):
            if value is None:
                written.append(old_text)
                continue
            try:
                own = {name: column[n] for name, column in kept if name}
                written.append(dumps(_with_texts(_ruled(value, conversion.fields), own)))
            except ValueError as error:
                reasons[n] = reasons[n] or str(error)
                written.append(old_text)
        batch = batch.replace("metadata", pa.array(written, pa.binary()).cast(pa.string()))
    return batch, reasons


def _with_texts(metadata: dict[str, object], texts: dict[str, str | None]) -> dict[str, object]:
    for name, text in texts.items():
        if metadata.get(name, text) != text:
            raise ValueError(f"field {name!r} is to keep the text that is embedded, and holds something else")
    return metadata | texts


def _ruled(metadata: dict[str, object], rules: tuple[FieldRule, ...]) -> dict[str, object]:
    if not rules:
        return metadata
    sources = {rule.source for rule in rules}
    result = {name: value for name, value in metadata.items() if name not in sources}
    for rule in rules:
        if rule.drop or rule.source not in metadata:
            continue
        if rule.name in result:
            raise ValueError(f"field {rule.source!r} becomes {rule.name!r}, which the record has already")
        try:
            value = metadata[rule.source]
            result[rule.name] = cast(value, rule.type) if rule.type else value
        except ValueError as error:
            raise ValueError(f"field {rule.source!r} {error}") from None
    return result


def _vectors(batch: RecordBatch, reasons: Reasons, conversion: Conversion) -> tuple[RecordBatch, Reasons]:
    table = batch.table
    columns = {name: table.column(name) for name in ("id", "namespace", "metadata")}
    chosen = {name.partition(":")[2]: name for name in batch.names if name.startswith(("vector:", "sparse:"))}
    rules = conversion.vectors or ([] if conversion.embed else [VectorRule(name, name) for name in chosen])
    for rule in rules:
        if rule.source not in chosen:
            continue  # a read that left the vectors out
        kind = chosen[rule.source].partition(":")[0]
        column, wrong = (
            _dense(table.column(chosen[rule.source]), rule)
            if kind == "vector"
            else _sparse(table.column(chosen[rule.source]))
        )
        columns[f"{kind}:{rule.name}"] = column
        for row, reason in wrong:
            label = f"vector {rule.source!r}" if rule.source else "the vector"
            reasons[row] = reasons[row] or f"{label} {reason}"
    return RecordBatch(pa.RecordBatch.from_pydict(columns)), reasons


def _dense(column: pa.FixedSizeListArray, rule: VectorRule) -> tuple[pa.Array, list[tuple[int, str]]]:
    valid: NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(valid)
    matrix = column.flatten().to_numpy(zero_copy_only=True).reshape(len(rows), column.type.list_size)
    # one pass and no (n, d) temporary of booleans: a sum over NaN or infinity is never finite, and where finite
    # components overflow in the sum, the row is looked at again
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(matrix.sum(axis=1)))
    infinite = [n for n in suspects.tolist() if not np.isfinite(matrix[n]).all()]
    wrong = [(int(rows[n]), "holds NaN or infinity") for n in infinite]
    if rule.dimensions is not None:
        matrix, short = shortened(matrix, rule.dimensions)
        wrong += [(int(rows[n]), f"is zero in its first {rule.dimensions:,} dimensions") for n in short]
        full = np.zeros((len(column), rule.dimensions), np.float32)
        full[rows] = matrix
        column = vector_column(full, valid)
    if rule.kind == "float16":
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = matrix.astype(np.float16).astype(np.float32)
        over = np.flatnonzero(np.isinf(rounded).any(axis=1))
        wrong += [(int(rows[n]), "has a component over 65,504, too large for float16") for n in over.tolist()]
        full = np.zeros((len(column), matrix.shape[1]), np.float32)
        full[rows] = rounded
        return vector_column(full, valid), wrong
    return column, wrong


def shortened(vectors: NDArray[np.float32], dimensions: int) -> tuple[NDArray[np.float32], list[int]]:
    """Return (n, dimensions) the beginnings of (n, d) vectors, of length 1, and the rows for which there is none.

    What models trained for it (Matryoshka representation learning, arXiv:2205.13147) return for fewer dimensions.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        begin = vectors[:, :dimensions].astype(np.float64)  # float32 would lose the last digits in the sum of squares
        norms = np.sqrt((begin * begin).sum(axis=1, keepdims=True))
        result = (begin / norms).astype(np.float32)
    return result, np.flatnonzero(norms[:, 0] == 0).tolist()


def _sparse(column: pa.StructArray) -> tuple[pa.Array, list[tuple[int, str]]]:
    """Return the vectors with indices ascending and without zeros: one value, one form."""
    values: list[dict[str, list[float]] | None] = []
    wrong: list[tuple[int, str]] = []
    for row, each in enumerate(column.to_pylist()):
        if each is None:
            values.append(None)
            continue
        pairs = sorted(
            (index, value) for index, value in zip(each["indices"], each["values"], strict=True) if value != 0
        )
        if not all(np.isfinite(value) for _, value in pairs):
            wrong.append((row, "holds NaN or infinity"))
        if len({index for index, _ in pairs}) < len(pairs):
            wrong.append((row, "has an index twice"))
        values.append({"indices": [index for index, _ in pairs], "values": [value for _, value in pairs]})
    return pa.array(values, column.type), wrong


def _repeated(batch: RecordBatch, reasons: Reasons) -> Reasons:
    """Mark every record whose key stands more than once in the batch: nothing says which of them is meant."""
    if len(pc.unique(batch.table.column("id"))) == len(batch):
        return reasons
    keys: list[Key] = batch.keys
    counts = Counter(keys)
    return [
        reason or (f"the id occurs {counts[key]} times in the source" if counts[key] > 1 else None)
        for key, reason in zip(keys, reasons, strict=True)
    ]


def _without_problem(batch: RecordBatch) -> RecordBatch:
    return RecordBatch(batch.table.drop_columns(["problem"])) if "problem" in batch.names else batch


def each_converted(
    batches: Iterator[tuple[RecordBatch, Cursor]], conversion: Conversion, taken: int = 0
) -> Iterator[tuple[Converted, Cursor]]:
    """Convert batch after batch of one partition, up to the conversion's limit, of which `taken` are used up."""
    for batch, cursor in batches:
        remaining = None if conversion.limit is None else conversion.limit - taken
        if remaining is not None and remaining <= 0:
            return
        converted = convert(batch, conversion, remaining)
        taken += converted.selected
        yield converted, cursor
