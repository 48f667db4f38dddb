"""CSV with a header: a document a row. Its place is the row's number, from 0."""

import csv
import io
from collections.abc import Iterator, Sequence
from io import BufferedReader

from vecmig.connectors.documents.document import Document
from vecmig.connectors.documents.options import Columns
from vecmig.connectors.documents.rows import LEAVE_OUT, bad, check_columns, document
from vecmig.errors import ConnectorError


def documents(
    file: BufferedReader, name: str, columns: Columns, low: int, max_bytes: int
) -> Iterator[tuple[int, Document]]:
    """Yield the rows from `low` on. Raises ConnectorError where the header lacks a column."""
    csv.field_size_limit(max(max_bytes, csv.field_size_limit()))  # the module keeps one for the whole process
    # what is not UTF-8 comes as surrogates, so that one bad row is one bad row
    with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text:
        rows = csv.reader(text, delimiter="\t" if name.lower().endswith(".tsv") else ",", strict=True)
        header: list[str] | None = None
        number = -1
        while True:
            problem = None
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                row, problem = [], f"line {rows.line_num:,} is no CSV: {error}"
            if header is None and row:
                header = row
                _check(header, columns, name)
            elif row or problem:
                number += 1
                if number >= low:
                    problem = problem or _problem(row, header or (), max_bytes)
                    where = f"row {number + 1}"
                    if problem:
                        yield number, bad(name, where, problem)
                    else:
                        yield number, document(dict(zip(header or (), row, strict=True)), columns, name, where, None)


def _problem(row: Sequence[str], header: Sequence[str], max_bytes: int) -> str | None:
    if len(row) != len(header):
        return f"it has {len(row)} fields, and the header {len(header)}"
    try:
        size = sum(len(value.encode()) for value in row)
    except UnicodeEncodeError:
        return "it is not UTF-8"
    return f"it is longer than {max_bytes >> 20} MiB" if size > max_bytes else None


def _check(header: Sequence[str], columns: Columns, name: str) -> None:
    check_columns(header, columns, name, LEAVE_OUT)
    twice = next((column for n, column in enumerate(header) if column in header[:n]), None)
    if twice is not None:
        raise ConnectorError(f"{name}: two columns are called {twice!r}: rename one")
