"""Bars of every kind out of the lake against those that were live: of made-up markets and of the recorded sessions, field by field."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tapeline.config import PipelineSettings
from tapeline.engine.lines import decode_lines, open_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Bar, Event, Flag, Status, Ticker, Trade
from tapeline.frames import Frame, FrameKind, Switched, pack
from tapeline.lake.bars import bars
from tapeline.lake.catalogue import Catalogue
from tapeline.market.barkinds.specs import parse
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, SECOND, T0, opened, play, recv, trade
from tests.engine.recordings import INSTRUMENTS, recording
from tests.lake.keeping import NAME, final, keep, market, session

FIGURES = tuple(f for f in Bar.__struct_fields__ if f not in ("revision", "flags", "ts_recv"))
"""`revision` of a folded bar is 0; when a bar of time was closed, or one was corrected, is known of stored ones only."""
LATE = int(Flag.LATE)
KINDS = (
    "tick:50", "volume:40", "notional:6000", "tick_imbalance:7", "volume_imbalance:60", "notional_imbalance:4000",
    "tick_run:20", "volume_run:90", "notional_run:9000", "tick_imbalance:9:adaptive", "volume_run:60:adaptive", "renko:2.5",
)  # fmt: skip
CLOCKS = ("90s", "4h@Europe/Berlin", "1d@America/New_York", "1h@XNYS", "30m@XHKG", "1d@FX")


def same(found: Any, expected: dict[int, Bar], about: object) -> None:
    rows = {row["ts_open"]: row for row in found.to_pylist()}
    assert list(rows) == sorted(rows) == sorted(expected), about
    for ts, row in rows.items():
        bar = expected[ts]
        told = FIGURES if bar.revision or parse(bar.interval).slots or ts == max(rows) else (*FIGURES, "ts_recv")
        assert {f: row[f] for f in told} == {f: getattr(bar, f) for f in told}, (about, ts)
        assert row["flags"] & ~LATE == bar.flags & ~LATE, about


def compare(tmp_path: Path, name: str, made: list[Event], plain: list[Event], kinds: Sequence[str]) -> None:
    """`made`: with these kinds switched on; `plain`: the same session without."""
    assert [e for e in made if not isinstance(e, Bar)] == [e for e in plain if not isinstance(e, Bar)]
    with_them, without = keep(tmp_path / "with", made), keep(tmp_path / "without", plain)
    for kind in kinds:
        expected = {ts: bar for (interval, ts), bar in final(made).items() if interval == kind}
        stored = bars(with_them, name, kind)
        assert stored.to_pylist() == [{f: getattr(b, f) for f in Bar.__struct_fields__} for _, b in sorted(expected.items())], (
            kind
        )
        assert bars(with_them, name, kind, source="stored") == stored
        same(bars(with_them, name, kind, source="trades"), expected, (kind, "again"))
        same(bars(without, name, kind), expected, kind)
        assert not len(bars(without, name, kind, source="stored"))
        spans(without, name, kind)


def spans(lake: Catalogue, name: str, kind: str) -> None:
    """What begins in a span is what of everything begins in it."""
    every = bars(lake, name, kind).to_pylist()
    opens = [row["ts_open"] for row in every]
    if len(opens) > 4:
        for start, end in ((opens[1], opens[-2]), (opens[1] + 1, opens[3] + 1), (opens[2], None), (None, opens[2])):
            expected = [r for r in every if (start is None or r["ts_open"] >= start) and (end is None or r["ts_open"] < end)]
            assert bars(lake, name, kind, start=start, end=end).to_pylist() == expected, (kind, start, end)


@pytest.mark.parametrize(("seed", "count", "pause"), [(0, 900, 60), (1, 700, 4_000), (2, 700, 900)])
def test_a_made_up_market(tmp_path: Path, seed: int, count: int, pause: int) -> None:
    r = random.Random(seed)
    trades = market(r, T0, count, pause)
    plain = session(random.Random(seed), trades)
    made = session(random.Random(seed), trades, bars=(*KINDS, *CLOCKS))
    compare(tmp_path, NAME, made, plain, (*KINDS, *CLOCKS))


@pytest.mark.parametrize("venue", ["binance", "binance-usdm"])
def test_a_recorded_session(shared_frames: Path, tmp_path: Path, venue: str) -> None:
    name, path = INSTRUMENTS[venue], recording(shared_frames, venue).path
    kinds = ("tick:500", "volume:5", "notional:100000", "tick_imbalance:40", "volume_run:3", "renko:5", "7s", "1h@Asia/Kolkata")

    def played(on: Sequence[str]) -> list[Event]:
        pipeline = Pipeline(PipelineSettings(metrics=(), bars=tuple(on)))
        with open_lines(path) as file:
            events = list(decode_lines(venue_class(venue)(), file, path.name, pipeline))
        return [e for e in events if isinstance(e, Trade | Status) or (isinstance(e, Bar) and e.origin == "trades")]

    compare(tmp_path, name, played(kinds), played(()), kinds)


def test_sessions_each_begin_anew(tmp_path: Path) -> None:
    """Of two sessions one behind the other each has its own bars; one that overlaps has of its trades only what the first lacks."""
    trades = market(random.Random(8), T0, 900, 60)
    parts = [session(random.Random(n), part, bars=("tick:50",)) for n, part in enumerate((trades[:400], trades[400:]))]
    for n, events in enumerate(parts):
        lake = keep(tmp_path, [e for e in events if not isinstance(e, Bar) or e.interval != "tick:50"], f"s{n}")
    expected = {ts: bar for (interval, ts), bar in final(*parts).items() if interval == "tick:50"}
    assert sum(bar.trades or 0 for bar in expected.values()) == sum(isinstance(e, Trade) for part in parts for e in part)
    found = bars(lake, NAME, "tick:50").to_pylist()
    assert [(r["ts_open"], r["trades"], r["close"]) for r in found] == [
        (ts, bar.trades, bar.close) for ts, bar in sorted(expected.items())
    ]
    again = keep(tmp_path, [e for e in parts[0] if isinstance(e, Trade)], "s2")
    assert bars(again, NAME, "tick:50").to_pylist() == found


def test_a_kind_that_is_switched_on_while_it_runs(tmp_path: Path) -> None:
    """What came before is folded; what was made live stands; what is open still is summed up."""
    trades = market(random.Random(9), T0, 600, 60)
    frames = [opened(T0 - SECOND, streams=("btcusdt@trade",))]
    for n, ms, price, size, maker in trades:
        frames.append(recv(ms * MS + n, trade(n, ms, price, size, maker=maker)))
    switched = Frame(frames[300].ts_recv, FrameKind.SWITCHED, 0, pack(Switched(bars=["tick:50", "renko:3"])))
    events = play([*frames[:300], switched, *frames[300:]], metrics=())
    lake = keep(tmp_path, events)
    for kind in ("tick:50", "renko:3"):
        live_ones = [
            {f: getattr(e, f) for f in Bar.__struct_fields__} for e in events if isinstance(e, Bar) and e.interval == kind
        ]
        found = bars(lake, NAME, kind).to_pylist()
        at = found.index(live_ones[0])
        assert found[at : at + len(live_ones)] == live_ones
        assert sum(row["trades"] for row in found) == len(trades)
        rest = [row for row in found if row not in live_ones]
        assert [row["complete"] for row in rest[at - 1 :]] == [False] * len(rest[at - 1 :])
        assert {row["interval"] for row in found} == {kind}
    before = bars(lake, NAME, "tick:50").to_pylist()[:6]
    assert [row["trades"] for row in before] == [50, 50, 50, 50, 50, 49]
    assert [row["trades"] for row in bars(lake, NAME, "tick:50").to_pylist()[6:]] == [50, 50, 50, 50, 50, 50, 1]


def test_trades_that_are_unsubscribed_end_the_bar(tmp_path: Path) -> None:
    """As live: subscribed again within the session, bars begin anew."""
    events: list[Event] = []
    for number, (start, count) in enumerate(((0, 7), (10, 5))):
        at = T0 + start * SECOND
        events += [Trade(NAME, at + i, at + i, 0, 1.0 + i, 1.0, "buy", str(i)) for i in range(count)]
        if not number:
            events.append(
                Status(NAME, at + SECOND, at + SECOND, 0, "disconnected", "binance", "trades", "unsubscribed", None, None, None)
            )
    found = bars(keep(tmp_path, events), NAME, "tick:3").to_pylist()
    assert [(row["trades"], row["complete"]) for row in found] == [(3, False), (3, False), (1, False), (3, False), (2, False)]
    assert found[2]["ts_recv"] == T0 + SECOND
    assert found[4]["ts_recv"] == T0 + 10 * SECOND + 4


def test_the_open_interest_that_was_known_when_a_bar_closed(tmp_path: Path) -> None:
    events: list[Event] = []
    for i in range(10):
        events.append(Trade(NAME, T0 + i, T0 + i, 0, 1.0, 1.0, "buy", str(i)))
        if i in (2, 5):
            events.append(Ticker(NAME, T0 + i, T0 + i, 0, open_interest=100.0 + i))
        if i == 6:
            events.append(Ticker(NAME, T0 + i, T0 + i, 0, mark=1.5))
    found = bars(keep(tmp_path, events), NAME, "tick:2").to_pylist()
    assert [row["open_interest"] for row in found] == [None, 102.0, 102.0, 105.0, 105.0]
    assert bars(keep(tmp_path, [], "s2"), NAME, "1m").to_pylist()[0]["open_interest"] == 105.0
