"""The API keys: their values, and how a message calls them."""

import re
from dataclasses import dataclass, field

from vecmig.embedders.openai.errors import NO_KEY
from vecmig.embedders.openai.options import OpenAIOptions
from vecmig.model.secret import Secret

_VARIABLE = re.compile(r"\benv(?:\.|\[\s*['\"])(\w+)")


@dataclass(frozen=True, slots=True)
class Key:
    value: str = field(repr=False)
    name: str  # by its place, and the variable that it is from; never the value


def keys_of(options: OpenAIOptions) -> tuple[Key, ...]:
    """Return the keys, resolved. Raises SpecError that names a variable which is not set."""
    if options.api_keys:
        return tuple(_key(place, secret) for place, secret in enumerate(options.api_keys, 1))
    if options.base_url:  # OpenAI's key is not for others
        return (Key("none", NO_KEY),)
    variable = "AZURE_OPENAI_API_KEY" if options.azure else "OPENAI_API_KEY"
    return (Key(Secret(f"{{{{ env.{variable} }}}}").reveal(), f"the key of the variable {variable}"),)


def _key(place: int, secret: Secret) -> Key:
    variables = " and ".join(dict.fromkeys(_VARIABLE.findall(secret.expression)))
    return Key(secret.reveal(), f"key {place} of `api_keys`" + f" ({variables})" * bool(variables))
