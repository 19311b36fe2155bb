"""The language: what is accepted, what it means as a tree, and where a mistake is said to be."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.alerts.parsing import parse
from tapeline.alerts.problems import RuleError
from tapeline.alerts.rule import Rule
from tapeline.alerts.syntax import (
    Abs,
    And,
    Arithmetic,
    Change,
    Compare,
    Cross,
    Is,
    Lasting,
    Minus,
    Name,
    Not,
    Number,
    Or,
    Sentence,
    Window,
)
from tapeline.clock import SECOND

MID, SPREAD = Name("mid"), Name("spread_bps")
VOLUME = Name("volume_1m")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (
            "binance:BTC-USDT mid crosses above 100000",
            Sentence(("binance:BTC-USDT",), Cross("above", MID, Number(100000.0))),
        ),
        ("spread_bps > 5 for 10s", Sentence((), Lasting(Compare(">", SPREAD, Number(5.0)), 10 * SECOND))),
        (
            "volume_1m > 3 * avg(volume_1m, 60m)",
            Sentence((), Compare(">", VOLUME, Arithmetic("*", Number(3.0), Window("avg", VOLUME, 3600 * SECOND)))),
        ),
        ("status is gap or stale", Sentence((), Is(Name("status"), ("gap", "stale")))),
        (
            "coinbase:BTC-USD.mid - binance:BTC-USDT.mid > 20",
            Sentence(
                (),
                Compare(">", Arithmetic("-", Name("mid", "coinbase:BTC-USD"), Name("mid", "binance:BTC-USDT")), Number(20.0)),
            ),
        ),
        ("price changes by 1% within 5m", Sentence((), Change("changes", Name("price"), Number(1.0, "%"), 300 * SECOND))),
        (
            "status is gap or spread_bps > 5",
            Sentence((), Or((Is(Name("status"), ("gap",)), Compare(">", SPREAD, Number(5.0))))),
        ),
        (
            "binance:*, yahoo:7203.T (mid + 1) * 2 > 5 until mid < 1",
            Sentence(
                ("binance:*", "yahoo:7203.T"),
                Compare(">", Arithmetic("*", Arithmetic("+", MID, Number(1.0)), Number(2.0)), Number(5.0)),
                Compare("<", MID, Number(1.0)),
            ),
        ),
        ("yahoo:7203.T.price > 1", Sentence((), Compare(">", Name("price", "yahoo:7203.T"), Number(1.0)))),
        ("volume_1m ≥ 100k", Sentence((), Compare(">=", VOLUME, Number(100.0, "k")))),
        (
            "bid > 1 and ask > 2 or not mid > 3",
            Sentence(
                (),
                Or(
                    (
                        And((Compare(">", Name("bid"), Number(1.0)), Compare(">", Name("ask"), Number(2.0)))),
                        Not(Compare(">", MID, Number(3.0))),
                    )
                ),
            ),
        ),
    ],
)
def test_a_rule_means(text, meant):
    assert parse(text) == meant


@pytest.mark.parametrize(
    ("text", "column", "problem", "fix"),
    [
        ("binance:BTC-USDT mdi > 5", 18, "no field 'mdi'", "did you mean mid?"),
        ("coinbase:BTC-USD.mdi > 5", 18, "no field 'mdi'", "did you mean mid?"),
        ("mid > 100,000", 10, "','", "100_000"),
        ("spread_bps > 5 for 10", 20, "unit is missing", "write 10s"),
        ("spread_bps > 5bps", 1, "counts in bps already", "write 5 instead"),
        ("binance:BTC-USDT > 5", 18, "a field is expected", "binance:BTC-USDT.mid"),
        ("binanc:BTC-USDT mid > 5", 1, "no venue 'binanc'", "did you mean binance?"),
        ("mid = 5", 5, "= alone", "write =="),
        ("price changes 1% within 5m", 15, "by is expected", "by 1% within 5m"),
        ("price changes by 1% in 5m", 21, "within is expected", "within 5m"),
        ("avg(mid) > 5", 8, "a comma and a time", "avg(mid, 5m)"),
        ("mean(mid, 5m) > 5", 1, "no function mean", "avg"),
        ("5 < mid < 6", 9, "'<'", "a < b and b < c"),
        ("mid", 4, "the rule ends", "compare mid"),
        ("mid > ", 6, "the rule ends", ""),
        ("", 1, "no rule", "write one"),
        ("status is gapp", 11, "'gapp'", "did you mean gap?"),
        ("status > 5", 8, "is is expected", "status is"),
        ("mid > 5 for 10s and bid > 4", 17, "'and'", "brackets"),
        ("group:btc vwap_5m > 5", 11, "a group has no vwap_5m", "arbitrage_bps"),
        ("mid > 5 fro 10s", 9, "'fro'", "did you mean for?"),
        ("volume_1x > 3", 1, "no field", "volume_1m"),
        ("spread_bp > 3", 1, "no field", "did you mean spread_bps?"),
        ("sum(mid, 5m) > 3", 1, "no sum", "avg(mid"),
        ("median(size, 5m) > 3", 1, "median", "avg"),
        ("coinbase:BTC-USD.mid-binance:BTC-USDT.mid > 20", 1, "two instruments", "blanks"),
        ("mid > 5 && bid > 4", 9, "'&'", "write and"),
        ("mid > 5m", 7, "is a time", "5M is a million"),
        ("mid > 5x", 7, "no unit 'x'", "% bps k M B"),
        ("(mid > 5", 9, ") is expected", ""),
        ("mid and bid > 5", 5, "mid is a number", "compare"),
        ("(mid > 5) + 1 > 2", 1, "a condition, and no number", ""),
        ("side > 5", 6, "is is expected", "side is buy"),
        ("mid is gap", 1, "mid is a number", "compare"),
        ("mid > 5 for 40d", 13, "out of range", "31d"),
        ("mid > 5 for 1e999s", 13, "out of range", "31d"),
        ("binance:*.mid > 5", 1, "many instruments", "first"),
        ("(" * 60 + "mid" + ")" * 60 + " > 1", 52, "deep", ""),
        ("mid > 1 " * 400, 1, "at most", ""),
        ("mid > 1" + "+1" * 200, 208, "in a row", "simply"),
        ("mid > 1" + " for 1s" * 200, 709, "in a row", "simply"),
        ("mid > 5 for 1e400s", 13, "out of range", "31d"),
        ("mid > 1e400", 7, "too large", "1e308"),
        ("mid >\n 5 for 10", 8, "missing", "10s"),
    ],
)
def test_a_mistake_has_its_place_and_its_fix(text, column, problem, fix):
    with pytest.raises(RuleError) as e:
        parse(text)
    assert e.value.column == column
    assert problem in e.value.problem
    assert fix in e.value.hint
    assert e.value.line == (2 if "\n" in text else 1)


def test_a_mistake_is_drawn_under_the_rule():
    with pytest.raises(RuleError) as e:
        parse("binance:BTC-USDT mdi > 5")
    assert str(e.value) == (
        "column 18: there is no field 'mdi'; did you mean mid?\n  binance:BTC-USDT mdi > 5\n                   ^^^"
    )


@pytest.mark.parametrize(
    ("options", "source", "problem"),
    [
        ({"name": "a b"}, "a b", "no name"),
        ({"cooldown": "5"}, "5", "unit is missing"),
        ({"cooldown": "5m soon"}, "5m soon", "'soon'"),
        ({"hysteresis": "much"}, "much", "no hysteresis"),
        ({"hysteresis": "1e400"}, "1e400", "no hysteresis"),
        ({"cooldown": "1e400s"}, "1e400s", "out of range"),
        ({"until": "mid <"}, "mid <", "the rule ends"),
        ({"until": "mid < 1", "hysteresis": "1%"}, "1%", "beside until"),
        ({"schedule": "mon-fry"}, "mon-fry", "'fry' is no day"),
        ({"schedule": "mon 25:00-26:00"}, "mon 25:00-26:00", "no hours"),
        ({"schedule": "Mars/Olympus"}, "Mars/Olympus", "time zone"),
    ],
)
def test_options_are_read_as_well(options, source, problem):
    with pytest.raises(RuleError) as e:
        Rule.of(**{"name": "r", "text": "mid > 5", **options})
    assert e.value.source == source
    assert problem in e.value.problem


FIELDS = st.sampled_from(["mid", "bid", "price", "spread_bps", "volume_1m", "bar_1m.close"])
INSTRUMENTS = st.sampled_from(["", "binance:BTC-USDT", "binance-usdm:BTC-USDT-PERP", "yahoo:7203.T"])
NUMBERS = st.builds(Number, st.floats(0, 1e17).filter(lambda x: x == x), st.sampled_from(["", "k", "M"]))
NAMES = st.builds(Name, FIELDS, INSTRUMENTS)
SPANS = st.integers(1, 10_000).map(lambda n: n * 100_000_000)
LEVELS = st.builds(Name, st.sampled_from(["mid", "bid", "price", "volume_1m"]), INSTRUMENTS)


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("depth_10bps > 5", "depth_10bps gives depth_10bps.bid and depth_10bps.ask"),
        ("vwap_5m.x > 5", "vwap_5m gives vwap_5m"),
        ("depth_2.5bps.mid > 5", "depth_2.5bps gives depth_2.5bps.bid and depth_2.5bps.ask"),
    ],
)
def test_a_number_that_a_metric_never_gives_is_refused(text: str, fix: str) -> None:
    with pytest.raises(RuleError, match=re.escape(fix)):
        parse(text)


EXPRESSIONS = st.recursive(
    NUMBERS
    | NAMES
    | st.builds(Window, st.sampled_from(["avg", "min", "max", "median", "std", "first", "last"]), LEVELS, SPANS),
    lambda x: st.builds(Arithmetic, st.sampled_from("+-*/"), x, x) | st.builds(Minus, x) | st.builds(Abs, x),
    max_leaves=6,
)
KINDS = st.lists(st.sampled_from(["gap", "stale", "synced"]), min_size=1, max_size=3, unique=True).map(tuple)
CONDITIONS = st.recursive(
    st.builds(Compare, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), EXPRESSIONS, EXPRESSIONS)
    | st.builds(Cross, st.sampled_from(["above", "below", "either"]), EXPRESSIONS, EXPRESSIONS)
    | st.builds(
        Change,
        st.sampled_from(["changes", "rises", "falls"]),
        EXPRESSIONS,
        st.builds(Number, st.floats(1e-6, 1e6), st.sampled_from(["", "%", "bps"])),
        SPANS,
    )
    | st.builds(Is, st.builds(Name, st.just("status"), INSTRUMENTS), KINDS, st.booleans()),
    lambda x: (
        st.builds(Not, x)
        | st.builds(And, st.lists(x, min_size=2, max_size=3).map(tuple))
        | st.builds(Or, st.lists(x, min_size=2, max_size=3).map(tuple))
        | st.builds(Lasting, x, SPANS)
    ),
    max_leaves=8,
)
SCOPES = st.lists(st.sampled_from(["binance:*", "binance:BTC-USDT", "yahoo:7203.T"]), max_size=3, unique=True).map(tuple)


@given(st.builds(Sentence, SCOPES, CONDITIONS, st.none() | CONDITIONS))
def test_what_is_written_back_reads_the_same(sentence):
    assert parse(str(sentence)) == sentence


@given(st.text(max_size=60) | st.text("mid> 5()forabv:.*", max_size=40))
def test_anything_else_is_a_mistake_and_no_fault_of_ours(text):
    with suppress(RuleError):
        parse(text)
