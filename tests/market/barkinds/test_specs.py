"""Texts of kinds of bars: what they mean, how they are written, and what a wrong one is told."""

from fractions import Fraction

import pytest

from tapeline.errors import UsageError
from tapeline.market.barkinds.specs import BarSpec, live_kinds, parse


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1m", "1m"), ("007s", "7s"), (" 2h ", "2h"), ("1w", "1w"), ("1d@America/New_York", "1d@America/New_York"),
        ("1h@XNYS", "1h@XNYS"), ("1w@FX", "1w@FX"), ("15m@UTC", "15m@UTC"), ("tick:0500", "tick:500"), ("volume:10.0", "volume:10"),
        ("volume:0.00000001", "volume:0.00000001"), ("notional:1000000", "notional:1000000"),
        ("tick_imbalance:100:adaptive", "tick_imbalance:100:adaptive"), ("notional_run:0.50", "notional_run:0.5"),
        ("renko:10", "renko:10"), ("heikin-ashi:1m", "heikin-ashi:1m"), ("heikin-ashi:volume:5.0", "heikin-ashi:volume:5"),
    ],
)  # fmt: skip
def test_one_text_a_kind(text: str, written: str) -> None:
    spec = parse(text)
    assert spec.text == written
    assert parse(written) == spec or spec.slots is not None


def test_what_a_text_means() -> None:
    spec = parse("volume_imbalance:12.5")
    assert (spec.family, spec.measure, spec.how, spec.amount, spec.adaptive) == (
        "threshold", "volume", "imbalance", Fraction(25, 2), False,
    )  # fmt: skip
    assert parse("1m").standard
    assert not parse("60s").standard
    assert parse("heikin-ashi:tick:5").base == parse("tick:5")


@pytest.mark.parametrize(
    ("text", "place", "fix"),
    [
        ("tik:500", "'tik'", "did you mean tick:500"), ("", "''", "tick:500"), ("tick", "'tick'", "tick:500"),
        ("tick:", "''", "as in tick:500"), ("tick:1.5", "1.5", "a whole one"), ("volume:0", "'0'", "as in volume:500"),
        ("volume:-3", "'-3'", "above 0"), ("volume:1e5", "'1e5'", "without an exponent"), ("renko:x", "'x'", "renko:10"),
        ("volume:1234567890123456", "1234567890123456", "15 digits"), ("tick:5:adaptive", "'adaptive'", "write tick:5"),
        ("tick_run:5:adapt", "'adapt'", "tick_run:5:adaptive"), ("0s", "'0s'", "write a time"), ("5x", "'5x'", "tick:500"),
        ("1d@America/New_Yrok", "America/New_Yrok", "America/New_York"), ("1d@America", "America", "identifier code"),
        ("1d@../etc", "../etc", "New_York"), ("7h@Europe/Berlin", "7h", "part of a day"), ("2w@Europe/Berlin", "2w", "1w"),
        ("36h@Europe/Berlin", "36h", "divide a day"), ("1h@XNYSE", "XNYSE", "XNYS"), ("2d@XNYS", "2d@XNYS", "1d@XNYS"),
        ("2w@FX", "2w@FX", "1w@FX"), ("heikin-ashi:heikin-ashi:1m", "view of a view", "heikin-ashi:1m"),
        ("heikin-ashi:x", "'x'", "tick:500"), ("1m:5", "'1m'", "there are 90s"), ("volume:٣", "'٣'", "digits"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_the_fix(text: str, place: str, fix: str) -> None:
    with pytest.raises(UsageError) as e:
        parse(text)
    assert place in str(e.value)
    assert fix in str(e.value)


def test_a_view_is_not_made_live() -> None:
    kinds = dict(live_kinds(["tick:5", "heikin-ashi:1m", "nonsense", "tick:5"]))
    assert isinstance(kinds["tick:5"], BarSpec)
    assert "name 1m" in str(kinds["heikin-ashi:1m"])
    assert isinstance(kinds["nonsense"], UsageError)
