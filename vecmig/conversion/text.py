"""The text that is embedded: a template over the metadata of a record. Pure, and safe for a stranger's spec."""

from collections.abc import Mapping
from functools import cache

from jinja2 import ChainableUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARACTERS = 10_000_000  # of one text: no model reads more, and a loop in a template ends somewhere
# What rendering a template that someone else wrote, over data that someone else wrote, can raise.
_FAILURES = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError,
             MemoryError)  # fmt: skip


def rendered(template: str, metadata: Mapping[str, object]) -> str | None:
    """Return the text of a record, or None where it is empty. A field that the record lacks is empty.

    Raises ValueError where the template does not work on this record; the message holds no value of it.
    """
    try:
        parts: list[str] = []
        length = 0
        for part in compiled(template).generate(metadata):
            parts.append(part)
            length += len(part)
            if length > MAX_CHARACTERS:
                raise ValueError(f"becomes longer than {MAX_CHARACTERS:,} characters")
    except _FAILURES as error:
        if isinstance(error, ValueError) and str(error).startswith("becomes longer"):
            raise
        raise ValueError(f"does not work on this record ({type(error).__name__})") from None
    text = "".join(parts).strip()
    return text or None


@cache
def fields_of(template: str) -> frozenset[str]:
    """Return the fields that a template may read, of one that `compiled` took."""
    return frozenset(meta.find_undeclared_variables(_sandbox().parse(template)))


@cache
def compiled(template: str) -> Template:
    """Return the template, ready. Raises ValueError with its fault."""
    try:
        return _sandbox().from_string(template)
    except TemplateError as error:
        raise ValueError(str(error)) from None


@cache
def _sandbox() -> ImmutableSandboxedEnvironment:
    sandbox = ImmutableSandboxedEnvironment(undefined=ChainableUndefined, finalize=_written)
    sandbox.globals.clear()  # no `range`: a template repeats nothing but what the record holds
    return sandbox


def _written(value: object) -> object:
    """Return null as nothing: None is no word of the record's text."""
    return "" if value is None else value
