"""What the spec says of OpenAI, Azure OpenAI, or a server that speaks the same. Imports no SDK."""

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from vecmig.errors import PluginError
from vecmig.model.secret import Secret

if TYPE_CHECKING:
    from vecmig.embedders.openai.embedder import OpenAIEmbedder

OWN_URL = "https://api.openai.com/v1"
Url = Annotated[str, Meta(pattern="^https?://")]
Rate = Annotated[float, Meta(gt=0)]


class Azure(Struct, frozen=True, forbid_unknown_fields=True):
    """A resource of Azure OpenAI."""

    endpoint: Annotated[Url, Meta(description="Address of the resource.", examples=["https://kb.openai.azure.com"])]
    api_version: Annotated[str, Meta(min_length=1, description="Version of its API.", examples=["2024-10-21"])]
    deployment: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Name of the deployment; absent: that of the model.", examples=["embeddings-prod"]),
    ] = None


class InputType(Struct, frozen=True, forbid_unknown_fields=True):
    """The server's words for both kinds of text."""

    passage: Annotated[str, Meta(min_length=1, description="Of what is searched.", examples=["document"])] = "passage"
    query: Annotated[str, Meta(min_length=1, description="Of what is searched for.", examples=["query"])] = "query"


class OpenAIOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """OpenAI's embeddings, Azure's, or those of a server with the same API."""

    api_keys: Annotated[
        tuple[Secret, ...],
        Meta(
            description="API keys; several are used side by side, each within its own limits. Absent: the variable"
            " OPENAI_API_KEY, for Azure AZURE_OPENAI_API_KEY, for another `base_url` none.",
            examples=[["{{ env.OPENAI_API_KEY }}"]],
        ),
    ] = ()
    base_url: Annotated[
        Url | None,
        Meta(description="Address of a server with OpenAI's API.", examples=["http://localhost:8000/v1"]),
    ] = None
    azure: Annotated[
        Azure | None,
        Meta(
            description="A resource of Azure OpenAI.",
            examples=[{"endpoint": "https://kb.openai.azure.com", "api_version": "2024-10-21"}],
        ),
    ] = None
    requests_per_minute: Annotated[
        Rate | None,
        Meta(
            description="Requests a minute of each key at most. Absent: what is known of the model, then what the"
            " answers tell.",
            examples=[3000],
        ),
    ] = None
    tokens_per_minute: Annotated[
        Rate | None,
        Meta(description="Tokens a minute of each key at most; absent as for requests.", examples=[1_000_000]),
    ] = None
    max_items: Annotated[
        int, Meta(ge=1, description="Texts of one request at most; OpenAI takes 2,048.", examples=[32])
    ] = 2048
    max_text_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Tokens of one text at most. Absent: what is known of the model.", examples=[512]),
    ] = None
    passage_prefix: Annotated[
        str | None,
        Meta(description="What stands before each text that is searched.", examples=["passage: "]),
    ] = None
    query_prefix: Annotated[
        str | None,
        Meta(description="What stands before each text that is searched for.", examples=["query: "]),
    ] = None
    input_type: Annotated[
        InputType | None,
        Meta(
            description="Tell the server which kind of text a request holds, for one that adds prefixes itself.",
            examples=[{"passage": "document", "query": "query"}],
        ),
    ] = None
    timeout_s: Annotated[
        float, Meta(gt=0, description="Seconds without a byte of an answer, after which it is given up.", examples=[30])
    ] = 120.0

    def __post_init__(self) -> None:
        if self.azure and self.base_url:
            raise ValueError("`azure` has an address of its own: leave `base_url` out")

    @property
    def url(self) -> str:
        """Where requests go, for people and for what is compared."""
        return (self.azure.endpoint if self.azure else self.base_url or OWN_URL).rstrip("/")

    @property
    def label(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

    def anchored(self, directory: str) -> "OpenAIOptions":
        return self

    def open(self, model: str, dimensions: int | None) -> "OpenAIEmbedder":
        """Make the clients; the first request connects.

        Raises UnsupportedError, SpecError for a key that is not set, PluginError where the SDK is not installed.
        """
        try:
            from vecmig.embedders.openai.embedder import open_embedder
        except ModuleNotFoundError as error:
            raise PluginError(f"openai needs the module {error.name!r}: pip install 'vecmig[openai]'") from error
        return open_embedder(self, model, dimensions)
