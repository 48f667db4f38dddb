"""Distances on the earth."""

import math
from typing import Any

RADIUS_M = 6_371_000


def is_within(point: dict[str, float], circle: Any) -> bool:
    """Whether a point lies within a filter's distance in metres, by the haversine formula."""
    here, there = math.radians(point["latitude"]), math.radians(circle.latitude)
    across = math.radians(circle.longitude - point["longitude"])
    half = math.sin((there - here) / 2) ** 2 + math.cos(here) * math.cos(there) * math.sin(across / 2) ** 2
    return 2 * RADIUS_M * math.asin(math.sqrt(half)) <= float(circle.distance)
