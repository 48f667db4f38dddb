"""Rows of files made documents."""

from collections.abc import Mapping, Sequence

from vecmig.connectors.documents.document import Document
from vecmig.connectors.documents.options import Columns
from vecmig.errors import ConnectorError

_SHOWN = 20  # columns
LEAVE_OUT = "; or leave the file out: `include: ['**/*.md']` names the files of the directory that are read"


def document(row: Mapping[str, object], columns: Columns, file: str, place: str, problem: str | None) -> Document:
    """Return a row as a document; `place` in the file names one that has no id. `problem`: what was found before."""
    id = _text(row.get(columns.id))
    namespace = _text(row.get(columns.namespace)) if columns.namespace else ""
    text = row.get(columns.text)
    if not id:
        return bad(file, place, problem or _wrong(row, columns.id, "text or integer"))
    if namespace is None:
        if columns.namespace and row.get(columns.namespace) is not None:
            problem = problem or _wrong(row, columns.namespace, "text or integer")
        namespace = ""
    if not isinstance(text, str):
        text, problem = "", problem or _wrong(row, columns.text, "text")
    used = (columns.id, columns.text, columns.namespace)
    kept = [name for name in row if name not in used] if columns.metadata is None else columns.metadata
    fields = {name: row[name] for name in kept if name in row}
    return Document(id, namespace, text, about={"source": file}, fields=fields, problem=problem)


def bad(file: str, place: str, problem: str) -> Document:
    """Return what stands for a row that cannot be told by an id."""
    return Document(f"{file}:{place}", about={"source": file}, problem=problem)


def check_columns(there: Sequence[str], columns: Columns, name: str, way_out: str = "") -> None:
    """Raise ConnectorError where a column is missing. `way_out`: another than to name the columns."""
    for column in (columns.id, columns.text, columns.namespace, *(columns.metadata or ())):
        if column is not None and column not in there:
            more = ", …" if len(there) > _SHOWN else ""
            raise ConnectorError(
                f"{name} has no column {column!r}; it has {', '.join(map(repr, there[:_SHOWN]))}{more}. Say which column"
                f" holds what: `columns: {{id: …, text: …}}`{way_out}"
            )


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _wrong(row: Mapping[str, object], name: str, wanted: str) -> str:
    value = row.get(name)
    if value is None or value == "":
        return f"it has no `{name}`"
    return f"its `{name}` is {type(value).__name__}, and must be {wanted}"
