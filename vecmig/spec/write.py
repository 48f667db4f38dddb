"""Specs that vecmig writes: a first one for `init`, and what `inspect` found in a live collection."""

import re
from collections.abc import Mapping
from typing import Any

import yaml
from msgspec.structs import asdict

from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.secret import Secret
from vecmig.spec.credentials import literal_credential
from vecmig.spec.scalar import value_of
from vecmig.spec.schema import schema, secret_paths
from vecmig.spec.template import is_expression, literal

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")  # needs no quotes, unless it is a word such as true
_FIRST = """\
# yaml-language-server: $schema=schema.json
# The line above completes keys in your editor, once `vecmig schema > schema.json` has written that file.
# This spec says what the target must hold. Next: vecmig validate, vecmig plan, vecmig apply.
version: 1
name: NAME # its identity: state is kept per name and environment, in .vecmig/ beside this file

vars: {table: documents} # used as "{{ vars.table }}"; --var table=… wins
environments:
  prod: {protected: true} # apply takes only a saved, reviewed plan here: -e prod

sources:
  files:
    type: snapshot
    path: data/documents # a snapshot; for Parquet files of your own say which columns hold what:
    # columns: {id: doc_id, vector: embedding, metadata: [title, tags], namespace: tenant}

targets:
  warehouse:
    type: pgvector
    dsn: embedded:.vecmig/postgres # a server of its own in this directory; for yours: "{{ env.DATABASE_URL }}"
    table: "{{ vars.table }}"

index: {type: hnsw, metric: cosine, m: 16, ef_construction: 64, ef_search: 100}

# fields: # metadata that becomes a typed column; the rest stays together
#   tenant: {type: text, filter: true}
#   created: {type: datetime, filter: true}
#   title: {type: text, search: true}

verification: # after each apply: every id, vector and metadata value, then search on sampled queries
  records: all
  search: {queries: {sample: 200}, top_k: 10}
  thresholds: {overlap: 0.95, recall: 0.95}

migrations:
  - name: documents
    source: files
    target: warehouse

execution: {workers: 4}
"""


def scaffold(name: str) -> str:
    """Return a first spec of this name, with comments."""
    return _FIRST.replace("NAME", _quoted(named(name)), 1)


def write(name: str, type: str, options: Mapping[str, object], collection: Collection, as_source: bool) -> str:
    """Return a spec of a live collection: as a target that is adopted, or as a source; without migrations.

    `options` are those of the connector, as in a spec; a credential among them becomes the name of an environment
    variable. Several vectors are listed in a comment, for what differs between them is said by a migration.
    """
    name = named(name)
    endpoint: dict[str, Any] = {"type": type} | _options(type, options)
    if not as_source:
        endpoint["adopt"] = True
    embedding: dict[str, Any] = {"model": collection.model} if collection.model else {}
    sizes = {vector.dimensions for vector in collection.vectors}
    if len(sizes) == 1 and (size := sizes.pop()):  # a sparse vector may have no number of them
        embedding |= {"dimensions": size}
    if embedding:
        endpoint["embedding"] = embedding
    document: dict[str, Any] = {"version": 1, "name": name, "sources" if as_source else "targets": {name: endpoint}}
    indexes = [_index(vector) for vector in collection.vectors]
    if indexes and all(index == indexes[0] for index in indexes):
        document["index"] = indexes[0]
    if collection.fields:
        document["fields"] = {field.name: _field(field) for field in collection.fields}
    head = ["# yaml-language-server: $schema=schema.json", f"# {_one_line(collection.name)}, as it was found."]
    if len(collection.vectors) > 1:
        head += ["# Its vectors:", *(f"#   {_one_line(_vector(vector))}" for vector in collection.vectors)]
    head += [f"# Note: {_one_line(each)}" for each in collection.findings]
    return "\n".join([*head, _dumped(document)])


def named(name: str) -> str:
    """Return the nearest text that may be a name in a spec."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:100] or "collection"


def _options(type: str, options: Mapping[str, object]) -> dict[str, Any]:
    whole = schema([type])
    secrets = {path[0] for path in secret_paths(whole["$defs"][f"{type}_source"], whole)}
    return {key: _secret(key, value) if key in secrets else _plain(value) for key, value in options.items()}


def _secret(key: str, value: object) -> str:
    text = value.expression if isinstance(value, Secret) else str(value)
    if not literal_credential(key, text):
        return text
    return "{{ env.DATABASE_URL }}" if key == "dsn" else f"{{{{ env.{key.upper()} }}}}"


def _plain(value: object) -> Any:
    match value:
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case str():
            return _text(value)
    return value


def _text(text: str) -> str:
    return literal(text) if is_expression(text) else text


def _index(vector: VectorField) -> dict[str, Any]:
    found = {key: value for key, value in asdict(vector.index).items() if value is not None} if vector.index else {}
    kind = {"type": found.pop("type")} if found else {}
    return kind | {"metric": vector.metric} | found


def _field(field: Field) -> dict[str, Any]:
    flags = {key: True for key in ("filter", "search") if getattr(field, key)}
    return {"type": field.type} | flags


def _vector(vector: VectorField) -> str:
    settings = ", ".join(f"{key}: {value}" for key, value in _index(vector).items())
    return f"{vector.name or '(no name)'}: {vector.dimensions} dimensions, {vector.kind}, {settings}"


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class _Dumper(yaml.SafeDumper):
    """Quotes what a spec would read as something other than this text."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    plain = _PLAIN.fullmatch(text) and value_of(text) == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _represent)


def _dumped(value: object) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def _quoted(text: str) -> str:
    return _dumped(text).removesuffix("...\n").strip()
