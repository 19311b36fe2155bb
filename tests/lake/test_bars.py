"""Bars out of the lake against those that were live, field by field, and against plain decimal sums."""

import random
from pathlib import Path
from typing import Any

import pytest

from tapeline.events import Bar, Flag
from tapeline.lake.bars import bars
from tests.engine.feeds import T0
from tests.lake.keeping import NAME, WIDTHS, final, keep, market, session, trades_of

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


def rows(catalogue: Any, interval: str, **more: Any) -> dict[int, dict[str, Any]]:
    found = bars(catalogue, NAME, interval, **more).to_pylist()
    assert [row["ts_open"] for row in found] == sorted({row["ts_open"] for row in found})
    return {row["ts_open"]: row for row in found}


def live(bar: Bar) -> dict[str, Any]:
    return {f: getattr(bar, f) for f in Bar.__struct_fields__}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("count", "pause"), [(1500, 60), (1500, 4_000), (700, 300_000)])
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
