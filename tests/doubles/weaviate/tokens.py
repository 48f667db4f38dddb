"""Text cut into the tokens that filters and keyword search compare."""

import re
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from typing import Any

ENGLISH = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "if",
        "in",
        "into",
        "is",
        "it",
        "no",
        "not",
        "of",
        "on",
        "or",
        "such",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "will",
        "with",
    ]
)
_WORDS = re.compile(r"[^\W_]+")
_WORDS_AND_WILDCARDS = re.compile(r"[^\W_?*]*(?:[?*][^\W_?*]*)*")


def tokens(tokenization: str, text: str) -> list[str]:
    match tokenization:
        case "field":
            return [text.strip()]  # of an empty text, too: a filter finds it
        case "whitespace":
            return text.split()
        case "lowercase":
            return text.lower().split()
        case "trigram":
            letters = "".join(_WORDS.findall(text.lower()))
            return [letters[at : at + 3] for at in range(len(letters) - 2)]
        case _:
            return _WORDS.findall(text.lower())


def stopwords(schema: dict[str, Any], tokenization: str) -> frozenset[str]:
    """The words that are left out of a query; only where text is cut into words."""
    if tokenization != "word":
        return frozenset()
    config = schema["invertedIndexConfig"]["stopwords"]
    preset = ENGLISH if config["preset"] == "en" else frozenset()
    return (preset | set(config["additions"] or [])) - set(config["removals"] or [])


def patterns(tokenization: str, text: str) -> list[re.Pattern[str]]:
    """What each token of a text with the wildcards ? and * is to match."""
    if tokenization in ("field", "whitespace", "lowercase"):
        found = tokens(tokenization, text)
    else:
        found = [part for part in _WORDS_AND_WILDCARDS.findall(text.lower()) if part]
    return [re.compile(translate(part.replace("[", "[[]"))) for part in found]


@lru_cache(maxsize=200_000)
def token_set(tokenization: str, text: str) -> frozenset[str]:
    return frozenset(tokens(tokenization, text))


def all_tokens(tokenization: str, texts: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(token_set(tokenization, text) for text in texts))
