"""The spec with variables, defaults and references resolved: what planning and execution work on."""

from dataclasses import dataclass, replace
from typing import Literal, cast

from vecmig.model.collection import Field, Index, Metric
from vecmig.model.filter import Filter
from vecmig.model.plan import FieldRule, TooLong
from vecmig.model.query import Golden
from vecmig.model.settings import Execution, Limits, Verification
from vecmig.model.state import Lineup
from vecmig.protocols import ConnectorOptions, EmbedderOptions, Source, Target

OnBadRecord = Literal["fail", "quarantine"]
Strategy = Literal["auto", "copy", "truncate", "reembed"]


@dataclass(frozen=True, slots=True)
class Provider:
    """Where vectors are made: what models of the spec begin with."""

    name: str
    type: str  # of embedder
    options: EmbedderOptions
    prices: tuple[tuple[str, float], ...] = ()  # USD for a million tokens, by model, as the spec says


@dataclass(frozen=True, slots=True)
class Embedding:
    """What made the vectors, or what the target's are to be. None: not declared."""

    model: str | None = None
    dimensions: int | None = None
    provider: Provider | None = None  # of the model; None: no provider of this name is known
    meant: str = ""  # the known provider that such a name was probably to be
    strategy: Strategy = "auto"
    text: str | None = None  # a template over the metadata
    keep_text: str | None = None
    too_long: TooLong = "truncate"
    trust_labels: bool = False

    def over(self, common: "Embedding") -> "Embedding":
        """Return these settings with what they leave open taken from `common`."""
        if self == Embedding():
            return common
        named = self if self.model else common
        return replace(
            self,
            model=named.model,
            provider=named.provider,
            meant=named.meant,
            dimensions=self.dimensions or common.dimensions,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A source or target of the spec."""

    name: str
    type: str  # of connector
    options: ConnectorOptions
    embedding: Embedding = Embedding()
    adopt: bool = False  # use a collection that vecmig did not make
    plain: ConnectorOptions | None = None  # what the spec says, where `options` are of another generation

    @property
    def label(self) -> str:
        """What a person calls it; holds no secret."""
        return f"{self.type} {self.options.label}"

    def open_source(self) -> Source:
        """Connect, to read. Raises ConnectorError."""
        return self.options.open()

    def open_target(self) -> Target:
        """Connect, to write. Raises ConnectorError."""
        return cast(Target, self.options.open())  # `declare` refuses a connector that only reads


def at_generation(endpoint: Endpoint, lineup: Lineup, generation: int) -> Endpoint:
    """Return a target as one of its collections: what serves, or what is beside it."""
    plain = lineup.serving if lineup.renames else 1
    if generation == plain:
        return endpoint
    return replace(endpoint, options=endpoint.options.beside(generation), plain=endpoint.options)


@dataclass(frozen=True, slots=True)
class VectorChoice:
    """A vector of the target: its name there, the one it comes from, and its own settings."""

    name: str
    source: str
    index: Index | None = None
    metric: Metric | None = None
    embedding: Embedding = Embedding()


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    source: Endpoint
    target: Endpoint
    embedding: Embedding = Embedding()  # what the target's vectors must be; empty: those of the source
    index: Index = Index()
    metric: Metric | None = None  # None: that of the source
    fields: tuple[Field, ...] = ()  # what the target types
    rules: tuple[FieldRule, ...] = ()  # how the metadata gets there
    vectors: tuple[VectorChoice, ...] = ()  # () is all, by name
    where: Filter | None = None
    limit: int | None = None
    namespace_from: str | None = None
    prune: bool = False
    on_bad_record: OnBadRecord = "fail"
    verification: Verification = Verification()
    filters: tuple[Filter, ...] = ()  # of verification.search, parsed
    golden: Golden | None = None  # the queries of verification.search.queries.file

    def provider_of(self, model: str) -> Provider | None:
        """Return who makes vectors with a model that this migration names; None where nobody is known to."""
        named = (
            *(choice.embedding for choice in self.vectors),
            self.embedding,
            self.target.embedding,
            self.source.embedding,
        )
        return next((each.provider for each in named if each.model == model and each.provider), None)


@dataclass(frozen=True, slots=True)
class DeclaredTarget:
    """A target that no migration fills: its shape and its indexes are held against the spec, its records are not."""

    target: Endpoint
    embedding: Embedding = Embedding()
    index: Index | None = None  # None: the spec says nothing of it
    metric: Metric | None = None
    fields: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """What a plan calls it; no migration can have a name with a space."""
        return f"target {self.target.name}"


@dataclass(frozen=True, slots=True)
class Project:
    """One spec in one environment."""

    name: str
    environment: str
    file: str  # path of the spec
    directory: str  # of the spec: relative paths and .vecmig/ stand in it
    digest: str  # of the resolved spec; secrets as expressions
    migrations: tuple[Migration, ...]
    targets: tuple[DeclaredTarget, ...] = ()  # those that no migration fills
    protected: bool = False
    execution: Execution = Execution()
    limits: Limits = Limits()
    variables: tuple[tuple[str, str], ...] = ()  # given on the command line
    notes: tuple[str, ...] = ()  # such as environment variables that are not set
