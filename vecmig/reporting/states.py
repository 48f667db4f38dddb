"""How an environment stands, in words that every output shares."""

from typing import Protocol

from vecmig.model.state import State
from vecmig.reporting.outcome import verdict_of


class ListedState(Protocol):
    """One of the states beside a spec."""

    @property
    def name(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def state(self) -> State | None:
        """None: it cannot be read."""

    @property
    def problem(self) -> str:
        """Why it cannot be read, or ""."""


def standing(state: State | None, running: bool = False) -> str:
    """Return one phrase: what was applied, and whether it was shown to be right."""
    if running:
        return "Running"
    if state is not None and state.plan is not None:
        return "Unfinished"
    if state is None or not state.applied:
        return "Nothing applied yet"
    reports = [each.report for each in state.applied.values() if each.report is not None]
    if len(reports) < len(state.applied):
        return "Applied, not verified"
    ends = {"passed": " and verified", "failed": ", verification FAILED", "unknown": ", verification could not decide"}
    return "Applied" + ends[verdict_of(reports)]
