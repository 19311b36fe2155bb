"""Bars out of the lake against those that were live, field by field, and against plain decimal sums."""

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.clock import iso
from tapeline.config import PipelineSettings
from tapeline.engine.lines import decode_lines, open_lines
from tapeline.errors import UsageError
from tapeline.events import Bar, Event, Flag, Status, Trade
from tapeline.lake import scan
from tapeline.lake.bars import bars
from tapeline.lake.catalogue import read
from tapeline.lake.layout import DAY
from tapeline.lake.store import Store
from tapeline.market.bars import Bars
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, SECOND, T0, opened, play, recv, trade
from tests.engine.recordings import recording
from tests.lake.keeping import NAME, STREAMS, WIDTHS, final, keep, market, session, trades_of
from tests.market.reference import figures, told

FIGURES = (
    "ts_event",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "buy_volume",
    "notional",
    "vwap",
    "trades",
    "complete",
    "origin",
)
LATE = int(Flag.LATE)
WEEK = 7 * DAY


def rows(catalogue: Any, interval: str, **more: Any) -> dict[int, dict[str, Any]]:
    found = bars(catalogue, NAME, interval, **more).to_pylist()
    assert [row["ts_open"] for row in found] == sorted({row["ts_open"] for row in found})
    return {row["ts_open"]: row for row in found}


def live(bar: Bar) -> dict[str, Any]:
    return {f: getattr(bar, f) for f in Bar.__struct_fields__}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("count", "pause"), [(900, 60), (700, 4_000), (300, 500_000)])
def test_folded_and_stored_bars_equal_the_live_ones(tmp_path: Path, seed: int, count: int, pause: int) -> None:
    r = random.Random(seed)
    events = session(r, market(r, T0, count, pause))
    lake, stand = keep(tmp_path, events), final(events)
    assert len(trades_of(events)) > count * 0.9
    for interval in WIDTHS:
        expected = {ts: bar for (name, ts), bar in stand.items() if name == interval}
        stored, folded = rows(lake, interval), rows(lake, interval, source="trades")
        assert stored == {ts: live(bar) for ts, bar in expected.items()}
        assert folded.keys() == expected.keys()
        for ts, row in folded.items():
            bar = expected[ts]
            assert {f: row[f] for f in FIGURES} == {f: getattr(bar, f) for f in FIGURES}, (interval, ts)
            assert row["flags"] & ~LATE == bar.flags & ~LATE


def moments(interval_ns: int, trades: list[Trade], origin: int = 0) -> dict[int, list[Trade]]:
    found: dict[int, list[Trade]] = {}
    for t in trades:
        found.setdefault((t.ts_event - origin) // interval_ns * interval_ns + origin, []).append(t)
    return found


@pytest.mark.parametrize(
    ("interval", "seconds", "origin"),
    [("7s", 7, 0), ("90s", 90, 0), ("3m", 180, 0), ("2h", 7200, 0), ("3d", 259_200, 0), ("1w", 604_800, 345_600)],
)
def test_any_other_interval_is_the_plain_sum_of_its_trades(tmp_path: Path, interval: str, seconds: int, origin: int) -> None:
    r = random.Random(7)
    events = session(r, market(r, T0, 600, 2_000_000))  # weeks
    counted = [e for i, e in enumerate(events) if isinstance(e, Trade) and not _too_late(events, i)]
    expected = moments(seconds * SECOND, counted, origin * SECOND)
    found = rows(keep(tmp_path, events), interval)
    assert found.keys() == expected.keys()
    for ts, row in found.items():
        plain = figures([(t.ts_event, repr(t.price), repr(t.size), t.side == "buy") for t in expected[ts]])
        told_row = tuple(row[f] for f in ("open", "high", "low", "close", "volume", "buy_volume", "notional", "vwap", "trades"))
        assert told_row == plain
        assert row["ts_event"] == ts + seconds * SECOND
        assert row["interval"] == interval


def _too_late(events: list[Event], i: int) -> bool:
    after = events[i + 1] if i + 1 < len(events) else None
    return isinstance(after, Status) and after.kind == "late"


def test_bars_that_begin_in_the_span_are_whole(tmp_path: Path) -> None:
    r = random.Random(3)
    events = session(r, market(r, T0, 800, 10_000))
    lake = keep(tmp_path, events)
    for interval, source in (("1m", "auto"), ("1m", "trades"), ("90s", "auto")):
        every = rows(lake, interval, source=source)
        opens = sorted(every)
        start, end = opens[3] - 1, opens[9] + 1
        assert rows(lake, interval, source=source, start=start, end=end) == {ts: every[ts] for ts in opens[3:10]}
        assert rows(lake, interval, source=source, start=opens[3], end=opens[9]) == {ts: every[ts] for ts in opens[3:9]}
        assert rows(lake, interval, source=source, start=opens[-1] + 1) == {}


def test_the_bar_that_still_fills_is_there_and_incomplete(tmp_path: Path) -> None:
    r = random.Random(4)
    story = market(r, T0, 500, 3_000)
    events = session(r, story, ends=False)
    lake, stand = keep(tmp_path, events), final(events)
    counted = [e for i, e in enumerate(events) if isinstance(e, Trade) and not _too_late(events, i)]
    for interval, width in WIDTHS.items():
        found, plain = rows(lake, interval), moments(width * SECOND, counted)
        assert found.keys() == plain.keys()
        unfinished = found.keys() - {ts for name, ts in stand if name == interval}
        assert len(unfinished) == 1
        for ts in unfinished:
            assert not found[ts]["complete"]
            assert found[ts]["trades"] == len(plain[ts])


def test_a_bar_of_which_retention_took_a_day_is_not_complete(tmp_path: Path) -> None:
    """A week of trades, one every four hours, and its first day is not kept."""
    monday = T0 - T0 % WEEK + 4 * DAY  # the epoch was a Thursday
    times = [monday + i * DAY // 6 for i in range(-1, 50)]
    events = play([opened(times[0], streams=STREAMS), *(recv(t, trade(i, t // MS)) for i, t in enumerate(times, 1))])
    lake, first = keep(tmp_path, events), iso(monday)[:10]
    assert rows(lake, "1w")[monday]["trades"] == 42
    assert rows(lake, "1w")[monday]["complete"]
    store = Store(tmp_path)
    store.open()
    store.swap([f for f in store.state.files() if f.date == first], [], retired=first)
    store.close()
    cut = rows(read(tmp_path), "1w")[monday]
    assert (cut["trades"], cut["complete"]) == (36, False)
    assert rows(read(tmp_path), "12h")[monday + DAY]["complete"]


def two_halves() -> tuple[list[Event], list[Event]]:
    """One market, recorded by two sessions one after the other; the first one is killed."""
    r = random.Random(5)
    story = market(r, T0, 1000, 3_000)
    return session(r, story[:480], ends=False), session(r, story[500:])


def test_a_bar_that_two_sessions_made_a_part_of_is_the_one_that_sqlite_keeps(tmp_path: Path) -> None:
    first, second = two_halves()
    keep(tmp_path, first, "s1")
    lake, stand = keep(tmp_path, second, "s2"), final(first, second)
    for interval in WIDTHS:
        expected = {ts: live(bar) for (name, ts), bar in stand.items() if name == interval}
        assert {ts: row for ts, row in rows(lake, interval).items() if ts in expected} == expected
        assert rows(lake, interval, source="stored") == expected


def test_folded_bars_hold_the_trades_of_both_sessions(tmp_path: Path) -> None:
    first, second = two_halves()
    keep(tmp_path, first, "s1")
    lake = keep(tmp_path, second, "s2")
    whole = sum(len(trades_of(e)) for e in (first, second))
    for interval in ("7s", "10m", "1d"):
        found = rows(lake, interval, source="trades").values()
        assert sum(row["trades"] for row in found) == whole - _late_ones(first) - _late_ones(second)
    assert not all(row["complete"] for row in rows(lake, "10m").values())


def _late_ones(events: list[Event]) -> int:
    return sum(isinstance(e, Status) and e.kind == "late" for e in events)


@pytest.mark.parametrize("named", [True, False])
def test_two_recorders_of_one_market_count_each_trade_once(tmp_path: Path, named: bool) -> None:
    r = random.Random(6)
    trades = [
        Trade(NAME, T0 + i // 3 * MS, T0 + i * MS, 0, 100 + r.randrange(3) / 10, 0.5, "buy", str(i) if named else "")
        for i in range(400)
    ]
    keep(tmp_path, [t for t in trades if not named or r.random() < 0.8][:300], "a")
    lake = keep(tmp_path, trades[50:] if named else trades, "b")
    (bar,) = rows(lake, "1h").values()
    assert bar["trades"] == len(trades) - (0 if not named else len({t.id for t in trades[:50]} - _ids(lake, "a")))


def _ids(lake: Any, session_id: str) -> set[str]:
    files = scan.in_order(lake, lake.chosen("trade", [NAME]))
    tables = scan.rows(files, ("id", "session_id"), column="n", start=None, end=None)
    return {row["id"] for t in tables for row in t.to_pylist() if row["session_id"] == session_id}


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 20_000),
            st.decimals("0.00000001", "99999999", places=8).map(str) | st.sampled_from(["1e-9", "0.1", "123456789012345"]),
            st.decimals("0", "9999999", places=7).map(str) | st.sampled_from(["1e-17", "5", "90071992547409.91"]),
            st.booleans(),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_sums_are_exact_whatever_the_digits(tmp_path_factory: pytest.TempPathFactory, told_trades: list[Any]) -> None:
    trades = [
        (T0 + ms * MS, repr(float(price)), repr(float(size)), buy) for ms, price, size, buy in told_trades if Decimal(size)
    ]
    if not trades:
        return
    made = [
        Trade(NAME, ts, ts, 0, float(p), float(s), "buy" if buy else "sell", str(i)) for i, (ts, p, s, buy) in enumerate(trades)
    ]
    found = rows(keep(tmp_path_factory.mktemp("lake"), made), "4s")
    grouped: dict[int, list[Any]] = {}
    for t in trades:
        grouped.setdefault(t[0] // (4 * SECOND) * 4 * SECOND, []).append(t)
    for ts, row in found.items():
        told_row = tuple(row[f] for f in ("open", "high", "low", "close", "volume", "buy_volume", "notional", "vwap", "trades"))
        assert told_row == figures(grouped[ts])


def test_a_trade_with_a_false_time_is_where_the_live_bar_has_it(tmp_path: Path) -> None:
    r, made = random.Random(8), Bars(NAME, PipelineSettings())
    events: list[Event] = []
    for i in range(300):
        ts, flags = T0 + i * 400 * MS, 0
        if r.random() < 0.05:
            ts, flags = r.choice([(5, int(Flag.BAD_TIME)), (ts + 3_600 * SECOND, 0), (ts + 100 * 86_400 * SECOND, 256)])
        t = Trade(NAME, ts, T0 + i * 400 * MS + 30 * MS, flags, 100.0 + i, 1.0, "buy", str(i))
        made.add(t, events)
        events.append(t)
    made.finish(T0 + 200 * SECOND, events)
    lake, stand = keep(tmp_path, events), final(events)
    for interval in ("1s", "1m", "1h"):
        expected = {ts: told(bar) for (name, ts), bar in stand.items() if name == interval}
        found = bars(lake, NAME, interval, source="trades", start=T0 - SECOND * 3600, end=T0 + 7200 * SECOND).to_pylist()
        assert {row["ts_open"]: tuple(row[f] for f in FIGURES[1:10]) for row in found} == expected


def made_live(trades: list[Trade], **more: Any) -> list[Event]:
    """What the live bars make of trades that are given to them one by one; those off the book are not."""
    made, events = Bars(NAME, PipelineSettings(), **more), []  # type: Bars, list[Event]
    for t in trades:
        if not t.flags & Flag.OFF_BOOK:
            made.add(t, events)
        events.append(t)
    made.finish(trades[-1].ts_recv, events)
    return events


def some_trades(flags: Any = lambda i: 0, count: int = 300) -> list[Trade]:
    r = random.Random(9)
    return [
        Trade(
            NAME,
            T0 + i * 300 * MS,
            T0 + i * 300 * MS,
            flags(i),
            round(r.uniform(60_000, 61_000), 1),
            float(r.randrange(1, 99)),
            "buy",
            str(i),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("more", [{"contract_value": 100.0}, {"sides": False}])
def test_inverse_contracts_and_venues_without_sides(tmp_path: Path, more: dict[str, Any]) -> None:
    events = made_live(some_trades(), **more)
    lake, stand = keep(tmp_path, events), final(events)
    for interval in ("1s", "15s", "1m"):
        for ts, row in rows(lake, interval, source="trades").items():
            assert {f: row[f] for f in FIGURES} == {f: getattr(stand[interval, ts], f) for f in FIGURES}


def test_trades_off_the_book_do_not_count_those_of_retail_do(tmp_path: Path) -> None:
    events = made_live(some_trades(lambda i: int(Flag.OFF_BOOK) if i % 7 == 0 else int(Flag.RPI) if i % 5 == 0 else 0))
    lake, stand = keep(tmp_path, events), final(events)
    for ts, row in rows(lake, "1m", source="trades").items():
        assert {f: row[f] for f in FIGURES} == {f: getattr(stand["1m", ts], f) for f in FIGURES}


@pytest.mark.parametrize("first", [0, int(Flag.AGGREGATED)])
def test_single_and_aggregated_trades_are_not_added_up(tmp_path: Path, first: int) -> None:
    """Those count that came first in the session, also where the span asked for begins with the others."""
    both = some_trades(lambda i: first if i % 2 == 0 else int(Flag.AGGREGATED) - first)
    lake = keep(tmp_path, both)
    found = rows(lake, "7s", start=T0 + 20 * SECOND)
    begin = (T0 + 20 * SECOND + 7 * SECOND - 1) // (7 * SECOND) * 7 * SECOND
    assert sum(row["trades"] for row in found.values()) == sum(t.ts_event >= begin and t.flags == first for t in both)


def test_the_recorded_sessions(shared_frames: Path, tmp_path: Path) -> None:
    path = recording(shared_frames, "binance-usdm").path
    with open_lines(path) as file:
        events = list(decode_lines(venue_class("binance-usdm")(), file, path.name))
    kept = [e for e in events if isinstance(e, Trade | Status) or (isinstance(e, Bar) and e.origin == "trades")]
    lake, stand = keep(tmp_path, kept, commit=5000), final(kept)
    name = "binance-usdm:BTC-USDT-PERP"
    for interval in WIDTHS:
        found = {row["ts_open"]: row for row in bars(lake, name, interval, source="trades").to_pylist()}
        assert found.keys() == {ts for i, ts in stand if i == interval}
        for ts, row in found.items():
            assert {f: row[f] for f in FIGURES} == {f: getattr(stand[interval, ts], f) for f in FIGURES}, (interval, ts)


@pytest.mark.parametrize("wrong", ["", "m", "0s", "1x", "-5m", "1.5m", "99999d", "5 m"])
def test_what_is_no_interval_is_told(tmp_path: Path, wrong: str) -> None:
    lake = keep(tmp_path, [Trade(NAME, T0, T0, 0, 1.0, 1.0, "buy", "1")])
    with pytest.raises(UsageError, match="kind of bar"):
        bars(lake, NAME, wrong)
