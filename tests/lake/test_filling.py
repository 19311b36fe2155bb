"""Bars filled in, and Heikin-Ashi, out of the lake."""

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tapeline.clock import SECOND, parse_iso
from tapeline.errors import UsageError
from tapeline.events import Flag, Trade
from tapeline.lake import filling
from tapeline.lake.bars import bars
from tapeline.lake.catalogue import Catalogue
from tests.engine.feeds import T0
from tests.lake.keeping import NAME, keep, market, session

FILLED, SIMULATED = int(Flag.FILLED), int(Flag.SIMULATED)
HOUR = 3600 * SECOND


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    r = random.Random(5)
    return keep(tmp_path_factory.mktemp("filling"), session(r, market(r, T0, 300, 60_000)))


@pytest.mark.parametrize("kind", ["1s", "7s", "1m", "15m@Asia/Kolkata"])
def test_filled_bars_stand_between_those_that_are_there(lake: Catalogue, kind: str) -> None:
    plain, full = bars(lake, NAME, kind).to_pylist(), bars(lake, NAME, kind, fill=True).to_pylist()
    assert [row for row in full if not row["flags"] & FILLED] == plain
    width = full[0]["ts_event"] - full[0]["ts_open"]
    assert {b["ts_open"] - a["ts_open"] for a, b in pairwise(full)} == {width}
    last: dict[str, Any] = {}
    for row in full:
        if row["flags"] & FILLED:
            assert {row[p] for p in ("open", "high", "low", "close")} == {last["close"]}
            sums = [row[n] for n in ("volume", "buy_volume", "sell_volume", "notional", "trades")]
            assert sums == [0] * 5
            assert (row["vwap"], row["revision"], row["origin"], row["interval"]) == (None, 0, "trades", kind)
            after = next(r for r in plain if r["ts_open"] > row["ts_open"])
            assert row["complete"] == (last["complete"] and after["complete"])
            assert row["ts_event"] == row["ts_open"] + width
        else:
            last = row


def trade(ts: int, price: float, flags: int = 0) -> Trade:
    return Trade(NAME, ts, ts, flags, price, 1.0, "buy", str(ts))


def test_nothing_is_filled_in_while_an_exchange_is_closed(tmp_path: Path) -> None:
    """Friday, 2026-11-20, 20:50 UTC is ten minutes before New York closes; it opens on Monday at 14:30."""
    friday, monday = parse_iso("2026-11-20T20:50:00Z"), parse_iso("2026-11-23T15:10:00Z")
    lake = keep(tmp_path, [trade(friday, 5.0, SIMULATED), trade(monday, 6.0, SIMULATED)])
    found = bars(lake, NAME, "15m@XNYS", fill=True).to_pylist()
    assert [row["ts_open"] for row in found] == [
        parse_iso(f"2026-11-{at}Z") for at in ("20T20:45", "23T14:30", "23T14:45", "23T15:00")
    ]
    assert [row["flags"] for row in found] == [SIMULATED, SIMULATED | FILLED, SIMULATED | FILLED, SIMULATED]
    assert len(bars(lake, NAME, "1h", fill=True)) == (monday // HOUR - friday // HOUR) + 1


def test_what_cannot_be_filled_in_is_told(lake: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("tick:50", "renko:2", "heikin-ashi:tick:50"):
        with pytest.raises(UsageError, match="only bars of time can be empty"):
            bars(lake, NAME, kind, fill=True)
    monkeypatch.setattr(filling, "MOST", 100)
    with pytest.raises(UsageError, match="more than 100 bars of 1s with those filled in"):
        bars(lake, NAME, "1s", fill=True)


@pytest.mark.parametrize("base", ["1m", "90s", "tick:20"])
def test_heikin_ashi_is_drawn_from_its_bars(lake: Catalogue, base: str) -> None:
    plain, view = bars(lake, NAME, base).to_pylist(), bars(lake, NAME, f"heikin-ashi:{base}").to_pylist()
    opened = closed = 0.0
    for n, (bar, drawn) in enumerate(zip(plain, view, strict=True)):
        opened = (opened + closed) / 2 if n else (bar["open"] + bar["close"]) / 2
        closed = (bar["open"] + bar["high"] + bar["low"] + bar["close"]) / 4
        prices = {
            "open": opened,
            "close": closed,
            "high": max(bar["high"], opened, closed),
            "low": min(bar["low"], opened, closed),
        }
        assert drawn == {**bar, **prices, "interval": f"heikin-ashi:{base}"}


def test_heikin_ashi_is_the_same_wherever_it_is_asked_for_from(lake: Catalogue) -> None:
    every = bars(lake, NAME, "heikin-ashi:1m", fill=True).to_pylist()
    start = every[len(every) // 2]["ts_open"]
    assert bars(lake, NAME, "heikin-ashi:1m", start=start, fill=True).to_pylist() == every[len(every) // 2 :]
