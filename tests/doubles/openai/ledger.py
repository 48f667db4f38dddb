"""What was charged: kept in memory and, where a file is given, there, for those who look while the process lives on."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(slots=True)
class Ledger:
    """`charged`: how often each text was embedded and paid for."""

    path: Path | None = None
    requests: int = 0  # that were charged
    tokens: int = 0
    charged: Counter[str] = field(default_factory=Counter)
    by_key: Counter[str] = field(default_factory=Counter)  # requests
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """Return what a process wrote so far, or nothing yet."""
        ledger = cls()
        # a line that is not finished is of a request that has no answer yet
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        for line in lines:
            ledger._count(**orjson.loads(line))
        return ledger

    @property
    def twice(self) -> dict[str, int]:
        """The texts that were paid for more than once, and how often."""
        return {text: times for text, times in self.charged.items() if times > 1}

    def charge(self, key: str, texts: list[str], tokens: int) -> None:
        with self._lock:
            self._count(key, texts, tokens)
            if self.path is not None:
                with self.path.open("ab") as file:
                    file.write(orjson.dumps({"key": key, "texts": texts, "tokens": tokens}) + b"\n")

    def _count(self, key: str, texts: list[str], tokens: int, **_: Any) -> None:
        self.requests += 1
        self.tokens += tokens
        self.charged.update(texts)
        self.by_key[key] += 1
