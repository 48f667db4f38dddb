"""Both sides' vectors, and how the ones become the others."""

from dataclasses import dataclass

from vecmig.model.batch import column_of
from vecmig.model.collection import Collection, VectorField
from vecmig.model.plan import Conversion


@dataclass(frozen=True, slots=True)
class Shapes:
    source: Collection | None  # as it is
    target: Collection  # as it is declared
    conversion: Conversion

    @property
    def dense(self) -> list[VectorField]:
        """The target's vectors that can be queried."""
        return [field for field in self.target.vectors if field.kind != "sparse"]

    def origin_name(self, vector: str) -> str | None:
        """Return what the source calls the vector that one of the target comes from, or takes the place of."""
        rules: dict[str, str | None] = {rule.name: rule.source for rule in self.conversion.vectors}
        rules |= {rule.name: rule.before for rule in self.conversion.embed}
        return rules.get(vector, vector)

    def origin(self, vector: str) -> VectorField | None:
        """Return that vector of the source, None where it has none."""
        known = {column_of(each): each for each in self.source.vectors} if self.source else {}
        return known.get(f"vector:{self.origin_name(vector)}")

    def reembedded(self, vector: str) -> bool:
        """Return whether another model made it than its origin: each side is asked with vectors of its own."""
        return any(rule.name == vector for rule in self.conversion.embed)

    def shortened_to(self, vector: str) -> int | None:
        """Return the dimensions that it is cut to, None where it stays whole."""
        return next((rule.dimensions for rule in self.conversion.vectors if rule.name == vector), None)
