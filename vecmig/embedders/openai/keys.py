"""The API keys: their values, and how a message calls them."""

import re
from dataclasses import dataclass, field

from vecmig.embedders.openai.errors import NO_KEY
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.errors import Problem, SpecError
from vecmig.model.secret import Secret

_VARIABLE = re.compile(r"\benv(?:\.|\[\s*['\"])(\w+)")


@dataclass(frozen=True, slots=True)
class Key:
    value: str = field(repr=False)
    name: str  # by its place, and the variable that it is from; never the value


def keys_of(options: OpenAIOptions) -> tuple[Key, ...]:
    """Return the keys, resolved. Raises SpecError that names a variable which is not set."""
    if options.api_keys:
        return tuple(_key(secret, _name(place, secret)) for place, secret in enumerate(options.api_keys, 1))
    if options.base_url:  # OpenAI's key is not for others
        return (Key("none", NO_KEY),)
    variable = "AZURE_OPENAI_API_KEY" if options.azure else "OPENAI_API_KEY"
    return (_key(Secret(f"{{{{ env.{variable} }}}}"), f"the key of the variable {variable}"),)


def _key(secret: Secret, name: str) -> Key:
    value = secret.reveal().strip()  # what comes from a file ends with a line break
    if not (value.isascii() and value.isprintable()):  # the client would fail, and show it
        raise SpecError(Problem(f"{name} holds characters that no key has, such as a line break or an accented letter"))
    return Key(value, name)


def _name(place: int, secret: Secret) -> str:
    variables = " and ".join(dict.fromkeys(_VARIABLE.findall(secret.expression)))
    return f"key {place} of `api_keys`" + f" ({variables})" * bool(variables)
