"""Documents in a directory of the test, and what is read of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vecmig.connectors.documents.connector import DocumentsConnector
from vecmig.connectors.documents.options import DocumentsOptions
from vecmig.model.batch import RecordBatch, concat
from vecmig.model.metadata import loads

Record = dict[str, Any]  # id, namespace, problem, and the metadata


def written(directory: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


def source(path: Path | str, **options: Any) -> DocumentsConnector:
    return DocumentsOptions(str(path), **options).open()


def read(connector: DocumentsConnector, at_most: int = 1) -> list[Record]:
    """Return all records as they are read."""
    parts = connector.partitions(connector.options.collection, at_most)
    return unpacked([batch for part in parts for batch, _ in connector.read(part, None)])


def unpacked(batches: Sequence[RecordBatch]) -> list[Record]:
    if not batches:
        return []
    batch = concat(batches)
    problems = batch.strings("problem") if "problem" in batch.names else [None] * len(batch)
    metadata = map(loads, batch.strings("metadata"))
    keys = zip(batch.keys, problems, metadata, strict=True)
    return [{"id": key.id, "namespace": key.namespace, "problem": problem, **each} for key, problem, each in keys]


def problems(path: Path | str, **options: Any) -> dict[str, str]:
    """Return what cannot be given, and why."""
    return {each["id"]: each["problem"] for each in read(source(path, **options)) if each["problem"]}
