"""The executor that moves partitions side by side in threads of this process."""

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from threading import Event, Lock, Thread

from vecmig.embedding.embed import Step
from vecmig.embedding.models import Purse, embedding_step, spent_of
from vecmig.errors import GuardError, TransientError
from vecmig.execution.copy import Tools, check_stop, copy
from vecmig.execution.quarantine import Quarantine
from vecmig.execution.reconcile import reconcile
from vecmig.migration import Migration
from vecmig.model.plan import LoadRecords, ReconcileRecords
from vecmig.model.record import Key, Rejected
from vecmig.model.settings import Execution, Limits
from vecmig.model.state import Checkpoint, Progress, State
from vecmig.protocols import Looked, Spent, Stage
from vecmig.retry import Throttle, retrying

WRITES_AT_ONCE = 2  # of one worker: one alone leaves the store idle while it commits, and vecmig while it stores


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """Each worker has connections of its own. Threads do: clients, Arrow and hashing let go of the interpreter's lock."""

    migrations: Mapping[str, Migration]
    execution: Execution
    limits: Limits
    quarantine: Path
    stop: Event = field(default_factory=Event)  # set: end after the batches at hand
    purses: Mapping[str, Purse] = field(default_factory=dict)  # of migrations that embed texts

    def run(self, action: LoadRecords | ReconcileRecords, state: State) -> Iterator[Stage | Progress | Looked | Spent]:
        """Yield after each acknowledged batch. Raises Stopped once all workers have ended after `stop`."""
        migration = self.migrations[action.migration]
        rules = action.conversion.embed
        stop = Event()  # ends this action's workers, at the user's wish or after an error
        embedding = embedding_step(migration, rules, self.purses[migration.name], stop) if rules else nullcontext()
        with _passed_on(self.stop, to=stop), embedding as step:
            before: Spent | None = None
            models = [rule.model for rule in rules]
            for event in self._run(migration, action, state, stop, step):
                yield event
                if rules and (spent := spent_of(migration, models, self.purses[migration.name])) != before:
                    yield spent
                    before = spent
        check_stop(self.stop)

    def _run(
        self,
        migration: Migration,
        action: LoadRecords | ReconcileRecords,
        state: State,
        stop: Event,
        embed: Step | None,
    ) -> Iterator[Stage | Progress | Looked]:
        quarantines = migration.on_bad_record == "quarantine"
        tools = Tools(
            stop,
            Throttle(self.limits.read_records_per_s, stop),
            Throttle(self.limits.write_records_per_s, stop),
            Quarantine(self.quarantine) if quarantines else None,
            embed,
        )
        if tools.quarantine and (isinstance(action, ReconcileRecords) or not state.checkpoints_of(action.migration)):
            tools.quarantine.clear(action.migration)
        guard = _Guard(action.migration, self.limits.max_quarantined, self.quarantine)
        for each in state.checkpoints:
            if each.migration != action.migration or isinstance(action, LoadRecords):  # a reconciliation begins anew
                guard.note(each.migration, each.rejected)
        if isinstance(action, ReconcileRecords):
            yield Stage(action.migration, "reconcile")
            applied = state.applied.get(action.migration)
            written = applied.namespaces if applied else ()
            steps: Generator[Progress | Looked, None, None] = reconcile(
                migration, action, self.execution.workers, tools, written, guard.count
            )
        else:
            done = sum(each.read for each in state.checkpoints_of(action.migration))
            yield Stage(action.migration, "load", action.rows, done)
            steps = self._load(migration, action, state, tools)
        with closing(steps):
            for event in steps:
                yield event
                if isinstance(event, Progress):
                    guard.count(event.rejected)

    def _load(
        self, migration: Migration, load: LoadRecords, state: State, tools: Tools
    ) -> Generator[Progress, None, None]:
        waiting = deque(state.checkpoint_of(load.migration, part) for part in load.partitions)
        results: Queue[Progress | Future[None]] = Queue(maxsize=2 * self.execution.workers)

        def work() -> None:
            patiently = retrying(tools.stop)
            with ExitStack() as stack:
                source = stack.enter_context(closing(patiently(migration.source.open_source)))
                targets = [
                    stack.enter_context(closing(patiently(migration.target.open_target))) for _ in range(WRITES_AT_ONCE)
                ]
                while (at := _next(waiting)) is not None and not tools.stop.is_set():
                    for progress in copy(source, targets, load, at, tools):
                        results.put(progress)

        with ThreadPoolExecutor(self.execution.workers, thread_name_prefix="worker") as pool:
            running = min(self.execution.workers, len(waiting))
            for _ in range(running):
                pool.submit(work).add_done_callback(results.put)
            error: BaseException | None = None
            try:
                while running:
                    match results.get():
                        case Progress() as progress:
                            yield progress
                        case ended:
                            running -= 1
                            error = error or ended.exception()
                            if error:
                                tools.stop.set()
            finally:  # left early: the workers must not wait for room in the queue
                tools.stop.set()
                while running:
                    running -= not isinstance(results.get(), Progress)
        if error and not (self.stop.is_set() and isinstance(error, TransientError)):
            raise error  # but one that was only waiting for a store to come back ends as the user wished


class _Guard:
    """Counts the records put aside, each once, over all migrations of the plan. For several threads."""

    def __init__(self, migration: str, most: int, directory: Path) -> None:
        self._migration, self._most, self._directory = migration, most, directory
        self._known: set[tuple[str, Key]] = set()
        self._lock = Lock()

    def note(self, migration: str, rejected: Sequence[Rejected]) -> int:
        with self._lock:
            self._known.update((migration, each.key) for each in rejected)
            return len(self._known)

    def count(self, rejected: Sequence[Rejected]) -> None:
        """Note bad records of this migration. Raises GuardError if there are too many by now."""
        known = self.note(self._migration, rejected)
        if known > self._most:
            raise GuardError(
                f"{self._migration}: {known:,} bad records, more than limits.max_quarantined ({self._most:,}); they are "
                f"in {self._directory}. Look at their reasons, mend the source or raise the limit, and run again"
            )


@contextmanager
def _passed_on(flag: Event, to: Event) -> Iterator[None]:
    """Set one event soon after the other: who waits for `to` need not know of `flag`."""
    ended = Event()

    def follow() -> None:
        while not ended.wait(0.1):  # not on `flag`: the end of each action would wait for this thread
            if flag.is_set():
                to.set()
                return

    follower = Thread(target=follow, name="stop", daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()


def _next(waiting: "deque[Checkpoint]") -> Checkpoint | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None
