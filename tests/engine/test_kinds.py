"""Further kinds of bars in the pipeline: the same live, replayed, in any batches and cut anywhere; switched on; wrongly named."""

import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.config import PipelineSettings, Settings
from tapeline.engine.checking import exchanges
from tapeline.engine.collector import Collector
from tapeline.engine.lines import frames as frames_of
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import ConfigError
from tapeline.events import Bar, Event, Flag, Status, Trade
from tapeline.frames import Frame, FrameKind, Switched, pack
from tapeline.market import sessions
from tapeline.market.barkinds.kinds import Kinds
from tapeline.venues.registry import venue_class
from tests.engine.feeds import FUTURES, MS, SECOND, T0, lost, opened, play, recv, same, session, tick, trade
from tests.engine.test_checkpoint import RECORDED, lines_of, put_away
from tests.engine.test_rule_one import story
from tests.market.barkinds.plain import KINDS as THRESHOLDS
from tests.market.barkinds.plain import bars as plain_bars
from tests.market.barkinds.plain import row

TIMES = ("7s", "90s", "1d@America/New_York", "1h@XNYS", "4h@FX")
KINDS = (*TIMES, *THRESHOLDS)


def played(frames: Sequence[Frame], cuts: Sequence[int] = (), *, put: bool = False) -> list[Event]:
    pipeline, out = Pipeline(PipelineSettings(metrics=(), bars=KINDS)), []
    for first, last in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        pipeline.feed_many(first, frames[first:last], out)
        pipeline = put_away(pipeline) if put else pipeline
    pipeline.finish(out)
    assert pipeline.faults == 0
    return out


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.booleans(), st.data())
def test_batches_and_cuts_change_nothing(seed: int, put: bool, data: st.DataObject) -> None:
    frames = story(seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=6)))
    expected = played(frames)
    assert {e.interval for e in expected if isinstance(e, Bar)} > {"7s", "tick:7"}
    same(played(frames, cuts, put=put), expected)


@pytest.mark.parametrize("venue", ["binance", "binance-usdm", "bybit"])
def test_recorded_sessions_give_what_their_trades_say(shared_frames: Path, venue: str) -> None:
    """Live bars equal those made from the trades that were given out, one by one and from columns; and cuts change nothing."""
    path = shared_frames / "recorded" / RECORDED[venue]
    frames = list(islice(frames_of(venue_class(venue)(), lines_of(path), path.name), 8_000))
    events, dice = played(frames), random.Random(venue)
    same(played(frames, sorted(dice.randrange(len(frames)) for _ in range(4)), put=True), events)
    by_name: dict[str, list[Trade]] = {}
    for e in events:
        if isinstance(e, Trade) and not e.flags & Flag.OFF_BOOK:
            by_name.setdefault(e.instrument, []).append(e)
    for name, trades in by_name.items():
        kinds, out = Kinds.of(THRESHOLDS, name), []
        kinds.add_many(trades, out)
        for kind in THRESHOLDS:
            live = [e for e in events if isinstance(e, Bar) and (e.instrument, e.interval, e.revision) == (name, kind, 0)]
            closed = [row(b)._replace(complete=True) for b in live if b.ts_recv != frames[-1].ts_recv or b.complete]
            assert [row(b) for b in out if isinstance(b, Bar) and b.interval == kind][: len(closed)] == closed, kind
            assert closed == plain_bars(trades, kind)[: len(closed)], kind


def test_a_bar_comes_right_behind_the_trade_that_closed_it() -> None:
    frames = [opened(), *(recv(T0 + n * MS, trade(n, T0 // MS + n)) for n in range(1, 15))]
    out = play(frames, bars=("tick:7",), metrics=())
    assert [type(e).__name__ for e in out if isinstance(e, Trade | Bar)] == ([*["Trade"] * 7, "Bar"]) * 2


def switched(ts: int, **what: Any) -> Frame:
    return Frame(ts, FrameKind.SWITCHED, 0, pack(Switched(**what)))


def test_kinds_are_switched_on_while_it_runs_and_begin_anew_after_a_loss() -> None:
    numbers = iter(range(1, 1000))

    def trades(since: int) -> list[Frame]:
        return [recv(ms * MS, trade(next(numbers), ms)) for ms in range(since // MS, since // MS + 10)]

    frames = [
        session(), opened(), *trades(T0), switched(T0 + SECOND, bars=["tick:4", "7s"]), *trades(T0 + SECOND),
        lost(T0 + 2 * SECOND), opened(T0 + 2 * SECOND), *trades(T0 + 2 * SECOND), tick(T0 + 20 * SECOND),
    ]  # fmt: skip
    out = play(frames, Pipeline(PipelineSettings(metrics=())))
    found = [(b.trades, b.ts_open - T0 > 2 * SECOND - 1) for b in out if isinstance(b, Bar) and b.interval == "tick:4"]
    assert found == [(4, False), (4, False), (4, True), (4, True)]
    assert [b.trades for b in out if isinstance(b, Bar) and b.interval == "7s"] == [10]


def test_the_open_interest_of_the_ticker_is_in_the_bars() -> None:
    streams = ("btcusdt@aggTrade", "btcusdt@openInterest")
    told = {"openInterest": "12345.5", "symbol": "BTCUSDT", "time": T0 // MS}
    deal = {
        "e": "aggTrade",
        "E": T0 // MS,
        "s": "BTCUSDT",
        "a": 1,
        "p": "100",
        "q": "1",
        "f": 1,
        "l": 1,
        "T": T0 // MS,
        "m": False,
    }
    frames = [
        opened(venue=FUTURES, streams=streams),
        recv(T0, told),
        recv(T0 + MS, {"stream": "btcusdt@aggTrade", "data": deal}),
        tick(T0 + 3 * SECOND),
    ]
    out = play(frames, bars=("tick:1",), metrics=())
    assert any(getattr(e, "open_interest", None) == 12345.5 for e in out if not isinstance(e, Bar))
    assert [b.open_interest for b in out if isinstance(b, Bar) and b.interval in ("tick:1", "1s")] == [12345.5, 12345.5]


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("bars", "tik:5", "did you mean tick:5"), ("bars", "1d@Europe/Berlim", "Europe/Berlin"),
        ("bars", "heikin-ashi:1m", "name 1m"), ("metrics", "wvap_5m", "vwap_5m"),
    ],
)  # fmt: skip
def test_a_wrong_name_stops_a_live_session_before_it_begins(tmp_path: Path, key: str, value: str, fix: str) -> None:
    asked: dict[str, Any] = {"metrics": (), key: (value,)}
    with pytest.raises(ConfigError) as e:
        Collector(Settings(pipeline=PipelineSettings(**asked)), data=tmp_path)
    assert (e.value.key, e.value.value) == (f"pipeline.{key}", value)
    assert fix in str(e.value)
    assert not list(tmp_path.iterdir())


async def test_calendars_of_exchanges_are_read_before_anything_is_streamed() -> None:
    bars = ("1h@XHKG", "1d@XHKG", "1d@FX", "7s", "1h@Europe/Berlin")
    given = PipelineSettings(metrics=(), bars=bars)
    assert exchanges(given) == ["XHKG", "XHKG", "FX"]
    sessions._year.cache_clear()
    collector = Collector(Settings(pipeline=given), data=None)
    await collector.start()
    assert sessions._year.cache_info().currsize == 1
    await collector.stop()


def test_a_replay_says_what_it_lacks_and_goes_on() -> None:
    head = session(bars=["tick:2", "quantum:7"], metrics=[])
    frames = [head, opened(), *(recv(T0 + n * SECOND, trade(n, T0 // MS + n * 1000)) for n in range(1, 5))]
    out = play(frames, Pipeline.of_session(head))
    told = [e for e in out if isinstance(e, Status) and e.kind == "rejected"]
    assert [(e.channel, "quantum" in e.reason) for e in told] == [("bars", True)]
    assert len([e for e in out if isinstance(e, Bar) and e.interval == "tick:2"]) == 2


def test_a_head_that_names_none_makes_what_it_made() -> None:
    frames = story(11)
    before = play(frames, Pipeline(PipelineSettings(metrics=())))
    assert [e for e in played(frames) if not isinstance(e, Bar) or e.interval not in KINDS][: len(before)] == before
    assert msgspec.json.encode(PipelineSettings().bars) == b"[]"
