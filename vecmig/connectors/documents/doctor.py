"""Checks of documents for `doctor`."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

from vecmig.connectors.documents.files import required
from vecmig.connectors.documents.options import DocumentsOptions
from vecmig.errors import VecmigError


def diagnose(options: DocumentsOptions) -> Iterator[tuple[str, bool, str]]:
    """Yield (what, whether it is well, detail or way out)."""
    try:
        with closing(options.open()) as source:
            if options.path is None:
                source.describe(options.collection)
                yield "query", True, f"{options.place} answers, and has the columns"
                return
        folder, files = required(options.path, options.include)
        for file in files:
            with folder.open(file.name) as content:
                content.read(1)
        kinds = Counter(file.kind for file in files)
        yield "files", True, ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items()))
    except VecmigError as error:
        yield "query" if options.path is None else "files", False, str(error)
