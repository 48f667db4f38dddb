"""Valid values -> the project: references, defaults and overrides resolved. What is invalid is left out, so that the

rest can still be checked.
"""

import re
from collections.abc import Mapping as Map
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from msgspec.structs import asdict

from vecmig.errors import PluginError
from vecmig.migration import DeclaredTarget, Embedding, Endpoint, Migration, Provider, VectorChoice
from vecmig.model.collection import Field, Index
from vecmig.model.filter import Filter, parse
from vecmig.model.plan import FieldRule
from vecmig.model.query import Golden
from vecmig.model.settings import Verification
from vecmig.plugins import embedder_options, embedder_types
from vecmig.protocols import ConnectorOptions, EmbedderOptions
from vecmig.spec.document import (
    EmbeddingSettings,
    EmbeddingTarget,
    FieldSettings,
    IndexSettings,
    MigrationSettings,
    ProviderSettings,
    SourceSettings,
    TargetSettings,
)
from vecmig.spec.render import Path, Rendered
from vecmig.spec.suggest import nearest

T = TypeVar("T")
Endpoints = dict[str, Endpoint | None]  # None: it is there, but not valid


@dataclass(frozen=True, slots=True)
class Resolved:
    """A migration and what its checks need: the settings as they were declared, and their place."""

    path: Path
    migration: Migration
    settings: MigrationSettings
    index: IndexSettings
    fields: dict[str, FieldSettings]
    fields_path: Path


@dataclass(frozen=True, slots=True)
class Resolver:
    """Reads typed pieces of the document; `wrong` are the paths that validation complained of."""

    document: Rendered
    wrong: frozenset[Path]
    connectors: Map[str, type[ConnectorOptions]]
    directory: str
    embedders: Map[str, type[EmbedderOptions]] = field(default_factory=dict)
    providers: dict[str, Provider] = field(default_factory=dict)
    golden: dict[str, Golden | None] = field(default_factory=dict)  # files of queries; None: it cannot be used

    def piece(self, path: Path, type_: type[T], default: T) -> T:
        """Return the typed value at a path; the default where it is absent or not valid."""
        found = self.convert(path, self.raw(path), type_)
        return default if found is None else found

    def raw(self, path: Path) -> Any:
        """Return the value at a path without what is wrong in it; None where there is none. Secrets are as their type."""
        value = self.document.value
        for step in path:
            if isinstance(step, int):
                value = value[step] if isinstance(value, list) else None
            else:
                value = value.get(step) if isinstance(value, dict) else None
        return None if path in self._bad() else self._pruned(value, path)

    def convert(self, path: Path, value: Any, type_: type[T], *merged: Path) -> T | None:
        """Return a typed value, or None where it is not valid; `merged` are other places that it comes from."""
        if value is None:
            return None
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            if all(map(self.sound, (path, *merged))):
                # the schema let it pass: a check of the type's own
                self.document.add(path, re.sub(r" - at `.*`$", "", str(error)))
            return None

    def sound(self, path: Path) -> bool:
        """Return whether nothing at or below a path has a problem yet."""
        return not any(bad[: len(path)] == path for bad in self._bad())

    def _bad(self) -> frozenset[Path]:
        return self.wrong | self.document.broken

    def _pruned(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            bad = self._bad()
            return {key: self._pruned(each, (*path, key)) for key, each in value.items() if (*path, key) not in bad}
        if isinstance(value, list):
            return [self._pruned(each, (*path, n)) for n, each in enumerate(value)]
        return {"expression": value} if path in self.document.secrets else value


def endpoints(resolver: Resolver, role: str, common: type[SourceSettings] | type[TargetSettings]) -> Endpoints:
    """Return `sources` or `targets` by name."""
    whole = resolver.document.value.get(role)
    names = whole if isinstance(whole, dict) else {}
    return {name: _endpoint(resolver, (role, name), name, common) for name in names}


def _endpoint(
    resolver: Resolver, path: Path, name: str, common: type[SourceSettings] | type[TargetSettings]
) -> Endpoint | None:
    raw = resolver.raw(path)
    if not isinstance(raw, dict) or raw.get("type") not in resolver.connectors:
        return None
    settings = resolver.convert(path, raw, common)
    type_ = resolver.connectors[raw["type"]]
    keys = {"type", *(each for each in common.__struct_fields__)}
    options = resolver.convert(path, {key: value for key, value in raw.items() if key not in keys}, type_)
    if settings is None or options is None:
        return None
    embedding = _embedding(resolver, settings.embedding)
    adopt = isinstance(settings, TargetSettings) and settings.adopt
    return Endpoint(name, settings.type, options.anchored(resolver.directory), embedding, adopt)


def migrations(resolver: Resolver, sources: Endpoints, targets: Endpoints) -> list[Resolved]:
    """Return the migrations that are valid and have a source and a target that are."""
    whole = resolver.document.value.get("migrations")
    paths: list[Path] = [("migrations", n) for n in range(len(whole) if isinstance(whole, list) else 0)]
    found = (_migration(resolver, path, sources, targets) for path in paths)
    return [each for each in found if each]


def _migration(resolver: Resolver, path: Path, sources: Endpoints, targets: Endpoints) -> Resolved | None:
    settings = resolver.convert(path, raw := resolver.raw(path), MigrationSettings)
    if settings is None:
        return None
    source, target = sources.get(settings.source), targets.get(settings.target)
    index_raw = merged_index(resolver.raw(("index",)), raw.get("index"))
    index = resolver.convert((*path, "index"), index_raw, IndexSettings, ("index",)) or IndexSettings()
    proof_raw = merged_proof(resolver.raw(("verification",)), raw.get("verification"))
    proof = resolver.convert((*path, "verification"), proof_raw, Verification, ("verification",)) or Verification()
    embedding_raw = merged(resolver.raw(("embedding",)), raw.get("embedding"))
    embedding = resolver.convert((*path, "embedding"), embedding_raw, EmbeddingTarget, ("embedding",))
    fields_path: Path = (*path, "fields") if settings.fields is not None else ("fields",)
    fields = resolver.piece(fields_path, dict[str, FieldSettings], {})
    filters = [readable(each) for each in (proof.search.filters if proof.search else ())]
    file = proof.search.queries.file if proof.search else None
    if source is None or target is None:
        return None
    migration = Migration(
        settings.name,
        source,
        target,
        embedding=_embedding(resolver, embedding),
        index=_index(index),
        metric=index.metric,
        fields=_typed(fields),
        rules=tuple(FieldRule(name, each.from_ or name, each.type, each.drop) for name, each in fields.items()),
        vectors=tuple(
            _vector(resolver, (*path, "vectors", name), name, index_raw, embedding_raw) for name in settings.vectors
        ),
        where=readable(settings.where),
        limit=settings.limit,
        namespace_from=settings.namespace_from,
        prune=settings.prune,
        on_bad_record=settings.on_bad_record,
        verification=proof,
        filters=tuple(each for each in filters if each),
        golden=resolver.golden.get(file) if file is not None else None,
    )
    return Resolved(path, migration, settings, index, fields, fields_path)


def declared_targets(resolver: Resolver, targets: Endpoints, filled: Set[str]) -> list[DeclaredTarget]:
    """Return the valid targets but for those that a migration fills, each with what the spec says of all of them."""
    embedding = resolver.piece(("embedding",), EmbeddingTarget, EmbeddingTarget())
    index = resolver.piece(("index",), IndexSettings, IndexSettings())
    fields = _typed(resolver.piece(("fields",), dict[str, FieldSettings], {}))
    given = resolver.raw(("index",)) is not None
    return [
        DeclaredTarget(
            target,
            target.embedding.over(_embedding(resolver, embedding)),
            _index(index) if given else None,
            index.metric,
            fields,
        )
        for name, target in targets.items()
        if target is not None and name not in filled
    ]


def _typed(fields: Map[str, FieldSettings]) -> tuple[Field, ...]:
    """Return the fields that the target types."""
    return tuple(
        Field(name, each.type, each.filter, each.search) for name, each in fields.items() if each.type and not each.drop
    )


def _vector(resolver: Resolver, path: Path, name: str, index_raw: Any, embedding_raw: Any) -> VectorChoice:
    raw = resolver.raw(path) or {}
    migration = path[:2]

    def own(key: str, whole: Any, type_: type[T]) -> T | None:
        return resolver.convert((*path, key), whole, type_, (*migration, key), (key,)) if raw.get(key) else None

    index = own("index", merged_index(index_raw, raw.get("index")), IndexSettings)
    embedding = own("embedding", merged(embedding_raw, raw.get("embedding")), EmbeddingTarget)
    source = raw.get("from")
    return VectorChoice(
        name,
        name if source is None else source,
        index=_index(index) if index else None,
        metric=index.metric if index else None,
        embedding=_embedding(resolver, embedding),
    )


def merged(base: Any, over: Any) -> Any:
    """Return `base` with the keys of `over` on top, at every depth."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return base if over is None else over
    return base | {
        key: merged(base.get(key), value) if isinstance(value, dict) else value for key, value in over.items()
    }  # fmt: skip


def merged_index(base: Any, over: Any) -> Any:
    """Return the merged index; of one of another type only the metric is taken over."""
    if isinstance(base, dict) and isinstance(over, dict) and over.get("type", base.get("type")) != base.get("type"):
        base = {key: value for key, value in base.items() if key == "metric"}
    return merged(base, over)


def merged_proof(base: Any, over: Any) -> Any:
    """Return the merged verification; queries from elsewhere take the place of the spec's."""
    places = [each.get("search") if isinstance(each, dict) else None for each in (base, over)]
    queries = [each.get("queries") if isinstance(each, dict) else None for each in places]
    if isinstance(places[0], dict) and isinstance(queries[0], dict) and isinstance(queries[1], dict):
        base = base | {"search": {key: value for key, value in places[0].items() if key != "queries"}}
    return merged(base, over)


def readable(document: Any) -> Filter | None:
    """Return the filter, or None where it has a problem, which `check_filters` tells."""
    try:
        return parse(document) if document is not None else None
    except ValueError:
        return None


def providers(resolver: Resolver) -> dict[str, Provider]:
    """Return those of the spec, and each kind that needs no options under its own name."""
    whole = resolver.document.value.get("providers")
    found = {}
    for name in whole if isinstance(whole, dict) else {}:
        path: Path = ("providers", name)
        raw = resolver.raw(path)
        if not isinstance(raw, dict) or (type_ := resolver.embedders.get(str(raw.get("type")))) is None:
            continue
        settings = resolver.convert(path, raw, ProviderSettings)
        keys = ProviderSettings.__struct_fields__
        options = resolver.convert(path, {key: value for key, value in raw.items() if key not in keys}, type_)
        if settings is not None and options is not None:
            prices = tuple(settings.usd_per_million_tokens.items())
            found[name] = Provider(name, settings.type, options.anchored(resolver.directory), prices)
    return found


def _embedding(resolver: Resolver, settings: EmbeddingSettings | None) -> Embedding:
    if settings is None:
        return Embedding()
    given = msgspec.structs.asdict(settings)
    name = settings.model.partition("/")[0] if settings.model and "/" in settings.model else ""
    if (provider := _provider(resolver, name)) is not None:
        return Embedding(**given, provider=provider)
    known = {*resolver.providers, *embedder_types()} - {name}  # it may be one that must be told its options
    return Embedding(**given, meant=nearest(name, sorted(known)) or "")


def _provider(resolver: Resolver, name: str) -> Provider | None:
    """Return the provider that a model begins with; one that is named as its type needs no entry."""
    if name in resolver.providers:
        return resolver.providers[name]
    try:
        return Provider(name, name, msgspec.convert({}, embedder_options(name)))
    except (PluginError, msgspec.ValidationError):  # not installed, or it has options that must be given
        return None  # told where vectors are to be made by it


def _index(settings: IndexSettings) -> Index:
    return Index(**{key: value for key, value in asdict(settings).items() if key != "metric"})
