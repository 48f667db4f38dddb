"""Documents for programs: each has a `format_version` and a published schema."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from vecmig.model.plan import Plan
from vecmig.model.report import REPORT_FORMAT, Report, Verdict
from vecmig.model.state import State
from vecmig.reporting.escape import json_visible
from vecmig.reporting.outcome import Outcome, verdict_of
from vecmig.reporting.states import ListedState, standing


class Reports(Struct, frozen=True):
    """What `verify --json` prints: a report for each migration, and the worst verdict of them."""

    verdict: Verdict
    reports: tuple[Report, ...]
    format_version: int = REPORT_FORMAT


class StateEntry(Struct, frozen=True):
    name: str
    environment: str
    path: str
    serial: int | None  # None: it cannot be read, see `problem`
    standing: str
    problem: str


class States(Struct, frozen=True):
    """What `state list --json` prints."""

    states: tuple[StateEntry, ...]
    format_version: int = 1


_DOCUMENTS: dict[str, type[Struct]] = {
    "plan": Plan,
    "report": Report,
    "reports": Reports,
    "outcome": Outcome,
    "state": State,
    "states": States,
}


def plan_json(plan: Plan) -> str:
    return _text(plan)


def report_json(report: Report) -> str:
    return _text(report)


def reports_json(reports: Sequence[Report]) -> str:
    return _text(Reports(verdict_of(reports), tuple(reports)))


def outcome_json(outcome: Outcome) -> str:
    return _text(outcome)


def state_json(state: State) -> str:
    return _text(state)


def states_json(found: Sequence[ListedState]) -> str:
    entries = (
        StateEntry(
            each.name,
            each.environment,
            each.path,
            each.state.serial if each.state else None,
            standing(each.state) if each.state else "Cannot be read",
            each.problem,
        )
        for each in found
    )
    return _text(States(tuple(entries)))


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (draft 2020-12) of each kind of document, by its name."""
    return {name: _schema(name, kind) for name, kind in _DOCUMENTS.items()}


def schema_json(name: str) -> str:
    """Return one of `schemas` as text. Raises KeyError."""
    return _text(_schema(name, _DOCUMENTS[name]))


def _schema(name: str, kind: type[Struct]) -> dict[str, Any]:
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"vecmig {name}"}
    schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(head | msgspec.json.schema(kind)))
    return schema  # as JSON has it: no tuples


def _text(document: object) -> str:
    data = msgspec.json.format(msgspec.json.encode(document), indent=2)
    return json_visible(data.decode()) + "\n"
