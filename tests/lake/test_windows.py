"""Windows live, out of the lake, and of the recorded sessions played from their tape: the same to the last field."""

import random
from pathlib import Path
from typing import Any

import pytest

import tapeline as tl
from tapeline.cli import main
from tapeline.errors import UsageError
from tapeline.events import Event, Quote, Status, Trade
from tapeline.market.windows.kinds import Kind
from tests.engine.feeds import SECOND, T0
from tests.engine.recordings import FILES, INSTRUMENTS
from tests.lake.keeping import NAME, final, keep, market, session

KINDS = [tl.tumbling("10s"), tl.sliding("1m", "15s"), tl.session("3s")]
ASKED: dict[str, Any] = {
    "first": "first(price)", "last": "last(price)", "low": "min(price)", "high": "max(price)", "n": "count",
    "shape": lambda times, prices, sizes: {"span": int(times[-1] - times[0]), "wide": prices.max() - prices.min(), "all": sizes.sum()},
}  # fmt: skip
MORE = ("volume", "vwap", "notional", "buy_volume", "sell_volume")


def last_words(windows: list[tl.Window]) -> dict[int, tl.Window]:
    return {w.start: w for w in windows if not w.retracted}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lateness", ["0s", "30s"])
def test_the_lake_gives_what_was_live_with_gaps_late_trades_and_lost_connections(
    tmp_path: Path, kind: Kind, lateness: str
) -> None:
    r = random.Random(7)
    events = session(r, market(r, T0, 900, 4_000))
    assert {e.kind for e in events if isinstance(e, Status)} >= {"gap", "disconnected", "recovered"}
    keep(tmp_path, events)
    one, two = tl.windows(events, kind, *MORE, lateness=lateness, **ASKED), tl.open(tmp_path)
    kept = two.windows(NAME, kind, *MORE, lateness=lateness, **ASKED)
    live = list(one)
    assert list(kept) == live
    assert list(kept.late) == list(one.late)
    assert kept.counts == one.counts
    assert one.late or one.counts["revised"]
    assert any(w.complete for w in live) or kind is KINDS[1]  # holes come more often than a minute
    assert not all(w.complete for w in live)


def test_minutes_equal_the_bars_that_the_pipeline_makes(tmp_path: Path) -> None:
    r = random.Random(8)
    events = session(r, market(r, T0, 900, 4_000))
    bars = {ts: bar for (name, ts), bar in final(events).items() if name == "1m"}
    windows = last_words(list(tl.windows(events, tl.tumbling("1m"), *MORE, lateness="10m", **ASKED)))
    assert windows.keys() == bars.keys()
    for ts, bar in bars.items():
        w = windows[ts]
        assert (w.first, w.high, w.low, w.last, w.n) == (bar.open, bar.high, bar.low, bar.close, bar.trades)
        assert (w.volume, w.buy_volume, w.notional, w.vwap) == (bar.volume, bar.buy_volume, bar.notional, bar.vwap)
        assert bar.complete or not w.complete, "never complete where the bar is not"


def test_several_sessions_in_one_lake_go_on_and_what_is_between_is_a_hole(tmp_path: Path) -> None:
    r = random.Random(9)
    first = session(r, market(r, T0, 100, 900), ends=False)
    rest = session(r, market(r, T0 + 200 * SECOND, 100, 900))
    keep(tmp_path, first, "s1")
    keep(tmp_path, rest, "s2")
    live = list(tl.windows([*first, *rest], tl.tumbling("10m"), "count"))
    assert list(tl.open(tmp_path).windows(NAME, tl.tumbling("10m"), "count")) == live
    assert not any(w.complete for w in live)


def test_a_span_is_cut_out_and_what_the_cut_touches_is_not_complete(tmp_path: Path) -> None:
    events: list[Event] = [Trade(NAME, T0 + i * SECOND, T0 + i * SECOND, 0, 1.0, 1.0, "buy", str(i)) for i in range(100)]
    keep(tmp_path, events)
    lake, start = tl.open(tmp_path), T0 - T0 % (10 * SECOND) + 10 * SECOND
    found = list(lake.windows(NAME, tl.tumbling("10s"), "count", start=start, end=start + 35 * SECOND))
    assert [(w.start - start) // SECOND for w in found] == [0, 10, 20, 30]
    assert [w.complete for w in found] == [False, True, True, False]
    assert [w.records for w in found] == [10, 10, 10, 5]


def test_the_lake_says_what_it_has_not(tmp_path: Path) -> None:
    keep(tmp_path, [Trade(NAME, T0, T0, 0, 1.0, 1.0, "buy", "1")])
    lake = tl.open(tmp_path)
    with pytest.raises(UsageError, match="did you mean binance:BTC-USDT"):
        lake.windows("binance:BTC-USD", tl.tumbling("1m"), "count")
    with pytest.raises(UsageError, match="at least one instrument"):
        lake.windows([], tl.tumbling("1m"), "count")
    assert list(lake.windows([NAME], tl.tumbling("1m"), of="quotes", mid="last(mid)")) == []


@pytest.mark.parametrize("venue", sorted(FILES))
def test_of_the_recorded_sessions_the_tape_and_the_lake_say_the_same(
    tmp_path: Path, shared_frames: Path, venue: str, capsys: Any
) -> None:
    assert main(["import", venue, str(shared_frames / "recorded" / FILES[venue]), "--data", str(tmp_path)]) == 0
    capsys.readouterr()
    name, lake = INSTRUMENTS[venue], tl.open(tmp_path)
    events = list(tl.replay(tmp_path))
    trades, quotes = sum(isinstance(e, Trade) for e in events), sum(isinstance(e, Quote) for e in events)
    mine = [e for e in events if e.instrument in (name, "")]
    for kind in KINDS:
        played = list(tl.windows(events, kind, *MORE, **ASKED))
        assert played == list(tl.windows(mine, kind, *MORE, **ASKED))
        assert played == list(lake.windows(name, kind, *MORE, **ASKED))
        assert sum(w.records for w in played) >= trades
    mids = {"of": "quotes", "mid": "last(mid)", "wide": "mean(spread)", "n": "count"}
    played = list(tl.windows(events, KINDS[0], where=lambda q: q.origin == "venue", **mids))
    assert played == list(lake.windows(name, KINDS[0], where=lambda q: q.origin == "venue", **mids))
    assert 0 < sum(w.n for w in played) < quotes
