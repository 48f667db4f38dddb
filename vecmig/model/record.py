"""What is said of records without holding them: free of Arrow, so that a spec loads without paying for it."""

from msgspec import Struct

MODULUS = 2**128


class Key(Struct, frozen=True, order=True, array_like=True):
    """What identifies a record. Sorts by code point, as UTF-8 bytes do."""

    namespace: str  # "" where a store has none
    id: str

    def __str__(self) -> str:
        short = self.id if len(self.id) <= 80 else f"{self.id[:60]}… ({len(self.id):,} characters)"
        return f"{short!r} in namespace {self.namespace!r}" if self.namespace else repr(short)


class Digest(Struct, frozen=True):
    """The sum of the records' 128-bit hashes, modulo 2**128, as 32 hexadecimal digits (JSON has no such integers).

    A sum, not xor: in an xor a record stored twice would cancel itself out.
    """

    hex: str = "0" * 32

    def __add__(self, other: "Digest") -> "Digest":
        return Digest(f"{(int(self.hex, 16) + int(other.hex, 16)) % MODULUS:032x}")


class Rejected(Struct, frozen=True):
    """A record that a store cannot hold."""

    key: Key
    reason: str
    by_target: bool = False  # False: it could not be converted, which reading it again would tell anew
    digest: Digest | None = None  # of what the target refused: another one in the source is yet to be tried
