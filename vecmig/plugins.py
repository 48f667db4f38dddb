"""Plug-ins by name, through entry points: nothing else imports a connector, and only the one named is loaded."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from vecmig.errors import PluginError
from vecmig.protocols import ConnectorOptions, EmbedderOptions

CONNECTORS = "vecmig.connectors"
EMBEDDERS = "vecmig.embedders"


def connector_types() -> list[str]:
    """Return the names of all installed connectors."""
    return sorted(found.name for found in _installed(CONNECTORS))


def connector_options(name: str) -> type[ConnectorOptions]:
    """Return the options class of a connector. Raises PluginError if there is none of this name."""
    return cast("type[ConnectorOptions]", _loaded(CONNECTORS, "connector", name))


def embedder_types() -> list[str]:
    """Return the names of all installed embedding providers."""
    return sorted(found.name for found in _installed(EMBEDDERS))


def embedder_options(name: str) -> type[EmbedderOptions]:
    """Return the options class of an embedding provider. Raises PluginError if there is none of this name."""
    return cast("type[EmbedderOptions]", _loaded(EMBEDDERS, "embedding provider", name))


@cache
def _installed(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points; looking for them opens a file of every installed package."""
    return tuple(entry_points(group=group))


def _loaded(group: str, what: str, name: str) -> object:
    found = next((entry for entry in _installed(group) if entry.name == name), None)
    if found is None:
        known = ", ".join(sorted(entry.name for entry in _installed(group))) or "none"
        raise PluginError(f"no {what} {name!r} is installed; there are {known}")
    try:
        return found.load()
    except ModuleNotFoundError as error:
        raise PluginError(f"{name} needs the module {error.name!r}: pip install 'vecmig[{name}]'") from error
