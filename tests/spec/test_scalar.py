import pytest

from vecmig.spec.scalar import Value, value_of


@pytest.mark.parametrize(
    ("text", "value"),
    [("16", 16), ("-3", -3), ("0x1F", 31), ("0o17", 15), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("true", True), ("False", False),
     ("~", None), ("null", None), ("", None), ("a b", "a b"), ("1.2.3", "1.2.3"), ("-", "-"), ("v1", "v1")],
)  # fmt: skip
def test_a_scalar_without_quotes_is_what_editors_take_it_for(text: str, value: Value) -> None:
    assert value_of(text) == value
    assert type(value_of(text)) is type(value)


@pytest.mark.parametrize("text", ["no", "yes", "on", "1:30", "1_000", ".nan", ".inf", "NO"])
def test_what_only_yaml_1_1_takes_for_something_else_stays_a_text(text: str) -> None:
    assert value_of(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("2026-01-02", "2026-01-02"), ("2026-01-02 03:04:05", "2026-01-02T03:04:05+00:00"), ("2026-1-2T3:04:05Z", "2026-01-02T03:04:05+00:00"),
     ("2026-01-02t03:04:05.25+02:00", "2026-01-02T03:04:05.250000+02:00"), ("2026-01-02 03:04:05 -0530", "2026-01-02T03:04:05-05:30")],
)  # fmt: skip
def test_dates_become_iso_text_in_utc_where_they_name_no_zone(text: str, value: str) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text", ["2026-02-30", "2026-01-01 25:00:00", "9223372036854775808", "9" * 5000, "0x" + "f" * 5000, "1e999"]
)
def test_what_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such date|64 bits|too large"):
        value_of(text)
