"""What of some records an index would hold in another form, which an application sees, or could not hold at all."""

from collections import Counter
from collections.abc import Iterator, Sequence

from vecmig.connectors.pinecone.client.api import slots_of
from vecmig.connectors.pinecone.records.ids import ESCAPED, stored
from vecmig.connectors.pinecone.records.metadata import NOTED, Encoding
from vecmig.connectors.pinecone.records.validate import problems
from vecmig.connectors.pinecone.schema.fields import LEADING, Kind, fields_of, kind_of
from vecmig.model.batch import RecordBatch, Rejected, column_of
from vecmig.model.collection import Collection
from vecmig.model.metadata import loads

SHOWN = 5  # fields


def rewrites(declared: Collection, kind: Kind | None, sample: RecordBatch) -> Iterator[str]:
    """Yield a line for each kind of change that these records show. `declared` is complete."""
    total = len(sample)
    ids = sum(stored(id) != id for id in sample.strings("id"))
    if ids:
        yield (
            f"{ids:,} of {total:,} sampled ids are not ASCII, which Pinecone wants: they are written as `{ESCAPED}…`,"
            " percent-encoded, and an application must look them up so"
        )
    encoding = _encoding(declared, kind)
    texts, nulls, names = Counter[str](), Counter[str](), Counter[str]()
    for text in sample.bytes_of("metadata"):
        try:
            metadata, written = loads(text), encoding.written(text)
        except ValueError:
            continue  # it is among those that `rejects` gives
        noted = written.get(NOTED)
        for name in noted if isinstance(noted, list) else ():
            (nulls if metadata[name] is None else texts)[name] += 1
        names.update(name for name in metadata if encoding.name_of(name) != name)
    if texts:
        yield f"{_listed(texts)} would be written as JSON text where Pinecone does not hold such values, and no filter finds them"
    if nulls:
        yield f"null in {_listed(nulls)} would be left out, and noted in the field `{NOTED}`: Pinecone holds none"
    if names:
        yield f"{_listed(names)} would have another name, for Pinecone takes no such name of a field"


def rejects(declared: Collection, kind: Kind | None, sample: RecordBatch) -> Sequence[Rejected]:
    """Return those that an index cannot hold. `declared` is complete; a vector without a column is not judged."""
    given = [vector for vector in declared.vectors if column_of(vector) in sample.names]
    reasons, encoding = problems(slots_of(given), sample), _encoding(declared, kind)
    for row, text in enumerate(sample.bytes_of("metadata")):
        try:
            encoding.written(text)
        except ValueError as error:
            reasons.setdefault(row, str(error))
    keys = sample.keys if reasons else []
    return [Rejected(keys[row], reason) for row, reason in sorted(reasons.items())]


def _encoding(declared: Collection, kind: Kind | None) -> Encoding:
    times = frozenset(each.name for each in declared.fields if each.type == "datetime")
    if kind_of(kind, declared) == "vectors":
        return Encoding(times)
    return Encoding(times, tuple(fields_of(declared, "documents")), LEADING)


def _listed(fields: Counter[str]) -> str:
    shown = ", ".join(f"`{name}`" for name, _ in fields.most_common(SHOWN))
    return shown + (f" and {len(fields) - SHOWN:,} more" if len(fields) > SHOWN else "")
