"""Each fault of the simulator, over a real socket: no crash, reported as what it is, and everything right again afterwards."""

from typing import Any

import pytest

from tapeline.engine import connections
from tapeline.events import Flag, Trade
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tests.live.rig import BTC, PERP, SIM_BTC, SIM_PERP, Run, assert_trades_accounted, running

NAMES = (SIM_BTC, SIM_PERP)
HOWS = ("truncated", "utf8", "nan", "exponent", "negative", "huge_id", "wrong_type", "empty", "not_json")
HARMLESS = ("exponent",)  # 1e-7 is a number, and JSON's own

Kind = tuple[str, str, str]
"""(kind, channel, a part of the reason) of a Status that must come."""

RUNNING: list[tuple[f.AnyFault, list[Kind]]] = [
    (f.Drop(), [("gap", "book", "updates missing"), ("resyncing", "book", "new snapshot"), ("synced", "book", "joined")]),
    (f.Drop(stream="btcusdt@*rade", times=3, after=5), [("gap", "trades", "trade ids missing")]),
    (f.Duplicate(times=3), []),
    (f.Duplicate(stream="btcusdt@*rade", times=20, copies=3), []),
    (f.Reorder(), [("gap", "book", "updates missing")]),
    (f.Reorder(stream="btcusdt@*rade", times=2, every=3), [("gap", "trades", "missing"), ("recovered", "trades", "after all")]),
    (f.Split(times=3), []),
    (f.Crossed(), [("crossed", "book", "at or above best ask"), ("resyncing", "book", "new snapshot")]),
    (f.Skew(stream="btcusdt@*rade", ms=-700_000, times=2), [("late", "trades", "too late for its bar")]),
    (f.Fragment(times=3), []),
    (f.Oversize(megabytes=10.0), []),
    (f.Stall(count=5), []),
    (f.Silence(seconds=2.5), [("stale", "book", "silent for"), ("recovered", "book", "speaks again"), ("gap", "book", "missing")]),
    (f.Close(code=1006), [("disconnected", "", "code 1006"), ("resyncing", "book", "lost"), ("connected", "", "")]),
    (f.Close(code=1005), [("disconnected", "", "code 1005")]),
    (f.Close(code=1008, reason="slow"), [("disconnected", "", "code 1008: slow")]),
    (f.Close(code=1012), [("disconnected", "", "code 1012")]),
    (f.Shutdown(grace=10.0), [("connected", "", "will be replaced"), ("connected", "", "taking over"), ("disconnected", "", "planned")]),
    (f.Reset(last=5), [("gap", "book", "")]),
    *((f.Malformed(how=how), [("rejected", "", "")]) for how in HOWS if how not in HARMLESS),
    *((f.Malformed(how=how, stream="*@bookTicker"), []) for how in HARMLESS),  # in a book, the wrong size would stay
]  # fmt: skip

STARTING: list[tuple[f.AnyFault, list[Kind]]] = [
    (f.NeverAck(), [("stale", "", "no acknowledgement")]),
    (
        f.AckError(venue="binance"),
        [("rejected", "", "refused"), ("stale", "book", "silent since it was asked for"), ("connected", "", "")],
    ),
    (f.Refuse(status=503), [("connected", "", "attempt 1")]),
    (f.Refuse(status=429, retry_after=1.0), [("connected", "", "attempt 1")]),
    (f.HttpFail(path="*depth*", status=503), [("resyncing", "book", "no snapshot: HTTP 503")]),
    (f.HttpFail(path="*depth*", status=429, retry_after=1.0), [("resyncing", "book", "no snapshot: HTTP 429")]),
    (f.HttpFail(path="*depth*", status=418, retry_after=1.0), [("resyncing", "book", "no snapshot: HTTP 418")]),
    (f.LateSnapshot(seconds=0.8), []),
    (f.LateSnapshot(seconds=0.8, fresh=True), []),
    (f.StaleSnapshot(), [("resyncing", "book", "is older than the first buffered")]),
]


def name_of(value: Any) -> str:
    return f"{value.__struct_config__.tag}-{getattr(value, 'how', '') or getattr(value, 'stream', '') or getattr(value, 'status', '')}" if isinstance(value, f.Fault) else ""  # fmt: skip


def told(run: Run, wanted: list[Kind]) -> bool:
    return all(any(s.channel == channel and text in s.reason for s in run.statuses(kind)) for kind, channel, text in wanted)


async def all_right(run: Run) -> None:
    """Afterwards: the simulator's own books, every trade accounted for, nothing of ours at fault."""
    await run.quiet(*NAMES, seconds=20)
    run.assert_books_equal(*NAMES)
    for name in NAMES:
        assert_trades_accounted(run, name)
    assert run.collector.pipeline.faults == 0
    assert all(not task.done() for task in run.collector._tasks if task.get_name().startswith("supervisor"))


@pytest.mark.parametrize(("fault", "wanted"), RUNNING, ids=name_of)
async def test_a_fault_while_running(tmp_path, fault, wanted):
    async with SimServer(seed=11, rate=6.0) as sim:
        async with running(sim, tmp_path, instruments=(BTC, PERP), channels=("trades", "book", "quotes")) as run:
            await run.synced(*NAMES)
            await run.until(lambda: all(run.trades(n) for n in NAMES))
            before = len(run.events)
            armed = sim.fault(fault)
            await run.until(lambda: armed.spent or (armed.hits and not getattr(fault, "times", 0)))
            await run.until(lambda: told(run, wanted))
            await run.synced(*NAMES)
            after = len(run.trades(SIM_BTC))
            await run.until(lambda: len(run.trades(SIM_BTC)) > after + 5)
            await all_right(run)
            if not wanted:  # legal, or none of a consumer's business
                assert [s for s in run.statuses() if s in run.events[before:] and s.kind not in {"stale", "recovered"}] == []
        assert run.replayed() == run.published()


@pytest.mark.parametrize(("fault", "wanted"), STARTING, ids=name_of)
async def test_a_fault_at_the_start(tmp_path, monkeypatch, fault, wanted):
    monkeypatch.setattr(connections, "ACK_PATIENCE", 1_000_000_000)
    async with SimServer(seed=12, rate=6.0) as sim:
        if isinstance(fault, f.StaleSnapshot):
            sim.fault(fault)
            await sim.play(0)
        armed = sim.fault(fault) if not isinstance(fault, f.StaleSnapshot) else sim.faults.armed[0]
        async with running(sim, tmp_path, instruments=(BTC, PERP), channels=("trades", "book", "quotes")) as run:
            await run.until(lambda: armed.hits)
            await run.until(lambda: told(run, wanted))
            await run.synced(*NAMES)
            await run.until(lambda: all(len(run.trades(n)) > 5 for n in NAMES))
            await all_right(run)
        assert run.replayed() == run.published()


async def test_a_trade_far_behind_its_time_is_flagged_and_corrects_its_bar(tmp_path):
    async with SimServer(seed=13, rate=6.0) as sim, running(sim, tmp_path, instruments=(BTC,), channels=("trades",)) as run:
        await run.until(lambda: len({t.ts_event // 10**9 for t in run.trades(SIM_BTC)}) > 2)
        sim.fault(f.Skew(stream="btcusdt@trade", ms=-1500, times=2))
        await run.until(lambda: any(type(e) is Trade and e.flags & Flag.LATE for e in run.events))
        assert any(getattr(e, "revision", 0) for e in run.events)
