"""A clock that no machine disturbs."""

from collections.abc import Callable


class Clock:
    """Time that passes when a test says so, or while somebody sleeps; stands for the module `time`, too."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._due: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, do = self._due.pop(0)
            do()
        self.now = end

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something while somebody sleeps; one after the other in the order they are asked for."""
        self._due.append((self.now + seconds, do))
