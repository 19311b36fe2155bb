"""The lines of `record --summary`, from trades by hand."""

import asyncio
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tapeline.cli import trade_summary
from tapeline.cli.trade_summary import TradeSummary
from tapeline.clock import ReplayClock
from tapeline.engine.bus import Batch
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Flag, Trade

ROOT = Path(__file__).parents[2]
BTC, ETH = "binance:BTC-USDT", "kraken:ETH-USD"
T0 = 1_795_132_800_123_000_000


def trade(price: float, size: float, side: str = "buy", flags: int = 0, instrument: str = BTC) -> Trade:
    return Trade(instrument, T0, T0, flags, price, size, side, "")


def test_a_line_is_of_what_came_since_the_last_one():
    summary = TradeSummary(5)
    summary.tap(
        Batch(
            "s",
            0,
            0,
            [
                trade(100.0, 0.1),
                trade(103.0, 0.2, "sell"),
                trade(99.0, 0.1, "sell"),
                trade(101.0, 0.3, "unknown"),
                trade(0.0, 5.0),
                trade(9999.0, 0.0),
                trade(9999.0, 5.0, flags=int(Flag.OFF_BOOK)),
            ],
        )
    )
    assert summary.lines(T0, [BTC, ETH]) == (
        "2026-11-20T00:00:00Z  binance:BTC-USDT  trades 4  volume 0.7  buy 25.0%  vwap 101.1428571  "
        "first 100  high 103  low 99  last 101  change +1.000%\n"
        "2026-11-20T00:00:00Z  kraken:ETH-USD    trades 0\n"
    )
    assert summary.lines(T0, []) == ""
    summary.tap(Batch("s", 1, 1, [trade(1e-8, 1e-7, "unknown", instrument=ETH)] * 3))
    assert summary.lines(T0, [ETH]) == (
        "2026-11-20T00:00:00Z  kraken:ETH-USD  trades 3  volume 0.0000003  buy -  vwap 1e-08  "
        "first 0.00000001  high 0.00000001  low 0.00000001  last 0.00000001  change +0.000%\n"
    )


async def test_a_reader_that_stands_still_holds_up_nobody(monkeypatch):
    """A pipe that is full blocks whoever writes to it: never the loop, and not the end for long."""
    goes_on, printed = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stuck(_: str) -> None:
        loop.call_soon_threadsafe(printed.set)
        goes_on.wait()

    monkeypatch.setattr(trade_summary, "print_now", stuck)
    monkeypatch.setattr(trade_summary, "CLOSE_SECONDS", 0.05)
    summary = TradeSummary(0.001)
    feed = SimpleNamespace(clock=ReplayClock(T0), pipeline=Pipeline(), failed=asyncio.Event())
    summary.start(feed)
    await printed.wait()
    summary.tap(Batch("s", 0, 0, [trade(100.0, 0.1)]))
    await summary.close(T0)
    goes_on.set()


@pytest.mark.parametrize("words", [["--summary", "0.2s", "--no-keep"], ["--csv", "-"]])
def test_a_reader_that_goes_away_ends_it(words, tmp_path):
    command = [sys.executable, "-m", "tapeline", "record", "binance:ETH-USDT", "--simulate", "--rate", "3", *words]
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline()
            process.stdout.close()
            said = process.stderr.read()
            assert process.wait(30) == 0, said
        finally:
            process.send_signal(signal.SIGKILL)
    assert "Traceback" not in said
