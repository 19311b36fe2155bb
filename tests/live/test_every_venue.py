"""Every venue that has a simulator, all at once over real sockets, one fault at a time: no crash, told as what it is, and everything
right again afterwards; the replay of the tape is what was published, byte for byte.

`every.py` has the tables of what is a venue's own, `SENSELESS` among them: the faults that are not tried at a venue, with the reason.
"""

from typing import Any

import pytest

from tapeline.clock import SECOND
from tapeline.engine import connections
from tapeline.sim import faults as f
from tapeline.sim.registry import wire_class
from tapeline.venues.registry import venue_class
from tests.live.every import AT_ONCE, BOOKS, SENSELESS, TRADES, VENUES, Everywhere, everywhere, senseless

LOST = ("gap", "crossed", "rejected", "resyncing")
SAID = ("rejected", "gap")
GONE = ("disconnected",)

RUNNING: list[tuple[f.AnyFault, tuple[str, ...]]] = [
    (f.Drop(after=2), LOST),
    (f.Duplicate(times=3), ()),
    (f.Duplicate(stream="trades", times=5, copies=3), ()),
    (f.Reorder(after=2), ()),
    (f.Split(times=3), ()),
    (f.Crossed(), LOST),
    (f.Checksum(), LOST),
    (f.Skew(stream="trades", ms=-700_000, times=2), ()),
    (f.Skew(stream="trades", ms=700_000, times=1), ()),
    (f.Fragment(times=3), ()),
    (f.Oversize(megabytes=2.0), ()),
    (f.Stall(count=5), ()),
    *((f.Malformed(how=how), SAID) for how in ("truncated", "utf8", "nan", "wrong_type", "empty", "not_json")),
    (f.Malformed(how="negative"), ()),
    (f.Malformed(how="huge_id"), ()),
    *((f.Malformed(how=how, stream="trades"), SAID) for how in ("truncated", "utf8", "nan", "wrong_type", "not_json")),
    *((f.Malformed(how=how, stream="trades"), ()) for how in ("exponent", "zero_exponent", "minus_zero", "negative")),
    *((f.Malformed(how=how, stream="trades"), ()) for how in ("zero_price", "huge_id", "epoch", "year_one")),
    (f.Silence(seconds=2.5), ("stale", "disconnected")),
    (f.Close(code=1006), GONE),
    (f.Close(code=1001), GONE),
    (f.Close(code=1012, reason="restart"), GONE),
    (f.Shutdown(grace=1.0), GONE),
    (f.Reset(last=5), ()),
    (f.Resnapshot(), ()),
    (f.Halt(seconds=1.0), ()),
    (f.Burst(factor=5.0, seconds=1.0), ()),
]
STARTING: list[tuple[f.AnyFault, tuple[str, ...]]] = [
    (f.NeverAck(), ("stale",)),
    (f.LateAck(seconds=0.5), ()),
    (f.SwapAcks(), ()),
    (f.AckError(), ("rejected",)),
    (f.Refuse(status=429, retry_after=1.0), ("connected",)),
    (f.Refuse(status=418, retry_after=1.0), ("connected",)),
    (f.Refuse(status=503), ("connected",)),
    (f.HttpFail(path="*depth*", status=503), ()),
    (f.LateSnapshot(seconds=0.8), ()),
    (f.LateSnapshot(seconds=0.8, fresh=True), ()),
    (f.StaleSnapshot(), ()),
]


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    for venue in VENUES:
        if secret := venue_class(venue).secret:
            monkeypatch.setenv(f"{secret.upper()}_API_KEY", "a-key-of-this-suite")


def name_of(value: Any) -> str:
    if not isinstance(value, f.Fault):
        return ""
    keys = ("how", "stream", "code", "status", "fresh", "ms")
    told = [str(getattr(value, key)) for key in keys if getattr(value, key, "") not in {"", False}]
    return "-".join([str(value.__struct_config__.tag), *told])


def places(fault: f.AnyFault) -> list[str]:
    return [venue for venue in VENUES if not senseless(fault, venue)]


async def all_right(run: Everywhere) -> None:
    try:
        await run.quiet(seconds=25)
    except TimeoutError:
        assert run.differences() == []
        raise
    await run.until(lambda: not run.repairing(), 10)
    assert run.doubles() == []
    assert run.collector.pipeline.faults == 0
    assert not run.collector.failed.is_set()


@pytest.mark.parametrize(("fault", "wanted"), RUNNING, ids=name_of)
async def test_a_fault_while_running(tmp_path, fault, wanted):
    async with everywhere(tmp_path) as run:
        venues = places(fault)
        armed = run.arm(fault, venues)
        await run.until(lambda: all(a.hits and (a.spent or not getattr(fault, "times", 0)) for a in armed.values()), 20)
        await run.until(lambda: all(run.told(v, wanted) for v in venues), 20)
        await run.synced(seconds=25)
        await run.hears_trades()
        await all_right(run)
    assert run.replayed() == run.published()


@pytest.mark.parametrize(("fault", "wanted"), STARTING, ids=name_of)
async def test_a_fault_at_the_start(tmp_path, monkeypatch, fault, wanted):
    monkeypatch.setattr(connections, "ACK_PATIENCE", SECOND)
    venues = places(fault)
    async with everywhere(tmp_path, before=lambda sim: [sim.fault(_at(fault, v)) for v in venues]) as run:
        armed = run.sim.faults.armed
        await run.until(lambda: all(a.hits for a in armed), 20)
        await run.until(lambda: all(run.told(v, wanted) for v in venues), 20)
        await run.synced(seconds=30)
        await run.hears_trades()
        await all_right(run)
    assert run.replayed() == run.published()


def _at(fault: f.AnyFault, venue: str) -> f.AnyFault:
    return f.convert({**f.msgspec.to_builtins(fault), "venue": venue})


def test_the_tables_know_each_venue_and_nothing_else():
    assert set(VENUES) <= set(TRADES)
    assert {fault for fault, _ in SENSELESS} <= set(f.NAMES)
    tried = {str(fault.__struct_config__.tag) for fault, _ in [*RUNNING, *STARTING]} | {"http"}
    assert tried == set(f.NAMES)
    assert all(len(wire_class(v).default) >= AT_ONCE for v in BOOKS)
