"""Distances between one vector and many, as the server defines them: less is nearer."""

import numpy as np
from numpy.typing import NDArray

from tests.doubles.weaviate.partitions import Matrix, Vector


def distances(metric: str, stored: Matrix, vector: Vector) -> NDArray[np.float32]:
    """Of each row of the matrix."""
    matrix = stored.rows
    match metric:
        case "dot":
            found = -(matrix @ vector)
        case "l2-squared":
            found = ((matrix - vector) ** 2).sum(axis=1)
        case "manhattan":
            found = np.abs(matrix - vector).sum(axis=1)
        case "hamming":
            found = (matrix != vector).sum(axis=1)
        case _:
            norms = stored.norms * np.linalg.norm(vector)
            dots = matrix @ vector
            # a zero vector is as far from everything as an orthogonal one
            found = 1 - np.divide(dots, norms, out=np.zeros_like(dots), where=norms != 0)
    return np.asarray(found, np.float32)
