"""Every venue that has a simulator, all at once over real sockets, one fault at a time: no crash, told as what it is, and everything
right again afterwards; the replay of the tape is what was published, byte for byte.

`every.py` has the tables of what is a venue's own, `SENSELESS` among them: the faults that are not tried at a venue, with the reason.
"""

from typing import Any

import pytest

from tapeline.clock import SECOND
from tapeline.engine import connections
from tapeline.sim import faults as f
from tapeline.sim.faultbox import Armed
from tapeline.venues.registry import venue_class
from tests.live.every import SENSELESS, TRADES, UNPROVEN, UNTOLD, VENUES, Everywhere, everywhere, senseless, tag

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
    *((f.Malformed(how=how), SAID) for how in ("truncated", "nan", "wrong_type", "empty", "not_json")),
    (f.Malformed(how="utf8"), ()),  # in a text that nobody reads it does no harm
    (f.Malformed(how="negative"), ()),
    (f.Malformed(how="huge_id"), ()),
    *((f.Malformed(how=how, stream="trades"), SAID) for how in ("truncated", "nan", "wrong_type", "not_json")),
    *((f.Malformed(how=how, stream="trades"), ()) for how in ("utf8", "exponent", "zero_exponent", "minus_zero", "negative")),
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
    (f.Refuse(status=429, retry_after=1.0), ("connected",)),
    (f.Refuse(status=418, retry_after=1.0), ("connected",)),
    (f.Refuse(status=503), ("connected",)),
    (f.HttpFail(path="*depth*", status=503), ()),
    (f.HttpFail(path="*", status=500, times=2), ()),
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
    return "-".join([tag(value), *told])


def places(fault: f.AnyFault) -> list[str]:
    return [venue for venue in VENUES if not senseless(fault, venue)]


def needed(fault: f.AnyFault, wanted: tuple[str, ...], venue: str) -> bool:
    return bool(wanted) and (tag(fault), venue) not in UNTOLD


def acted(armed: Armed) -> bool:
    return bool(armed.hits) and (armed.spent or not getattr(armed.fault, "times", 0))


async def all_right(run: Everywhere) -> None:
    await run.in_step_everywhere()
    await run.until(lambda: not run.repairing())
    assert run.doubles() == []
    assert run.collector.pipeline.faults == 0
    assert not run.collector.failed.is_set()


@pytest.mark.parametrize(("fault", "wanted"), RUNNING, ids=name_of)
async def test_a_fault_while_running(tmp_path, fault, wanted):
    async with everywhere(tmp_path) as run:
        venues = places(fault)
        armed = run.arm(fault, venues)
        await run.none_left(lambda: [f"{v}: hit {a.hits} times" for v, a in armed.items() if not acted(a)])
        await run.none_left(
            lambda: [f"{v}: nothing told" for v in venues if needed(fault, wanted, v) and not run.told(v, wanted)]
        )
        await run.goes_on()
        if tag(fault) in {"drop", "reorder", "malformed"}:
            run.arm(f.Resnapshot(), UNPROVEN)  # one of their levels may be wrong for minutes
        await all_right(run)
    assert run.replayed() == run.published()


@pytest.mark.parametrize(("fault", "wanted"), STARTING, ids=name_of)
async def test_a_fault_at_the_start(tmp_path, monkeypatch, fault, wanted):
    monkeypatch.setattr(connections, "ACK_PATIENCE", SECOND)
    venues = places(fault)
    async with everywhere(tmp_path, before=lambda sim: [sim.fault(_at(fault, v)) for v in venues]) as run:
        armed = run.sim.faults.armed
        await run.none_left(lambda: [f"{a.fault.venue}: no hit" for a in armed if not a.hits])
        await run.none_left(
            lambda: [f"{v}: nothing told" for v in venues if needed(fault, wanted, v) and not run.told(v, wanted)]
        )
        await run.goes_on()
        await all_right(run)
    assert run.replayed() == run.published()


async def test_a_refused_subscription_is_told_and_the_next_connection_has_it(tmp_path):
    """What a venue refused is not asked for again on the same connection."""
    fault = f.AckError()
    venues = places(fault)
    async with everywhere(tmp_path, before=lambda sim: [sim.fault(_at(fault, v)) for v in venues]) as run:
        await run.none_left(lambda: [f"{a.fault.venue}: no hit" for a in run.sim.faults.armed if not a.hits])
        await run.none_left(lambda: [f"{v}: nothing told" for v in venues if not run.told(v, ("rejected",))])
        run.arm(f.Close(code=1001), venues)
        await run.goes_on()
        await all_right(run)
    assert run.replayed() == run.published()


async def test_trades_that_were_missed_are_fetched_though_the_venue_fails_at_first(tmp_path):
    """Where they can be: numbered or named, and a question for them exists. Nothing is given out twice, no hole stays."""
    venues = [v for v in VENUES if venue_class(v).trade_ids != "none"]
    async with everywhere(tmp_path, seed=5) as run:
        failing = run.arm(f.HttpFail(path="*", status=500), venues)
        run.arm(f.Close(code=1006), venues)
        await run.goes_on()
        dropped = run.arm(f.Drop(stream="trades", times=2, after=3), numbered := [v for v in venues if numbers(v)])
        await run.none_left(lambda: [f"{v}: hit {a.hits} times" for v, a in dropped.items() if not a.spent])
        await run.goes_on()
        await run.until(lambda: not run.repairing())
        await all_right(run)
        assert run.holes(venues) == {}
        assert [v for v in numbered if not run.recovered(v)] == []
        assert [v for v, a in failing.items() if not a.hits] == []
    assert run.replayed() == run.published()


def numbers(venue: str) -> bool:
    return venue_class(venue).trade_ids == "consecutive"


def _at(fault: f.AnyFault, venue: str) -> f.AnyFault:
    return f.convert({**f.msgspec.to_builtins(fault), "venue": venue})


def test_the_tables_know_each_venue_and_nothing_else():
    assert set(VENUES) <= set(TRADES)
    assert {fault for fault, _ in SENSELESS} <= set(f.NAMES)
    assert {fault for fault, _ in UNTOLD} <= set(f.NAMES)
    tried = {tag(fault) for fault, _ in [*RUNNING, *STARTING]} | {"ack_error"}
    assert tried == set(f.NAMES)
