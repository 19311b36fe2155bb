"""What decoders share: times as texts, and numbers that a float64 cannot hold."""

from datetime import UTC, datetime

import pytest

from tapeline.venues.decoding import inexact, iso_nanoseconds


@pytest.mark.parametrize("fraction", ["", ".1", ".123", ".123456", ".123456789", ".000000001", ".1234567899"])
@pytest.mark.parametrize("zone", ["Z", "+00:00", ""])
def test_times_as_texts(fraction: str, zone: str) -> None:
    seconds = int(datetime(2026, 8, 26, 15, 16, 16, tzinfo=UTC).timestamp())
    wanted = seconds * 10**9 + int(fraction[1:].ljust(9, "0")[:9])
    assert iso_nanoseconds(f"2026-08-26T15:16:16{fraction}{zone}") == wanted
    assert iso_nanoseconds(f"2026-08-26 15:16:16{fraction}{zone}") == wanted


@pytest.mark.parametrize(
    "text",
    ["", "Z", "2026-08-26T15:16:16.½Z", "2026-08-26T15:16:16.١Z", "2026-08-26T15:16:16.Z", "2026-08-26T15:16:16.-1Z", "2026-08-26T15:16:61.1Z",
     "2026-13-26T15:16:16.1Z", "2026-08-26T15:16:1 .1Z", "2026-08-26T24:16:16.1Z", "20260826T15:16:16.1Z", "x" * 30, "x" * 19 + ".1Z"],
)  # fmt: skip
def test_texts_that_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match="is no UTC time"):
        iso_nanoseconds(text)


def test_the_year_one_is_a_time() -> None:
    assert iso_nanoseconds("0001-01-01T00:00:00.000000Z") == iso_nanoseconds("0001-01-01T00:00:00Z") == -62_135_596_800 * 10**9


@pytest.mark.parametrize(
    ("number", "is_inexact"),
    [
        ('"123456789.1234567"', True),
        ('"12345678.12345678"', True),
        ('"12345678.1234567"', False),
        ('"76123674.10000000"', False),
        ('"0.000000001234567890123456"', True),
        ('"0.00000000123456789"', False),
        ('"12345678901234567890"', False),  # an id
        ("123456789.1234567", True),
        ("-123456789.1234567", True),
        ('"1234567.12345678901e-5"', True),
        ('"x123456789.1234567"', False),  # part of a text
        ('"123456789.1234567y"', False),
    ],
)
def test_numbers_that_a_float_cannot_hold_are_found_wherever_they_stand(number: str, is_inexact: bool) -> None:
    for raw in (
        '{"a":%s}', '{"p":"1.5","q":%s,"r":"0.25"}', '[["1.5",%s],["2.5","7"]]', '{"t":1795255500000000000,"long":"%s","q": %%s }' % ("7" * 40),
    ):  # fmt: skip
        assert inexact((raw % number).encode()) is is_inexact, raw % number
