"""Lines of other programs' recordings: what each says, and its time without a digit lost."""

import pytest

from tapeline.engine.foreign import FORMATS, Format, Said, What, integer_time, parser, told
from tapeline.errors import UsageError

NS = 1_618_677_816_841_499_800
RAW = b'{"type":"ticker","time":"2021-04-17T16:43:36: 5"}'


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("lines", b"1618677816841499800 " + RAW),
        ("hftbacktest", b"1618677816841499800 " + RAW),
        ("tardis", b"2021-04-17T16:43:36.8414998Z " + RAW),
        ("tardis", b"2021-04-17T16:43:36.841499800Z " + RAW),
        ("tardis", b'{"localTimestamp":"2021-04-17T16:43:36.8414998Z","message":' + RAW + b"}"),
        ("cryptofeed", b"1618677816.8414998: " + RAW),
        ("cryptofeed", b"1618677816.8414998: b'" + RAW + b"'"),
    ],
)
def test_the_same_message_in_each_format(form: Format, line: bytes) -> None:
    """1618677816.8414998 is not what a float of these seconds times 10^9 gives."""
    assert round(1618677816.8414998 * 1e9) != NS
    assert parser(form)(line) == Said(What.MESSAGE, NS, RAW)
    assert told([line], "x") == {"hftbacktest": "lines"}.get(form, form)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"wss://ws-feed.pro.coinbase.com <-> 1618677816.8434298", (What.OPENED, b"", "wss://ws-feed.pro.coinbase.com")),
        (b'wss://a.b/c?d=1 <- 1618677817.02: {"op":1}', (What.SENT, b'{"op":1}', "wss://a.b/c?d=1")),
        (b"https://a.b/c: d -> 1618677817.02: [1]", None),
        (b"https://a.b/depth?symbol=BTCUSDT -> 1618677817: [1]", (What.ANSWER, b"[1]", "https://a.b/depth?symbol=BTCUSDT")),
        (b"configuration: {'trades': ['BTC-USD']}", (What.NOTHING, b"", "")),
        (b"", (What.NOTHING, b"", "")),
        (b"some words", None),
        (b"1618677817.02: b'\\xzz'", None),
    ],
)
def test_what_stands_beside_messages_in_cryptofeeds(line: bytes, said: tuple[What, bytes, str] | None) -> None:
    found = parser("cryptofeed")(line)
    if said is None:
        assert found.what is What.BAD and found.data == line and found.note
    else:
        assert (found.what, found.data, found.note) == said


@pytest.mark.parametrize(
    "line", [b"x", b"2021-04-17 {}", b"{", b'{"localTimestamp":"x","message":{}}', b"\xff", b"2021-13-45T99:00:00Z {}"]
)
def test_what_is_no_line_of_tardis(line: bytes) -> None:
    said = parser("tardis")(line)
    assert said.what is What.BAD and said.data == line and said.note


def test_an_empty_line_of_tardis_is_a_lost_connection() -> None:
    assert parser("tardis")(b"").what is What.LOST
    assert parser("lines")(b"") == parser("hftbacktest")(b"") == Said(What.NOTHING, None, b"")


@pytest.mark.parametrize(
    ("digits", "ns"),
    [
        (b"1618677816", 1_618_677_816_000_000_000),
        (b"1618677816841", 1_618_677_816_841_000_000),
        (b"1618677816841499", 1_618_677_816_841_499_000),
        (b"1618677816841499800", NS),
        (b"123", None),
        (b"9999999999999999999", None),
        (b"99999999999999999999", None),
        (b"-5", None),
    ],
)
def test_integer_times_are_told_apart_by_their_size(digits: bytes, ns: int | None) -> None:
    assert integer_time(digits) == ns


def test_a_message_without_time() -> None:
    assert parser("lines")(RAW) == Said(What.MESSAGE, None, RAW)
    assert parser("hftbacktest")(RAW).what is What.BAD


def test_what_is_no_recording() -> None:
    with pytest.raises(UsageError, match="--format names one of lines, hftbacktest, tardis, cryptofeed"):
        told([b"a,b,c", b"1,2,3"], "trades.csv")
    assert set(FORMATS) == {"lines", "hftbacktest", "tardis", "cryptofeed"}
