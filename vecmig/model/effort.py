"""How much a comparison and a search test take on: what runs and what is estimated must agree."""

ROUND_ROWS = 1_000_000  # of the target compared by key in one round: 32 bytes each, and as much again while sorted
SEARCHED_NAMESPACES = 5  # the largest: with thousands of tenants each would get one query
