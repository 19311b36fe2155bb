"""The `.npz` in the real package: its own check of the order, and a backtest whose depth is our book at every instant."""

import importlib
from bisect import bisect_right
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapeline.errors import UsageError
from tapeline.events import BookUpdate, Event, Flag, Quote, Trade
from tapeline.lake import export_hftbacktest as hft
from tests.engine.feeds import MS
from tests.lake.exports import BTC, SKEW, events_of, lake_of, market, over_midnight

hftbacktest = pytest.importorskip("hftbacktest")
validate = importlib.import_module("hftbacktest.data").validate_event_order

Touch = tuple[float, float, float, float]


def exported(data: Path) -> tuple[Any, Any]:
    done = hft.export(data, BTC, None, None, str(data / "out.npz"))
    with np.load(data / "out.npz") as file:
        return file["data"], done


def run(path: Path, step: int = 37 * MS) -> list[tuple[int, Touch]]:
    """(local time, best bid and ask) along a backtest over the file."""
    asset = (
        hftbacktest.BacktestAsset()
        .data([str(path)])
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(0.01)
        .lot_size(0.00001)
    )
    backtest = hftbacktest.HashMapMarketDepthBacktest([asset])
    seen = []
    while backtest.elapse(step) == 0:
        d = backtest.depth(0)
        seen.append((int(backtest.current_timestamp), (d.best_bid, d.best_bid_qty, d.best_ask, d.best_ask_qty)))
    backtest.close()
    return seen


def touches(events: list[Event], shift: int) -> tuple[list[int], list[Touch]]:
    """When we had which best bid and ask, by the clock of the export. What waited for a snapshot counts from there on."""
    times: list[int] = []
    found: list[Any] = []
    for q in events:
        if isinstance(q, Quote) and q.origin == "book":
            times.append(max(q.ts_recv + shift, times[-1] if times else 0))
            found.append((q.bid, q.bid_size, q.ask, q.ask_size))
    return times, found


def compare(seen: list[tuple[int, Touch]], events: list[Event], shift: int) -> int:
    times, wanted = touches(events, shift)
    compared = 0
    for at, touch in seen:
        if i := bisect_right(times, at):
            assert np.allclose(touch, wanted[i - 1], rtol=0, atol=1e-9), at
            compared += 1
    return compared


@pytest.mark.parametrize("make", [lambda: events_of(market()), over_midnight])
def test_the_depth_of_a_backtest_is_our_book(tmp_path: Path, make: Any) -> None:
    events = lake_of(tmp_path, make())
    data, done = exported(tmp_path)
    validate(data)
    shift = int(data["local_ts"].max()) - max(e.ts_recv for e in events if isinstance(e, Trade | BookUpdate))
    assert 0 < shift <= SKEW and done.notes[0].startswith("receive times are 0.")
    assert compare(run(tmp_path / "out.npz"), events, shift) > 500


def test_a_recorded_session(shared_frames: Path, tmp_path: Path) -> None:
    from tests.engine.recordings import recording

    lines = recording(shared_frames, "binance").lines[:9000]
    events = lake_of(tmp_path, events_of([(int(head), raw) for head, _, raw in (line.partition(b" ") for line in lines)]))
    data, _ = exported(tmp_path)
    validate(data)
    shift = int(data["local_ts"].max()) - max(e.ts_recv for e in events if isinstance(e, Trade | BookUpdate))
    assert compare(run(tmp_path / "out.npz", 100 * MS), events, shift) > 500


def test_a_span_from_the_middle_begins_with_the_book(tmp_path: Path) -> None:
    events = lake_of(tmp_path, events_of(market()))
    times = [e.ts_event for e in events if isinstance(e, BookUpdate)]
    hft.export(tmp_path, BTC, times[len(times) // 2], None, str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as file:
        data = file["data"]
    validate(data)
    shift = int(data["local_ts"].max()) - max(e.ts_recv for e in events if isinstance(e, Trade | BookUpdate))
    seen = run(tmp_path / "out.npz")
    assert compare(seen[1:], events, shift) == len(seen) - 1 > 250


def test_trades_bear_the_aggressors_side_and_every_row_stands_once_for_each(tmp_path: Path) -> None:
    events = lake_of(tmp_path, events_of(market()))
    data, done = exported(tmp_path)
    assert data.dtype == hftbacktest.types.event_dtype and len(data) == done.rows
    t = hftbacktest.types
    trades = [e for e in events if isinstance(e, Trade)]
    for whom in (t.EXCH_EVENT, t.LOCAL_EVENT):
        rows = data[(data["ev"] & 0xFF == t.TRADE_EVENT) & (data["ev"] & whom > 0)]
        made = sorted(
            zip(rows["px"], rows["qty"], (rows["ev"] & t.BUY_EVENT > 0), (rows["ev"] & t.SELL_EVENT > 0), strict=True)
        )
        assert made == sorted((e.price, e.size, e.side == "buy", e.side == "sell") for e in trades)
    late = data[data["ev"] & (t.EXCH_EVENT | t.LOCAL_EVENT) == t.EXCH_EVENT]
    assert 0 < len(late) < len(data) / 4


def test_a_snapshot_clears_both_sides_and_unproven_updates_stay_out(tmp_path: Path) -> None:
    messages = market(60)
    events = lake_of(tmp_path, events_of([*messages[:40], *messages[46:]]))
    data, done = exported(tmp_path)
    t = hftbacktest.types
    clears = data[data["ev"] & 0xFF == t.DEPTH_CLEAR_EVENT]
    assert len(clears) == 2 and np.isnan(clears["px"]).all()
    unproven = [e for e in events if isinstance(e, BookUpdate) and e.flags & Flag.BOOK_UNPROVEN and not e.snapshot]
    assert done.left_out == {"book updates that no snapshot was joined to": len(unproven)} and unproven
    levels = sum(len(e.bids) + len(e.asks) for e in events if isinstance(e, BookUpdate)) - sum(
        len(e.bids) + len(e.asks) for e in unproven
    )
    local = data[data["ev"] & t.LOCAL_EVENT > 0]
    assert np.isin(local["ev"] & 0xFF, (t.DEPTH_EVENT, t.DEPTH_SNAPSHOT_EVENT)).sum() == levels


def test_where_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--output"):
        hft.export(tmp_path, BTC, None, None, "-")
    lake_of(tmp_path, events_of(market(30)))
    hft.export(tmp_path, BTC, 0, 5, str(tmp_path / "none.npz"))
    with np.load(tmp_path / "none.npz") as file:
        assert file["data"].shape == (0,)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake", "none.npz"]
