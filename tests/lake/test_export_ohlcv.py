"""Bars where they are wanted: in pandas, polars and a strategy of backtesting.py."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tapeline.errors import UsageError
from tapeline.events import Bar, Event, Trade
from tapeline.lake import export_ohlcv
from tapeline.lake.lake import Lake
from tests.engine.feeds import SECOND
from tests.lake.exports import BTC, events_of, lake_of, market

NAMES = ["Open", "High", "Low", "Close", "Volume"]


@pytest.fixture
def made(tmp_path: Path) -> list[Event]:
    return lake_of(tmp_path, events_of(market(1200)))


def bars(events: list[Event], interval: str = "1s") -> dict[int, tuple[float, ...]]:
    latest: dict[int, Bar] = {}
    for e in events:
        if isinstance(e, Bar) and e.interval == interval and e.revision >= getattr(latest.get(e.ts_open), "revision", 0):
            latest[e.ts_open] = e
    return {t: (b.open, b.high, b.low, b.close, b.volume) for t, b in sorted(latest.items())}


def exported(data: Path, name: str, **more: Any) -> Path:
    form = {"csv": "csv", "parquet": "parquet", "arrow": "arrow", "feather": "arrow", "jsonl": "jsonl"}[name.split(".")[1]]
    export_ohlcv.export(data, BTC, "1s", None, None, form, str(data / name), **more)
    return data / name


def frame(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return pd.read_csv(path, index_col=0, parse_dates=True)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_feather(path)


@pytest.mark.parametrize("name", ["o.csv", "o.parquet", "o.feather"])
def test_pandas_has_the_bars_by_their_utc_time(tmp_path: Path, made: list[Event], name: str) -> None:
    found = frame(exported(tmp_path, name))
    assert list(found.columns) == NAMES and found.index.name == "Time" and str(found.index.tz) == "UTC"
    times = [int(t.value) for t in found.index.as_unit("ns")]
    assert dict(zip(times, found.itertuples(index=False, name=None), strict=True)) == bars(made)


def test_a_strategy_runs_over_them(tmp_path: Path, made: list[Event]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from backtesting import Backtest, Strategy

        class Buys(Strategy):  # type: ignore[misc]
            def init(self) -> None:
                pass

            def next(self) -> None:
                if not self.position:
                    self.buy(size=1)

        stats = Backtest(frame(exported(tmp_path, "o.csv")), Buys, cash=10_000, finalize_trades=True).run()
    assert stats["# Trades"] == 1
    wanted = list(bars(made).values())
    entry = stats["_trades"].iloc[0]
    assert entry.EntryPrice == wanted[int(entry.EntryBar)][0]


def test_incomplete_bars_are_told_or_left_out(tmp_path: Path, made: list[Event]) -> None:
    incomplete = {e.ts_open for e in made if isinstance(e, Bar) and e.interval == "1s" and not e.complete}
    every = export_ohlcv.export(tmp_path, BTC, "1s", None, None, "csv", str(tmp_path / "a.csv"))
    whole = export_ohlcv.export(tmp_path, BTC, "1s", None, None, "csv", str(tmp_path / "b.csv"), complete=True)
    assert incomplete and every.notes[0].startswith(f"{len(incomplete)} of the bars may lack trades")
    assert whole.left_out == {"bars that may lack trades": len(incomplete)} and whole.rows == every.rows - len(incomplete)
    assert len(frame(tmp_path / "b.csv")) == whole.rows


def test_json_lines_and_what_is_no_interval(tmp_path: Path, made: list[Event]) -> None:
    assert exported(tmp_path, "o.jsonl").read_bytes().count(b"\n") == len(bars(made))
    with pytest.raises(UsageError, match="'7x' is no kind of bar"):
        export_ohlcv.export(tmp_path, BTC, "7x", None, None, "csv", str(tmp_path / "x.csv"))


def test_an_interval_that_is_not_stored_is_folded(tmp_path: Path, made: list[Event]) -> None:
    export_ohlcv.export(tmp_path, BTC, "7s", None, None, "csv", str(tmp_path / "o.csv"))
    found = frame(tmp_path / "o.csv")
    assert found.Volume.sum() == pytest.approx(sum(e.size for e in made if isinstance(e, Trade)))
    assert {int(t.value) % (7 * SECOND) for t in found.index.as_unit("ns")} == {0}


@pytest.mark.parametrize(("kind", "most"), [("tick:50", 50), ("5s@Europe/Berlin", 10**9), ("volume:7", 10**9)])
def test_any_kind_of_bar(tmp_path: Path, made: list[Event], kind: str, most: int) -> None:
    done = export_ohlcv.export(tmp_path, BTC, kind, None, None, "csv", str(tmp_path / "o.csv"))
    found, table = frame(tmp_path / "o.csv"), Lake(tmp_path).bars(BTC, kind)
    assert done.rows == len(found) == len(table) > 1
    assert found.Volume.tolist() == table["volume"].to_pylist()
    assert found.Volume.sum() == pytest.approx(sum(e.size for e in made if isinstance(e, Trade)))
    assert max(table["trades"].to_pylist()) <= most
