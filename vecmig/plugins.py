"""Plug-ins by name, through entry points: nothing else imports a connector, and only the one named is loaded."""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from vecmig.errors import PluginError
from vecmig.protocols import ConnectorOptions

CONNECTORS = "vecmig.connectors"


def connector_types() -> list[str]:
    """Return the names of all installed connectors."""
    return sorted(found.name for found in _installed())


def connector_options(name: str) -> type[ConnectorOptions]:
    """Return the options class of a connector. Raises PluginError if there is none of this name."""
    found = [entry for entry in _installed() if entry.name == name]
    if not found:
        raise PluginError(f"no connector {name!r} is installed; there are {', '.join(connector_types())}")
    return cast("type[ConnectorOptions]", _load(found[0]))


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """Return the entry points; looking for them opens a file of every installed package."""
    return tuple(entry_points(group=CONNECTORS))


def _load(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        raise PluginError(
            f"{entry.name} needs the module {error.name!r}: pip install 'vecmig[{entry.name}]'"
        ) from error
