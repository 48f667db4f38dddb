"""Overlap and recall of search results, and how sure their means are."""

from collections.abc import Collection, Sequence

import numpy as np

from vecmig.model.record import Key
from vecmig.model.report import Interval
from vecmig.protocols import Hits

RESAMPLES = 1000
ROUNDING = 5e-7  # of distances in float32: stores and exact search differ by up to 4e-7 in a cosine
SEED = 20_241  # fixed: the same results give the same interval


def without(hits: Hits, left_out: Collection[Key], k: int) -> list[tuple[Key, float]]:
    """Return the k nearest keys with their distances, each key once, without those left out."""
    found: dict[Key, float] = {}
    for key, distance in zip(hits.keys, hits.distances.tolist(), strict=True):
        if key not in left_out:
            found.setdefault(key, distance)
    return list(found.items())[:k]


def overlap(source: Sequence[tuple[Key, float]], target: Sequence[tuple[Key, float]]) -> float:
    """Return the share of keys that both results hold; 1 where both are empty."""
    ours, theirs = ({key for key, _ in hits} for hits in (source, target))
    return len(ours & theirs) / max(len(ours), len(theirs)) if ours or theirs else 1.0


def recall(found: Sequence[tuple[Key, float]], exact: Sequence[tuple[Key, float]]) -> float:
    """Return recall@k, by distance: a hit counts if it is no farther than the k-th nearest record.

    So records at the same distance do not count against an index that picked another of them. This is the recall of
    ANN-Benchmarks (Aumüller, Bernhardsson, Faithfull, Information Systems 87, 2020, section 3.6), with a tolerance for
    rounding only. `exact` holds at least one hit.
    """
    farthest = exact[-1][1]
    bound = farthest + abs(farthest) * 1e-6 + ROUNDING
    return min(1.0, sum(distance <= bound for _, distance in found) / len(exact))


def interval(values: Sequence[float]) -> Interval | None:
    """Return the mean with its 95 % bootstrap interval (percentiles of resampled means); None without values."""
    if not values:
        return None
    data = np.array(values)
    rows = np.random.default_rng(SEED).integers(len(data), size=(RESAMPLES, len(data)))
    low, high = np.percentile(data[rows].mean(axis=1), [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high))
