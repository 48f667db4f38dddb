import threading
from collections.abc import Generator

import pytest

from vecmig.execution.prefetch import prefetched


class Made:
    """Numbers, with a record of how many were made, where, and whether the maker was closed."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.count, self.closed, self.threads, self.fails_at = 0, False, set[int](), fails_at

    def numbers(self) -> Generator[int, None, None]:
        try:
            for number in range(100):
                if number == self.fails_at:
                    raise ValueError("the tenth")
                self.threads.add(threading.get_ident())
                self.count += 1
                yield number
        finally:
            self.closed = True


def test_all_items_come_in_order_made_in_one_other_thread() -> None:
    made = Made()
    assert list(prefetched(made.numbers())) == list(range(100))
    assert len(made.threads) == 1
    assert threading.get_ident() not in made.threads


def test_no_more_is_made_than_is_asked_for_and_a_little_ahead() -> None:
    made = Made()
    items = prefetched(made.numbers(), ahead=2)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    items.close()  # type: ignore[attr-defined]  # it is a generator
    assert made.count <= 3 + 2 + 1
    assert made.closed


def test_an_error_comes_where_its_item_would_have_come() -> None:
    made, seen = Made(fails_at=10), list[int]()
    with pytest.raises(ValueError, match="the tenth"):
        seen.extend(prefetched(made.numbers()))
    assert seen == list(range(10))
    assert made.closed
