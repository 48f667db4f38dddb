"""The spec as it is written: every key, with its meaning, its default and an example. schema.json comes from here."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from vecmig.migration import OnBadRecord, Strategy
from vecmig.model.collection import FieldType, Index, Metric
from vecmig.model.plan import TooLong
from vecmig.model.settings import Execution, Limits, Verification

# Names become parts of file names. The look-ahead: in Python `$` also matches before a last line break.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$(?!\n)"
VARIABLE = r"^[A-Za-z][A-Za-z0-9_]*$(?!\n)"

Name = Annotated[str, Meta(pattern=NAME, max_length=100)]
Variables = dict[Annotated[str, Meta(pattern=VARIABLE)], str | int | float | bool | None]
FieldName = Annotated[str, Meta(min_length=1)]


class EmbeddingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What made the vectors."""

    model: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Its name, as provider/model.", examples=["openai/text-embedding-3-small"]),
    ] = None
    dimensions: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(description="Length of the vectors; limits of the target are then checked offline.", examples=[1536]),
    ] = None


class EmbeddingTarget(EmbeddingSettings, frozen=True, forbid_unknown_fields=True):
    """What the target's vectors must be, and how they come about."""

    strategy: Annotated[
        Strategy,
        Meta(
            description="`auto` decides by evidence, which the plan shows: vectors are copied, shortened, or embedded anew.",
            examples=["auto"],
        ),
    ] = "auto"
    text: Annotated[
        Annotated[str, Meta(min_length=1, max_length=10_000)] | None,
        Meta(
            description="What is embedded: a Jinja2 template over each record's metadata in the source.",
            examples=["{{ title }}\n\n{{ text }}"],
        ),
    ] = None
    keep_text: Annotated[
        FieldName | None,
        Meta(
            description="Field of the target that keeps the text, whole also where `too_long` cuts what is embedded.",
            examples=["chunk_text"],
        ),
    ] = None
    too_long: Annotated[
        TooLong,
        Meta(
            description="What becomes of a text that is over the model's limit: its beginning is embedded, the mean of "
            "its pieces is taken, or the record is put aside as `on_bad_record` says.",
            examples=["split_and_average"],
        ),
    ] = "truncate"
    trust_labels: Annotated[
        bool, Meta(description="Believe the names of the models; leave the probe out.", examples=[True])
    ] = False


class ProviderSettings(Struct, frozen=True):
    """Where vectors are made. The keys that every provider has; each kind adds its own."""

    type: Annotated[str, Meta(description="The kind of provider.", examples=["openai"])]
    usd_per_million_tokens: Annotated[
        dict[str, Annotated[float, Meta(ge=0)]],
        Meta(
            description="Prices by model, where they are others than the package's table says.",
            examples=[{"text-embedding-3-small": 0.02}],
        ),
    ] = {}


class IndexSettings(Index, frozen=True, forbid_unknown_fields=True):
    """How the target's vectors are compared and indexed: one vocabulary for all stores."""

    metric: Annotated[
        Metric | None, Meta(description="What is near; absent: that of the source.", examples=["cosine"])
    ] = None


class FieldSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Metadata that becomes typed, filterable or searchable in the target, or has another name there, or goes."""

    type: Annotated[
        FieldType | None, Meta(description="Its type in the target; absent: as it comes.", examples=["text"])
    ] = None
    filter: Annotated[bool, Meta(description="Index it, so that filters are fast.", examples=[True])] = False
    search: Annotated[bool, Meta(description="Index it for full-text search.", examples=[True])] = False
    from_: Annotated[
        FieldName | None, Meta(description="Its name in the source; absent: the same.", examples=["old_name"])
    ] = field(default=None, name="from")
    drop: Annotated[bool, Meta(description="Leave it out of the target.", examples=[True])] = False


class VectorSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A vector of the target."""

    from_: Annotated[
        str | None, Meta(description="The source's vector; absent: the one of this name.", examples=["title_vector"])
    ] = field(default=None, name="from")
    index: Annotated[
        IndexSettings | None,
        Meta(description="Its own index; absent: that of the migration.", examples=[{"type": "flat"}]),
    ] = None
    embedding: Annotated[
        EmbeddingTarget | None,
        Meta(description="What made it; absent: as the migration says.", examples=[{"dimensions": 384}]),
    ] = None


class Environment(Struct, frozen=True, forbid_unknown_fields=True):
    """What is different in one environment, such as staging or prod."""

    vars: Annotated[
        Variables, Meta(description="Values that win over `vars` here.", examples=[{"table": "kb_staging"}])
    ] = {}
    protected: Annotated[bool, Meta(description="Let apply take only a saved plan here.", examples=[True])] = False


class SourceSettings(Struct, frozen=True):
    """Where records come from. The keys that every source has; the connector adds its own."""

    type: Annotated[str, Meta(description="The connector.", examples=["snapshot"])]
    embedding: Annotated[
        EmbeddingSettings | None,
        Meta(description="What its vectors are.", examples=[{"model": "openai/text-embedding-ada-002"}]),
    ] = None


class TargetSettings(Struct, frozen=True):
    """Where records go. The keys that every target has; the connector adds its own."""

    type: Annotated[str, Meta(description="The connector.", examples=["pgvector"])]
    embedding: Annotated[
        EmbeddingSettings | None,
        Meta(description="What its vectors are.", examples=[{"model": "openai/text-embedding-ada-002"}]),
    ] = None
    adopt: Annotated[
        bool, Meta(description="Write to a collection that vecmig did not make.", examples=[True])
    ] = False  # fmt: skip


Filter = Annotated[dict[str, Any], Meta(min_length=1)]


class MigrationSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """From one source to one target."""

    name: Annotated[Name, Meta(description="What commands and reports call it.", examples=["kb-to-warehouse"])]
    source: Annotated[str, Meta(description="One of `sources`.", examples=["kb"])]
    target: Annotated[str, Meta(description="One of `targets`.", examples=["warehouse"])]
    embedding: Annotated[
        EmbeddingTarget | None,
        Meta(description="Keys here win over the spec's `embedding`.", examples=[{"dimensions": 1536}]),
    ] = None
    index: Annotated[
        IndexSettings | None, Meta(description="Keys here win over the spec's `index`.", examples=[{"m": 32}])
    ] = None
    fields: Annotated[
        dict[FieldName, FieldSettings] | None,
        Meta(description="Replaces the spec's `fields`.", examples=[{"tenant": {"type": "text"}}]),
    ] = None
    verification: Annotated[
        Verification | None,
        Meta(description="Keys here win over the spec's `verification`.", examples=[{"records": "none"}]),
    ] = None
    where: Annotated[
        Filter | None,
        Meta(description="Move only what passes this filter of the source's fields.", examples=[{"tenant": "acme"}]),
    ] = None
    limit: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Move at most so many records.", examples=[10000])
    ] = None
    namespace_from: Annotated[
        FieldName | None,
        Meta(description="The source's field whose value becomes the namespace.", examples=["tenant"]),
    ] = None
    prune: Annotated[bool, Meta(description="Delete what only the target has.", examples=[True])] = False
    on_bad_record: Annotated[
        OnBadRecord,
        Meta(description="Stop at a record that cannot be moved, or put it aside.", examples=["quarantine"]),
    ] = "fail"
    vectors: Annotated[
        dict[str, VectorSettings],
        Meta(description="The target's vectors; absent: all, by name.", examples=[{"title": {"from": "title_vector"}}]),
    ] = {}


class StateSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where it is kept what has been done."""

    backend: Annotated[
        Literal["file"], Meta(description="`file` is .vecmig/NAME/ENV.state.json beside the spec.", examples=["file"])
    ] = "file"


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A vecmig spec: what the targets must hold, and how that is proven."""

    version: Annotated[Literal[1], Meta(description="Of this format.", examples=[1])]
    name: Annotated[
        Name, Meta(description="Its identity: state is kept per name and environment.", examples=["support-kb"])
    ]
    vars: Annotated[
        Variables,
        Meta(
            description='Values for expressions such as "{{ vars.table }}". Environments, --var-file, VECMIG_VAR_x and '
            "--var win over them, in this order.",
            examples=[{"table": "kb_chunks"}],
        ),
    ] = {}
    environments: Annotated[
        dict[Name, Environment],
        Meta(description="What -e may name, besides `default`.", examples=[{"prod": {"protected": True}}]),
    ] = {}
    sources: Annotated[
        dict[Name, SourceSettings],
        Meta(description="Where records come from, by name.", examples=[{"kb": {"type": "snapshot", "path": "kb"}}]),
    ] = {}
    targets: Annotated[
        dict[Name, TargetSettings],
        Meta(
            description="Where records go, by name.",
            examples=[{"warehouse": {"type": "pgvector", "dsn": "{{ env.DATABASE_URL }}", "table": "kb_chunks"}}],
        ),
    ] = {}
    providers: Annotated[
        dict[Name, ProviderSettings],
        Meta(
            description="Where vectors are made, by the name that models begin with; one named as its type needs no entry.",
            examples=[{"openai": {"type": "openai", "api_keys": ["{{ env.OPENAI_API_KEY }}"]}}],
        ),
    ] = {}
    embedding: Annotated[
        EmbeddingTarget,
        Meta(
            description="What the targets' vectors must be; absent: those of the source.",
            examples=[{"model": "openai/text-embedding-3-small", "dimensions": 1536}],
        ),
    ] = EmbeddingTarget()
    index: Annotated[
        IndexSettings,
        Meta(
            description="How the targets' vectors are indexed; absent: the store's own defaults.",
            examples=[{"type": "hnsw", "metric": "cosine", "m": 16, "ef_construction": 200, "ef_search": 100}],
        ),
    ] = IndexSettings()
    fields: Annotated[
        dict[FieldName, FieldSettings],
        Meta(
            description="Metadata that is typed, filterable, searchable, renamed or dropped; the rest stays together.",
            examples=[{"tenant": {"type": "text", "filter": True}}],
        ),
    ] = {}
    verification: Annotated[
        Verification, Meta(description="How equality is proven.", examples=[{"records": "all"}])
    ] = Verification()  # fmt: skip
    migrations: Annotated[
        tuple[MigrationSettings, ...],
        Meta(
            description="What goes where.",
            examples=[[{"name": "kb-to-warehouse", "source": "kb", "target": "warehouse"}]],
        ),
    ] = ()
    execution: Annotated[Execution, Meta(description="How the work is done.", examples=[{"workers": 4}])] = Execution()
    limits: Annotated[
        Limits, Meta(description="What a run may not exceed.", examples=[{"max_quarantined": 100}])
    ] = Limits()  # fmt: skip
    state: Annotated[
        StateSettings, Meta(description="Where it is kept what has been done.", examples=[{"backend": "file"}])
    ] = StateSettings()
