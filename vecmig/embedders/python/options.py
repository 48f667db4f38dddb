"""What the spec says of a model that a function of one's own runs. Imports nothing of it."""

import os
from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta, Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from vecmig.embedders.python.embedder import PythonEmbedder

Argument = bool | int | float | str


class PythonOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """A function, or a model's class, of any library on this machine."""

    metered: ClassVar[bool] = False  # nobody is paid

    call: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$",
            description="`module:function`: it takes a list of n texts and returns n vectors, as an array or as lists.",
            examples=["static_model:get_embeddings"],
        ),
    ]
    factory: Annotated[
        bool,
        Meta(
            description="`call` makes the model, once; the model, or its method `encode`, then takes the texts.",
            examples=[True],
        ),
    ] = False
    arguments: Annotated[
        dict[str, Argument],
        Meta(description="Named arguments of the factory.", examples=[{"threads": 4}]),
    ] = {}
    path: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Directory of the module, where it is not installed.", examples=["models"]),
    ] = None
    revision: Annotated[
        str,
        Meta(
            description="What tells this version of the model from others; with another one all texts are embedded again.",
            examples=["2026-11"],
        ),
    ] = ""
    max_text_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Tokens of one text at most, four characters each. Absent: no limit.", examples=[256]),
    ] = None
    max_items: Annotated[int, Meta(ge=1, description="Texts of one call at most.", examples=[256])] = 64
    thread_safe: Annotated[bool, Meta(description="It may be called by several threads at once.", examples=[True])] = (
        False
    )
    passage_prefix: Annotated[
        str, Meta(description="What stands before each text that is searched.", examples=["passage: "])
    ] = ""
    query_prefix: Annotated[
        str, Meta(description="What stands before each text that is searched for.", examples=["query: "])
    ] = ""

    def __post_init__(self) -> None:
        if self.arguments and not self.factory:
            raise ValueError("`arguments` are those of a factory: set `factory: true`")

    @property
    def label(self) -> str:
        return self.call

    def anchored(self, directory: str) -> "PythonOptions":
        if self.path is None:
            return self
        return replace(self, path=os.path.abspath(os.path.join(directory, os.path.expanduser(self.path))))

    def open(self, model: str, dimensions: int | None) -> "PythonEmbedder":
        """Import the module, and make the model. Raises ConnectorError."""
        from vecmig.embedders.python.embedder import open_embedder

        return open_embedder(self, model, dimensions)
