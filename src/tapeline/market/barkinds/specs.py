"""Bars of every kind by one short text, which is also what `Bar.interval` says.

    90s  2h  1w                      time; see market/intervals.py
    1d@America/New_York  4h@Europe/Berlin     time by the wall clock of a place
    1h@XNYS  1d@FX                   time from the open of an exchange's trading, or of the week of currencies
    tick:500                         every 500 trades
    volume:10   notional:1000000     when so much was traded, in units of the base or of the quote asset
    tick_imbalance:100               when buys outweigh sells by so much, or sells buys; also volume_, notional_
    tick_run:200                     when the buys, or the sells, alone reach so much; also volume_, notional_
    tick_imbalance:100:adaptive      the threshold follows what bars were like (rules.py); runs likewise
    renko:10                         bricks of so much in price
    heikin-ashi:1m                   a view of bars of another kind

One text a kind: `parse` writes numbers without needless zeros, so that `volume:10.0` and `volume:10` are the same bars.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.errors import UsageError
from tapeline.market.barkinds.slots import Fixed, Slots, Trading, Zoned
from tapeline.market.intervals import interval_of
from tapeline.market.sessions import FX

Family = Literal["time", "threshold", "renko", "heikin-ashi"]
How = Literal["sum", "imbalance", "run"]
Measure = Literal["tick", "volume", "notional"]
DAY, WEEK = 86_400 * SECOND, 7 * 86_400 * SECOND
EXAMPLES = (
    "90s, 1d@America/New_York, 1h@XNYS, tick:500, volume:10, notional:1000000, tick_imbalance:100, volume_run:50, renko:10"
)
_MEASURES: tuple[Measure, ...] = ("tick", "volume", "notional")
_HOWS: dict[str, How] = {"": "sum", "_imbalance": "imbalance", "_run": "run"}
_THRESHOLDS: dict[str, tuple[Measure, How]] = {m + suffix: (m, how) for m in _MEASURES for suffix, how in _HOWS.items()}
_KINDS = (*_THRESHOLDS, "renko", "heikin-ashi")
_NUMBER = re.compile(r"(?=[\d.]{1,31}$)\d{1,15}(\.\d{1,15})?", re.ASCII)


class BarSpec(NamedTuple):
    """`slots` of bars of time; `amount` is the threshold, or the size of a brick; `base` what a Heikin-Ashi view is of."""

    text: str
    family: Family
    slots: Slots | None = None
    measure: Measure = "tick"
    how: How = "sum"
    amount: Fraction = Fraction(0)
    adaptive: bool = False
    base: "BarSpec | None" = None

    @property
    def standard(self) -> bool:
        """Whether every pipeline makes them anyhow."""
        return self.text in INTERVALS


@lru_cache(1024)
def parse(text: str) -> BarSpec:
    """Raises UsageError, with what is wrong and how to write it."""
    given = text.strip()
    kind, colon, rest = given.partition(":")
    if not colon:
        length, at, place = given.partition("@")
        return _placed(given, length, place) if at else _time(given)
    if kind == "heikin-ashi":
        return _heikin_ashi(given, rest)
    if kind == "renko":
        amount = _amount(given, rest, "the size of a brick in price, as in renko:10")
        return BarSpec(f"renko:{_plain(amount)}", "renko", amount=amount)
    if kind in _THRESHOLDS:
        return _threshold(given, kind, rest)
    near = get_close_matches(kind, _KINDS, 1, 0.5)
    meant = f"; did you mean {near[0]}:{rest}?" if near else ""
    raise UsageError(f"{given}: there is no kind of bar {kind!r}{meant or ';'} there are {EXAMPLES}")


def live_kinds(texts: Iterable[str]) -> Iterator[tuple[str, BarSpec | UsageError]]:
    """Each text with the kind that a pipeline makes, or with what is wrong with it: a recording may name one that lacks here."""
    for text in dict.fromkeys(texts):
        try:
            spec = parse(text)
        except UsageError as e:
            yield text, e
            continue
        if spec.base is not None:
            fix = f"name {spec.base.text}, and ask for {spec.text} where you read them"
            yield text, UsageError(f"{text}: a view is made of bars where they are read, not live; {fix}")
        else:
            yield text, spec


def _threshold(given: str, kind: str, rest: str) -> BarSpec:
    measure, how = _THRESHOLDS[kind]
    number, colon, adaptive = rest.partition(":")
    if colon and (how == "sum" or adaptive != "adaptive"):
        fix = f"write {kind}:{number}" if how == "sum" else f"write {kind}:{number} or {kind}:{number}:adaptive"
        raise UsageError(f"{given}: {adaptive!r} is too much; {fix}")
    amount = _amount(given, number, f"a threshold above 0, as in {kind}:500")
    if measure == "tick" and amount.denominator > 1:
        raise UsageError(f"{given}: {number} is no number of trades; write a whole one, as in {kind}:500")
    text = f"{kind}:{_plain(amount)}" + (":adaptive" if colon else "")
    return BarSpec(text, "threshold", measure=measure, how=how, amount=amount, adaptive=bool(colon))


def _amount(given: str, number: str, what: str) -> Fraction:
    amount = Fraction(number) if _NUMBER.fullmatch(number) else Fraction(0)
    if not amount or len(number.strip("0").replace(".", "")) > 15:
        raise UsageError(f"{given}: {number!r} is not {what}; at most 15 digits, without an exponent")
    return amount


def _plain(amount: Fraction) -> str:
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)  # a finite decimal of few digits, so without rounding
    return f"{exact.normalize():f}"


def _heikin_ashi(given: str, rest: str) -> BarSpec:
    base = parse(rest)
    if base.family == "heikin-ashi":
        raise UsageError(f"{given}: a view of a view; write heikin-ashi:1m, or another kind of bar behind it")
    return BarSpec(f"heikin-ashi:{base.text}", "heikin-ashi", base=base)


def _time(given: str) -> BarSpec:
    text, fixed = _fixed(given)
    return BarSpec(text, "time", fixed)


def _fixed(given: str) -> tuple[str, Fixed]:
    try:
        interval = interval_of(given)
    except UsageError:
        raise UsageError(f"{given!r} is no kind of bar: write a time with s, m, h, d or w, or one of {EXAMPLES}") from None
    return f"{int(given[:-1])}{given[-1]}", Fixed(interval.width, interval.origin)


def _placed(given: str, length: str, place: str) -> BarSpec:
    text, fixed = _fixed(length)
    text += f"@{place}"
    if "/" in place or place in ("UTC", "GMT"):
        _check_zone(given, place)
        if (fixed.width % DAY if fixed.width > DAY else DAY % fixed.width) or fixed.width > WEEK:
            raise UsageError(f"{given}: {length} does not divide a day; write a part of a day (15m, 4h), or 1d to 7d, or 1w")
        return BarSpec(text, "time", Zoned(place, fixed.width, fixed.origin))
    _check_session(given, place)
    most = WEEK if place == FX else DAY
    if fixed.width > most:
        raise UsageError(f"{given}: bars end with the session; write at most {'1w' if place == FX else '1d'}@{place}")
    return BarSpec(text, "time", Trading(place, fixed.width))


def _check_zone(given: str, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, LookupError):
        near = get_close_matches(zone, available_timezones(), 1, 0.5)
        meant = f"did you mean {near[0]}?" if near else "write it as in America/New_York"
        raise UsageError(f"{given}: there is no time zone {zone!r}; {meant}") from None


def _check_session(given: str, session: str) -> None:
    if session == FX:
        return
    import exchange_calendars

    names = exchange_calendars.get_calendar_names()
    if session not in names:
        near = get_close_matches(session.upper(), names, 1, 0.6)
        meant = (
            f"did you mean {near[0]}?"
            if near
            else "write a market identifier code, as in XNYS or XLON, or a zone, as in Europe/Berlin"
        )
        raise UsageError(f"{given}: there is no exchange {session!r}; {meant}")
