"""Settings of a search as PostgreSQL names them: they are the session's, and stored with no index."""

from collections.abc import Iterable

from vecmig.model.collection import Index


def query_settings(index: Index) -> dict[str, str]:
    """Return what `index` asks of a search, by name; for hnsw and for ivfflat, where both have a setting."""
    found: dict[str, str] = {}
    if index.ef_search is not None:
        found["hnsw.ef_search"] = str(index.ef_search)
    if index.probes is not None:
        found["ivfflat.probes"] = str(index.probes)
    if index.iterative_scan is not None:
        found["hnsw.iterative_scan"] = index.iterative_scan
        # ivfflat knows but one that is on
        found["ivfflat.iterative_scan"] = "off" if index.iterative_scan == "off" else "relaxed_order"
    return found


def statements(indexes: Iterable[Index]) -> list[str]:
    """Return what an application says, each once, for searches as these indexes ask for."""
    said = [
        f"SET {name} = {value}"
        for index in indexes
        for name, value in query_settings(index).items()
        if name.startswith(f"{index.type}.")
    ]
    return [*dict.fromkeys(said)]
