"""What the spec says of a model that Sentence Transformers runs. Imports no PyTorch."""

import os
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from vecmig.errors import PluginError

if TYPE_CHECKING:
    from vecmig.embedders.sentence_transformers.embedder import SentenceTransformersEmbedder

Text = Annotated[str, Meta(min_length=1)]


class SentenceTransformersOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A model on this machine, run by Sentence Transformers and PyTorch."""

    metered: ClassVar[bool] = False  # nobody is paid

    path: Annotated[
        Text | None,
        Meta(
            description="Directory that holds the model. Absent: it is taken from the Hugging Face hub, or its cache.",
            examples=["models/all-MiniLM-L6-v2"],
        ),
    ] = None
    revision: Annotated[
        Text | None,
        Meta(description="Version of the model in the hub: a branch, a tag or a commit.", examples=["c9745ed"]),
    ] = None
    device: Annotated[
        Text | None,
        Meta(description="Where it runs. Absent: on a GPU where there is one, else on the CPU.", examples=["cuda:1"]),
    ] = None
    max_text_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            description="Tokens of one text at most; vectors of longer texts depend on it. Absent: the model's own.",
            examples=[512],
        ),
    ] = None
    max_items: Annotated[int, Meta(ge=1, description="Texts of one call at most.", examples=[64])] = 256
    batch_items: Annotated[int, Meta(ge=1, description="Texts that the model sees at once.", examples=[128])] = 32
    passage_prefix: Annotated[
        str | None,
        Meta(
            description="What stands before each text that is searched. Absent: as the model's makers say.",
            examples=["passage: "],
        ),
    ] = None
    query_prefix: Annotated[
        str | None,
        Meta(
            description="What stands before each text that is searched for. Absent: as the model's makers say.",
            examples=["query: "],
        ),
    ] = None
    trust_remote_code: Annotated[
        bool, Meta(description="Run code that the model brings, which some need.", examples=[True])
    ] = False

    def __post_init__(self) -> None:
        if self.path is not None and self.revision is not None:
            raise ValueError("`revision` is one of the hub: leave it out where `path` is given")

    @property
    def label(self) -> str:
        return self.path or "Hugging Face"

    def anchored(self, directory: str) -> "SentenceTransformersOptions":
        if self.path is None:
            return self
        return replace(self, path=os.path.abspath(os.path.join(directory, os.path.expanduser(self.path))))

    def open(self, model: str, dimensions: int | None) -> "SentenceTransformersEmbedder":
        """Load the model. Raises ConnectorError, PluginError, UnsupportedError."""
        try:
            from vecmig.embedders.sentence_transformers.embedder import open_embedder
        except ModuleNotFoundError as error:
            raise PluginError(
                f"sentence-transformers needs the module {error.name!r}: pip install 'vecmig[sentence-transformers]'"
            ) from error
        return open_embedder(self, model, dimensions)
