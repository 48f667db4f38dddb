from decimal import Decimal

import pytest

from vecmig.conversion.cast import cast
from vecmig.model.collection import FieldType


@pytest.mark.parametrize(
    ("value", "type", "expected"),
    [
        (None, "int", None),
        ("a", "text", "a"),
        (12, "text", "12"),
        (True, "text", "true"),
        (12, "int", 12),
        (12.0, "int", 12),
        ("12", "int", 12),
        (Decimal("12.0"), "int", 12),
        (-(2**63), "int", -(2**63)),
        (12, "float", 12.0),
        ("0.5", "float", 0.5),
        (Decimal("0.1000000000000000055511151231257827"), "float", 0.1),
        ("true", "bool", True),
        (False, "bool", False),
        ("2026-01-01", "datetime", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00+01:00", "datetime", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00.500000000Z", "datetime", "2026-01-01T00:00:00.500000Z"),
        ("2026-01-01T00:00:00,500000000Z", "datetime", "2026-01-01T00:00:00.500000Z"),
        (0, "datetime", "1970-01-01T00:00:00Z"),
        (-0.5, "datetime", "1969-12-31T23:59:59.500000Z"),
        (1700000000.123456, "datetime", "2023-11-14T22:13:20.123456Z"),  # the nearest double, as JSON writes it
        (Decimal("-62135596799.999999"), "datetime", "0001-01-01T00:00:00.000001Z"),
        (253402300799, "datetime", "9999-12-31T23:59:59Z"),
        (2**63, "float", float(2**63)),
        (Decimal(2**63), "float", float(2**63)),
        (Decimal(2**64), "float", float(2**64)),
        ("-12", "int", -12),
        ("+012", "int", 12),
        (".5", "float", 0.5),
        ("1e3", "int", 1000),
        (Decimal(10**23), "float", 1e23),  # whose shortest text is the same number
        ("-0.5E-3", "float", -0.0005),
        ("a", "text[]", ["a"]),
        ([1, 2.0], "int[]", [1, 2]),
        ([], "int[]", []),
    ],
)
def test_a_value_that_keeps_its_meaning_is_converted(value: object, type: FieldType, expected: object) -> None:
    result = cast(value, type)
    assert result == expected
    assert result.__class__ is expected.__class__


@pytest.mark.parametrize(
    ("value", "type", "reason"),
    [
        ("abc", "int", "not a number"),
        (1.5, "int", "fraction"),
        (2**63, "int", "64 bits"),
        (True, "int", "bool"),
        (2**53 + 1, "float", "2\\*\\*53"),
        (Decimal(2**63 + 1), "float", "2\\*\\*53"),
        (Decimal(-(2**64) - 1), "float", "2\\*\\*53"),
        (str(2**64 + 1), "float", "2\\*\\*53"),
        (Decimal(10**300 + 1), "float", "2\\*\\*53"),
        (Decimal("1e400"), "float", "too large"),
        ("1_000", "int", "not a number"),
        (" 12 ", "int", "not a number"),
        ("１２", "int", "not a number"),
        ("1e99999999999999999999", "float", "out of range"),
        ("1e999999999", "float", "out of range"),
        ("NaN", "float", "not a number"),
        ({"a": 1}, "text", "object"),
        ("yes", "bool", "not true or false"),
        ("soon", "datetime", "no ISO date"),
        ("2026-01-01T00:00:00.123456789Z", "datetime", "finer than microseconds"),
        ("2026-01-01T00:00:00,1234567", "datetime", "finer than microseconds"),
        ("2026-01-01T00:00:00+01:00:00.1234567", "datetime", "finer than microseconds"),
        (0.1234567, "datetime", "finer than microseconds"),
        (Decimal("1700000000.1234567"), "datetime", "finer than microseconds"),
        (1e-300, "datetime", "finer than microseconds"),
        (float(2**60), "datetime", "no ISO date"),
        (10**20, "datetime", "no ISO date"),
        ([1, None], "int[]", "null"),
        ([1, "x"], "int[]", "not a number"),
    ],
)
def test_a_value_that_would_lose_its_meaning_is_refused_without_being_shown(
    value: object, type: FieldType, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        cast(value, type)
    assert "abc" not in str(error.value)
    assert "soon" not in str(error.value)
