"""How well a search ranks what is known to be relevant. Grades are 0 and up; what has none counts as 0."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vecmig.model.report import Quality
from vecmig.verification.measure import interval

Ranked = Sequence[str]  # ids, the nearest first, each once
Grades = Mapping[str, float]  # by id; at least one is above 0


def ndcg(found: Ranked, grades: Grades, k: int) -> float:
    """Return nDCG@k: the gains of the first k, discounted by their rank, over those of the best order that there is.

    The gain is the grade, the discount of rank r is log2(r + 1): Järvelin and Kekäläinen, ACM TOIS 20(4), 2002, with the
    discount from the first rank on, as trec_eval and scikit-learn have it.
    """
    gains = np.array([grades.get(each, 0.0) for each in found[:k]])
    best = np.sort(np.array([*grades.values()]))[::-1][:k]
    return float(_discounted(gains) / _discounted(best))


def reciprocal_rank(found: Ranked, grades: Grades, k: int) -> float:
    """Return 1 / rank of the first relevant id among the first k, 0 if there is none.

    Its mean over queries is MRR: Voorhees, The TREC-8 Question Answering Track Report, 1999.
    """
    return next((1 / rank for rank, each in enumerate(found[:k], 1) if grades.get(each, 0) > 0), 0.0)


def labelled_recall(found: Ranked, grades: Grades, k: int) -> float:
    """Return the share of all relevant ids that are among the first k (trec_eval's recall_k)."""
    relevant = {each for each, grade in grades.items() if grade > 0}
    return len(relevant.intersection(found[:k])) / len(relevant)


def quality(rankings: Sequence[Ranked], grades: Sequence[Grades], k: int) -> Quality | None:
    """Return the measures over all queries, a ranking and its grades each; None without queries."""
    pairs = list(zip(rankings, grades, strict=True))
    ndcgs = tuple(ndcg(found, known, k) for found, known in pairs)
    ranks = tuple(reciprocal_rank(found, known, k) for found, known in pairs)
    recalls = tuple(labelled_recall(found, known, k) for found, known in pairs)
    means = interval(ndcgs), interval(ranks), interval(recalls)
    if means[0] is None or means[1] is None or means[2] is None:
        return None
    return Quality(*means, ndcgs, ranks, recalls)  # type: ignore[arg-type]  # none of them is None


def _discounted(gains: NDArray[np.float64]) -> np.float64:
    total: np.float64 = (gains / np.log2(np.arange(2, len(gains) + 2))).sum()
    return total
