"""What a schema cannot say: whether the parts of a spec fit each other, and what a target can hold."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace as changed
from typing import Any

import msgspec

from vecmig.errors import Position, Problem
from vecmig.migration import Endpoint, Migration
from vecmig.model.collection import Collection, Index, VectorField
from vecmig.model.filter import fields_of, parse
from vecmig.model.secret import Secret
from vecmig.model.settings import LABELLED_MEASURES
from vecmig.spec.document import FieldSettings
from vecmig.spec.golden import read_golden
from vecmig.spec.render import Path, Rendered
from vecmig.spec.resolve import Endpoints, Resolved, Resolver, merged_index
from vecmig.spec.suggest import did_you_mean, listed, nearest

_SETTINGS = {
    "hnsw": {"m", "ef_construction", "ef_search", "iterative_scan"},
    "ivfflat": {"lists", "probes", "iterative_scan"},
    "flat": set[str](),
}


def check_references(document: Rendered, sources: Endpoints, targets: Endpoints) -> None:
    """Names of migrations differ; their sources and targets exist."""
    seen: dict[str, int] = {}
    whole = document.value.get("migrations")
    for n, raw in enumerate(whole if isinstance(whole, list) else ()):
        if not isinstance(raw, dict):
            continue
        name = raw.get("name")
        if isinstance(name, str) and name in seen:
            document.add(("migrations", n, "name"), f"two migrations are called `{name}`", "their names must differ")
        if isinstance(name, str):
            seen.setdefault(name, n)
        for key, known in (("source", sources), ("target", targets)):
            asked = raw.get(key)
            if isinstance(asked, str) and asked not in known and ("migrations", n, key) not in document.broken:
                hint = did_you_mean(asked, known) or f"`{key}s` is empty: add one"
                document.add(("migrations", n, key), f"there is no {key} `{asked}`", hint)


def check_indexes(resolver: Resolver) -> None:
    """Each setting of an index belongs to its type."""
    base = resolver.raw(("index",))
    _check_index(resolver.document, ("index",), base, base)
    for *path, _ in _in_migrations(resolver, "index"):
        raw = resolver.raw(tuple(path))
        if not isinstance(raw, dict):
            continue
        own = merged_index(base, raw.get("index"))
        _check_index(resolver.document, (*path, "index"), raw.get("index"), own)
        vectors = raw.get("vectors")
        for name, vector in vectors.items() if isinstance(vectors, dict) else ():
            given = vector.get("index") if isinstance(vector, dict) else None
            _check_index(resolver.document, (*path, "vectors", name, "index"), given, merged_index(own, given))


def _check_index(document: Rendered, path: Path, given: Any, whole: Any) -> None:
    if not isinstance(given, dict) or not isinstance(whole, dict):
        return
    kind = whole.get("type", "hnsw")
    for key in given.keys() & set().union(*_SETTINGS.values()):
        if given[key] is None or key in _SETTINGS.get(kind, {key}):
            continue
        owners = [owner for owner, keys in _SETTINGS.items() if key in keys]
        document.add(
            (*path, key),
            f"`{key}` is a setting of {listed(owners)}, and this index is `{kind}`",
            f"remove it, or say `type: {owners[0]}`",
            key=True,
        )


def check_migration(document: Rendered, resolved: Resolved) -> None:
    """Fields, filters, dimensions and the two sides of one migration."""
    migration, path = resolved.migration, resolved.path
    if same_collection(migration.source, migration.target):
        document.add(
            (*path, "target"), f"`{migration.name}` reads and writes the same collection", "name another target"
        )
    check_names_in_filters(document, resolved)
    have = migration.source.embedding.dimensions
    want = migration.embedding.dimensions or migration.target.embedding.dimensions
    if have and want and have != want and not migration.vectors and migration.embedding.strategy == "copy":
        document.add(
            _dimensions_path(document, resolved),
            f"the target's vectors are to have {want} dimensions, those of source `{migration.source.name}` have {have}",
            "`strategy: copy` takes vectors as they are: correct the one that is wrong, or say `strategy: auto`",
        )


def check_filters(resolver: Resolver) -> None:
    """Each filter can be read."""
    places: list[Path] = [("verification",), *_in_migrations(resolver, "verification")]
    proofs = [(*path, "search", "filters") for path in places]
    lists = [(path, found) for path in proofs if isinstance(found := resolver.raw(path), list)]
    filters = [((*path, n), each) for path, found in lists for n, each in enumerate(found)]
    filters += [(path, resolver.raw(path)) for path in _in_migrations(resolver, "where")]
    for path, each in filters:
        # one that already has a problem would only be told again that something is missing
        if isinstance(each, dict) and resolver.sound(path):
            try:
                parse(each)
            except ValueError as error:
                resolver.document.add(path, str(error))


def check_queries(resolver: Resolver) -> None:
    """Queries come from one place, and a file of them is there and can be read."""
    document = resolver.document
    for path in [("verification",), *_in_migrations(resolver, "verification")]:
        here: Path = (*path, "search", "queries")
        given = resolver.raw(here)
        if not isinstance(given, dict) or not resolver.sound(here):
            continue
        if len([each for each in given.values() if each is not None]) != 1:
            hint = "`sample: 200` takes records of the source, `file: golden.jsonl` queries of your own"
            document.add(here, "queries come from a sample or from a file", hint, key=True)
            document.broken.add(here)
            if given.get("file") is not None:
                resolver.golden[given["file"]] = None
        elif given.get("file") is not None:
            _read_queries(resolver, (*here, "file"), given["file"])


def _read_queries(resolver: Resolver, place: Path, name: str) -> None:
    if name in resolver.golden:
        return
    document = resolver.document
    resolver.golden[name] = None
    path = os.path.join(os.path.dirname(document.text.file), name)
    try:
        resolver.golden[name], problems = read_golden(path)
        document.problems += problems
    except FileNotFoundError:
        document.add(place, f"there is no file of queries {path!r}", "its path is relative to the spec")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        document.add(place, f"cannot read the file of queries {path!r}: {reason}")


def check_thresholds(resolver: Resolver, resolved: Resolved) -> None:
    """Measures that need to know what is relevant are asked for only where that is known."""
    migration = resolved.migration
    if (migration.golden and migration.golden.labelled) or None in resolver.golden.values():
        return
    for name in LABELLED_MEASURES:
        if getattr(migration.verification.thresholds, name) > 0:
            resolver.document.add(
                _key_path(resolver.document, resolved, "verification", "thresholds", name),
                f"`{name}` needs queries that say what is relevant to them, and `{migration.name}` has none",
                "`search: {queries: {file: golden.jsonl}}`, with lines such as "
                '{"text": "how to reset a password", "relevant": ["doc-17"]}',
            )


def _in_migrations(resolver: Resolver, key: str) -> list[Path]:
    """Return the paths of this key in all migrations."""
    whole = resolver.document.value.get("migrations")
    return [("migrations", n, key) for n in range(len(whole) if isinstance(whole, list) else 0)]


def check_fields(resolver: Resolver) -> None:
    """Each field of the source goes to one place, and says what it is where that is needed."""
    for path in [("fields",), *_in_migrations(resolver, "fields")]:
        _check_fields(resolver.document, resolver.piece(path, dict[str, FieldSettings], {}), path)


def _check_fields(document: Rendered, fields: dict[str, FieldSettings], path: Path) -> None:
    origins: dict[str, str] = {}
    for name, settings in fields.items():
        origin = settings.from_ or name
        here: Path = (*path, name)
        if origin in origins:
            document.add(
                (*here, "from") if settings.from_ else here,
                f"the source's `{origin}` is already used by field `{origins[origin]}`",
                "a field of the source goes to one place",
                key=not settings.from_,
            )
        origins.setdefault(origin, name)
        if settings.drop and (settings.type or settings.filter or settings.search or settings.from_):
            document.add(
                (*here, "drop"), f"field `{name}` is dropped, and yet has other settings", "remove one of both"
            )
        elif not settings.type and (settings.filter or settings.search):
            key = "filter" if settings.filter else "search"
            document.add(
                (*here, key), f"`{key}` needs the `type` of field `{name}`", "for example `type: text`", key=True
            )


def check_names_in_filters(document: Rendered, resolved: Resolved) -> None:
    """`where` reads the source's fields, the filters of a verification those of the target."""
    fields = resolved.fields
    renamed = {name: each.from_ for name, each in fields.items() if each.from_ and each.from_ != name}
    origins = {each.from_ or name for name, each in fields.items()}
    for name in sorted(fields_of(resolved.migration.where)) if resolved.migration.where else ():
        if name in renamed and name not in origins:
            place: Path = (*resolved.path, "where")
            hint = f"`where` reads the source: write `{renamed[name]}`"
            document.add(place, f"the source calls field `{name}` `{renamed[name]}`", hint)
    former = {origin: name for name, origin in renamed.items()}
    dropped = {name for name, each in fields.items() if each.drop}
    place = _filters_path(document, resolved)
    filters = [(document.problem(place, ""), each) for each in resolved.migration.filters]
    if golden := resolved.migration.golden:
        filters += [
            (Problem("", Position(golden.file, query.line, 1)), query.filter)
            for query in golden.queries
            if query.filter is not None
        ]
    for problem, filter in filters:
        for name in sorted(fields_of(filter)):
            if name in dropped:
                message, hint = f"the verification filters by `{name}`, which `fields` drops", "remove one of both"
            elif name in former and name not in fields:
                message = f"the target calls field `{name}` `{former[name]}`"
                hint = f"filters of the verification use the target's names: write `{former[name]}`"
            else:
                continue
            document.problems.append(changed(problem, message=message, hint=hint))


def check_target(document: Rendered, resolved: Resolved) -> None:
    """Ask the target's connector what it cannot hold, and point at the part of the spec that it is about."""
    migration = resolved.migration
    options = migration.target.options
    whole = _declared(migration)

    def refusals(declared: Collection) -> Sequence[str]:
        return options.refusals(options.complete(declared))

    def without(change: Callable[[VectorField], VectorField]) -> set[str]:
        return set(refusals(msgspec.structs.replace(whole, vectors=tuple(map(change, whole.vectors)))))

    found = refusals(whole)
    if not found:
        return
    replace = msgspec.structs.replace
    aspects = [
        (_dimensions_path(document, resolved), without(lambda vector: replace(vector, dimensions=0))),
        (_key_path(document, resolved, "index", "metric"), without(lambda vector: replace(vector, metric="cosine"))),
        (_key_path(document, resolved, "index"), without(lambda vector: replace(vector, index=None))),
    ]
    for field in whole.fields:
        others = tuple(each for each in whole.fields if each is not field)
        aspects.append(((*resolved.fields_path, field.name), set(refusals(replace(whole, fields=others)))))
    for message in found:
        place = next((path for path, others in aspects if message not in others), (*resolved.path, "target"))
        document.add(place, message)


def _declared(migration: Migration) -> Collection:
    ends = (migration, migration.target, migration.source)
    dimensions = next((each.embedding.dimensions for each in ends if each.embedding.dimensions), 0)
    metric = migration.metric or "cosine"  # which every store knows: that of the source is seen by the plan

    def vector(name: str, index: Index, own: int | None = None, metric: Any = metric) -> VectorField:
        return VectorField(name, own or dimensions, metric, index=index)

    vectors = tuple(
        vector(each.name, each.index or migration.index, each.embedding.dimensions, each.metric or metric)
        for each in migration.vectors
    )
    return Collection(
        migration.target.options.collection, vectors or (vector("", migration.index),), migration.fields, mark=None
    )


def same_collection(source: Endpoint, target: Endpoint) -> bool:
    """Return whether both ends are one collection: the same name in what seems to be the same place."""
    if source.type != target.type or source.options.collection != target.options.collection:
        return False
    sides = [_place(source), _place(target)]
    return sides[0] == sides[1]


def _place(endpoint: Endpoint) -> dict[str, object]:
    """Return where the store is: its secrets (a connection string, a key), else all that is text."""
    values = {name: getattr(endpoint.options, name) for name in getattr(endpoint.options, "__struct_fields__", ())}
    kind = Secret if any(isinstance(value, Secret) for value in values.values()) else str
    return {name: value for name, value in values.items() if isinstance(value, kind)}


def shared_targets(migrations: Sequence[Migration]) -> list[str]:
    """Return notes on migrations that write to one target and delete what they did not write themselves."""
    notes = []
    for each in migrations:
        others = [
            other.name for other in migrations if other is not each and same_collection(each.target, other.target)
        ]
        if each.prune and others:
            notes.append(
                f"migration {each.name} prunes {each.target.label}, to which {', '.join(others)} writes, too: "
                "records of the others in the same namespace would be deleted"
            )
    return notes


def writers_of(migration: Migration, migrations: Sequence[Migration]) -> list[str]:
    """Return the names of the migrations that write what this one reads."""
    return [
        each.name for each in migrations if each is not migration and same_collection(migration.source, each.target)
    ]


def chained(migrations: Sequence[Migration]) -> list[str]:
    """Return notes on migrations that read what others of them write: one plan sees each source as it is before."""
    return [
        f"migration {each.name} reads {each.source.label}, which {', '.join(writers)} writes: apply"
        f" {'it' if len(writers) == 1 else 'them'} first, `vecmig apply {' '.join(f'--only {name}' for name in writers)}`,"
        f" then `vecmig apply --only {each.name}`"
        for each in migrations
        if (writers := writers_of(each, migrations))
    ]


def environment_hint(environment: str, names: Sequence[str]) -> str | None:
    """Return what was meant by an environment that is not declared; None for one that is."""
    if environment == "default" or environment in names:
        return None
    found = nearest(environment, names)
    return f"did you mean `{found}`?" if found else f"declared are {listed(sorted({'default', *names}))}"


def _dimensions_path(document: Rendered, resolved: Resolved) -> Path:
    migration, key = resolved.migration, ("embedding", "dimensions")
    ends: tuple[Path, ...] = (("targets", migration.target.name), ("sources", migration.source.name))
    places: list[Path] = [(*start, *key) for start in (resolved.path, (), *ends)]
    return next((path for path in places if path in document.values), (*resolved.path, "target"))


def _filters_path(document: Rendered, resolved: Resolved) -> Path:
    return _key_path(document, resolved, "verification", "search", "filters")


def _key_path(document: Rendered, resolved: Resolved, *keys: str) -> Path:
    """Return where a key is given: in the migration, else for the whole spec, else the migration's target."""
    places: tuple[Path, ...] = ((*resolved.path, *keys), keys)
    return next((path for path in places if path in document.values), (*resolved.path, "target"))
