"""What a misspelt word was probably meant to be, and the hint that says so."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, or None."""
    words = {_plain(each): each for each in known}
    found = get_close_matches(_plain(word[:100]), words, n=1, cutoff=0.6)
    return words[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "there are") -> str:
    """Return a hint: the nearest word, or all of them after `otherwise`."""
    words = list(known)
    found = nearest(word, words)
    if found:
        return f"did you mean `{found}`?"
    return f"{otherwise} {listed(words)}" if words else ""


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """Return words as people list them, in code marks."""
    *front, last = [f"`{word}`" for word in words]
    return f"{', '.join(front)} {conjunction} {last}" if front else last


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
