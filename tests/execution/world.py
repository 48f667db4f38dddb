"""A migration between two memory stores, applied by the real loop with a state that can die."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from pathlib import Path
from threading import Event
from typing import Any

from msgspec.structs import replace

from vecmig.connectors.memory import MemoryOptions
from vecmig.execution.apply import apply
from vecmig.execution.local import LocalExecutor
from vecmig.migration import Endpoint, Migration
from vecmig.model.observed import Observed
from vecmig.model.plan import Plan
from vecmig.model.settings import Execution, Limits
from vecmig.model.state import Progress, State
from vecmig.planning.plan import plan_migration
from vecmig.protocols import Target
from vecmig.testing.contract import COLLECTION, COUNTS, KEYS, records

SOURCE = replace(COLLECTION, name="docs", mark=None)


class Killed(BaseException):
    """As SIGKILL: nothing handles it."""


@dataclass
class MemoryStore:
    """A StateStore that dies at its n-th checkpoint, before it kept the state or after."""

    state: State | None = None
    dies_at: int = 0
    keeps: bool = True
    seen: Callable[[State], None] = lambda state: None  # called after each checkpoint that was kept

    def load(self) -> State | None:
        return self.state

    def save(self, state: State) -> State:
        self.state = replace(state, serial=state.serial + 1)
        return self.state

    def checkpoint(self, state: State) -> State:
        self.dies_at -= 1
        if self.dies_at != 0 or self.keeps:
            self.state = state
        if self.dies_at == 0:
            raise Killed
        self.seen(state)
        return state

    def flush(self) -> None: ...

    @contextmanager
    def lock(self, timeout_s: float) -> Iterator[None]:
        yield


@dataclass
class World:
    """A source of ten records in two namespaces, read two at a time, and an empty target."""

    name: str
    directory: Path
    migration: Migration = field(init=False)
    limits: Limits = Limits()
    workers: int = 2

    def __post_init__(self) -> None:
        source = MemoryOptions("docs", database=self.name + "/source", page_rows=2)
        target = MemoryOptions("kb", database=self.name + "/target")
        self.migration = Migration("m", Endpoint("s", "memory", source), Endpoint("t", "memory", target))
        self.source.create(SOURCE)
        self.source.upsert("docs", records(KEYS))

    @property
    def source(self) -> Target:
        return self.migration.source.options.open()  # type: ignore[return-value]

    @property
    def target(self) -> Target:
        return self.migration.target.options.open()  # type: ignore[return-value]

    def change(self, **changes: Any) -> None:
        self.migration = with_changes(self.migration, **changes)

    def plan(self) -> Plan:
        parts = tuple(self.source.partitions("docs", 1 if self.migration.limit else 2))
        observed = Observed(SOURCE, COUNTS, self.source.fingerprint("docs"), None, parts)
        there = self.target.describe("kb")
        target = (
            Observed(there, self.target.count("kb"), self.target.fingerprint("kb")) if there else Observed(None, {})
        )
        planned = plan_migration(self.migration, observed, target, None, "vecmig:n/e:l")
        return Plan("n", "e", "f", "d", {}, (), "l", 0, (planned,), "now", "0")

    def apply(self, plan: Plan, store: MemoryStore, stop: Event | None = None) -> list[Progress]:
        stop, works = stop or Event(), {"m": self.migration}
        executor = LocalExecutor(works, Execution(self.workers), self.limits, self.directory / "bad", stop)
        state = store.load() or State("n", "e", "l")
        events = apply(plan, works=works, executor=executor, store=store, state=state, now=lambda: "t", stop=stop)
        return [event for event in events if isinstance(event, Progress)]
