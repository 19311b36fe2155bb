"""Instruments added and removed on a running collector, over real sockets, at every venue that has a simulator."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tapeline.config import VenueSettings
from tapeline.engine.subscriptions import Wanted
from tapeline.errors import Refused, UsageError
from tapeline.events import Bar, BookUpdate, Status, Trade
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.sim.registry import simulated, wire_class
from tapeline.venues.registry import venue_class
from tests.live.rig import BTC, ETH, PERP, QUICK, SIM_BTC, SIM_ETH, SIM_PERP, Run, assert_trades_accounted, running
from tests.waiting import becomes, until

SOL = "binance:SOL-USDT"


def venues(sim: SimServer) -> dict[str, VenueSettings]:
    return {name: VenueSettings(ws_url=sim.ws_url(name), http_url=sim.http_url(name)) for name in sim.wires}


def after(run: Run, mark: int, kind: type, instrument: str) -> list[Any]:
    return [e for e in run.events[mark:] if type(e) is kind and e.instrument == instrument]


@pytest.mark.parametrize("venue", simulated())
async def test_one_more_and_one_less_at_every_venue(tmp_path: Path, venue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other instrument goes on on the same connection without a gap; what was added speaks, what was removed ends."""
    kind = venue_class(venue)
    if kind.secret:
        monkeypatch.setenv(f"{kind.secret.upper()}_API_KEY", "a-key-for-the-simulator")
    first, second = (kind().derive(native, venue).id for native in wire_class(venue).default[:2])
    channels = tuple(c for c in ("trades", "book") if c in kind.channels) or kind.channels[:1]
    async with (
        SimServer(seed=11, rate=3.0, venues=(venue,)) as sim,
        running(sim, tmp_path, instruments=(first,), channels=channels, venues=venues(sim)) as run,
    ):
        control, told = run.collector.control, {"book": BookUpdate, "trades": Trade}.get(channels[-1])
        spoke = lambda name, mark: [e for e in run.events[mark:] if e.instrument == name and type(e) is not Status]  # noqa: E731
        (kept,) = [s["instrument"] for s in control.subscriptions()]
        await run.until(lambda: spoke(kept, 0))
        before = {s.state.id for s in run.collector.supervisors}
        (name,) = (await control.subscribe([second], channels)).done
        (added,) = [s["instrument"] for s in control.subscriptions() if s["name"] == name]
        await run.until(lambda: spoke(added, 0))
        if told is BookUpdate:
            await run.synced(kept, added)
        changed = await control.unsubscribe([name])
        assert changed.done == (name,)
        await run.until(lambda: added not in run.collector.pipeline.lanes)
        mark = len(run.events)
        await run.until(lambda: len(spoke(kept, mark)) > 5)
        assert spoke(added, mark) == []
        assert {s.state.id for s in run.collector.supervisors} == before
        assert not [s for s in run.events if type(s) is Status and s.kind in {"gap", "crossed"}]
        assert [s.channel for s in run.statuses("disconnected", added)] == list(channels)
        if "book" in channels:
            assert run.state(kept) == "synced"
    assert run.published() == run.replayed()


async def test_what_is_added_is_whole_and_the_rest_is_not_touched(tmp_path):
    async with SimServer(seed=70, rate=3.0) as sim, running(sim, tmp_path, instruments=(BTC,)) as run:
        control = run.collector.control
        await run.synced(SIM_BTC)
        changed = await control.subscribe([ETH, PERP], ("trades", "book"))
        assert changed.done == (ETH, PERP)
        await run.synced(SIM_ETH, SIM_PERP)
        await run.until(lambda: len(run.trades(SIM_ETH)) > 20)
        assert await control.unsubscribe([BTC], ("quotes", "ticker")) == msgspec.structs.replace(changed, done=(BTC,))
        await run.quiet(SIM_BTC, SIM_ETH)
        run.assert_books_equal(SIM_BTC, SIM_ETH)
        for name in (SIM_BTC, SIM_ETH):
            assert_trades_accounted(run, name)
        assert not run.statuses("gap")
        assert control.wanted[BTC] == ("trades", "book", "bars", "liquidations")
        assert control.wanted[ETH] == ("trades", "book")
    assert run.published() == run.replayed()


async def test_an_instrument_that_is_removed_and_comes_back_begins_anew(tmp_path):
    async with SimServer(seed=71, rate=5.0) as sim, running(sim, tmp_path, instruments=(BTC, ETH)) as run:
        control = run.collector.control
        await run.synced(SIM_BTC, SIM_ETH)
        await run.until(lambda: run.trades(SIM_ETH))
        await control.unsubscribe([SIM_ETH])  # by the name that its events bear
        await run.until(lambda: SIM_ETH not in run.collector.pipeline.lanes)
        bars = [e for e in run.events if type(e) is Bar and e.instrument == SIM_ETH and e.origin == "trades"]
        assert bars[-1].interval == "1d"
        assert not bars[-1].complete
        assert [i.id for i in run.collector.instruments()] == [SIM_BTC]
        mark = len(run.events)
        await control.subscribe([ETH], ("trades", "book"))
        await run.synced(SIM_ETH)
        await run.until(lambda: after(run, mark, Trade, SIM_ETH))
        assert not [s for s in after(run, mark, Status, SIM_ETH) if s.kind == "gap"], (
            "what was said meanwhile was not asked for"
        )
        await run.quiet(SIM_BTC, SIM_ETH)
        run.assert_books_equal(SIM_BTC, SIM_ETH)
    assert run.published() == run.replayed()


async def test_a_full_connection_gets_a_neighbour_and_an_empty_one_goes(tmp_path, monkeypatch):
    kind = venue_class("binance")
    monkeypatch.setattr(kind, "limits", msgspec.structs.replace(kind.limits, streams_per_connection=3))
    async with (
        SimServer(seed=72, rate=3.0) as sim,
        running(sim, tmp_path, instruments=(BTC,), channels=("trades", "book")) as run,
    ):
        control = run.collector.control
        loads = lambda: [s.state.streams for s in run.collector.supervisors]  # noqa: E731
        assert loads() == [2]
        await control.subscribe([ETH], ("trades", "book"))
        assert loads() == [3, 1]
        await control.subscribe([SOL], ("trades", "book"))
        assert loads() == [3, 3]
        await run.synced(SIM_BTC, SIM_ETH, "sim:SOL-USDT")
        await control.unsubscribe([BTC])
        assert loads() == [1, 3]
        await control.unsubscribe([ETH])
        assert loads() == [2], "the first connection had nothing left to carry"
        await until(lambda: len(sim.hub.conns) == 1)
        ended = lambda: [s.reason.partition(",")[0] for s in run.statuses("disconnected", "")]  # noqa: E731
        await becomes(ended, ["connection 1 planned"])
        assert run.state("sim:SOL-USDT") == "synced"
        assert not run.statuses("gap")
    assert run.published() == run.replayed()


async def test_a_change_in_the_middle_of_a_planned_reconnect(tmp_path):
    async with (
        SimServer(seed=73, rate=3.0) as sim,
        running(sim, tmp_path, instruments=(BTC,), channels=("trades", "book")) as run,
    ):
        await run.synced(SIM_BTC)
        (supervisor,) = run.collector.supervisors
        supervisor.replace("for the test")
        await run.until(lambda: len(run.collector.pipeline.connections) == 2)
        await run.collector.control.subscribe([ETH], ("trades", "book"))
        await run.until(lambda: any("replaced by connection" in s.reason for s in run.statuses("disconnected", "")))
        await run.until(lambda: len(run.trades(SIM_ETH)) > 10)
        await run.quiet(SIM_BTC, SIM_ETH)
        run.assert_books_equal(SIM_BTC, SIM_ETH)
        for name in (SIM_BTC, SIM_ETH):
            assert_trades_accounted(run, name)
    assert run.published() == run.replayed()


async def test_a_change_while_the_connection_is_down(tmp_path):
    async with (
        SimServer(seed=74, rate=3.0) as sim,
        running(sim, tmp_path, instruments=(BTC, ETH), channels=("trades", "book")) as run,
    ):
        await run.synced(SIM_BTC, SIM_ETH)
        sim.fault(f.Refuse(times=0, status=503))
        for conn in list(sim.hub.conns):
            conn.close(1012)
        await run.until(lambda: not run.collector.pipeline.connections)
        control = run.collector.control
        await control.unsubscribe([ETH])
        await control.subscribe([SOL], ("trades",))
        assert SIM_ETH not in run.collector.pipeline.lanes
        sim.faults.clear()
        await run.until(lambda: run.trades("sim:SOL-USDT"))
        assert SIM_ETH not in run.collector.pipeline.lanes
        assert sorted(s.channel for s in run.statuses("disconnected", SIM_ETH)) == ["book", "trades"]
    assert run.published() == run.replayed()


async def test_each_name_succeeds_or_fails_by_itself(tmp_path):
    async with SimServer(seed=75) as sim, running(sim, tmp_path, instruments=(BTC,), channels=("trades",)) as run:
        control = run.collector.control
        kept: list[Wanted] = []

        async def keep(wanted: Wanted) -> None:
            kept.append(dict(wanted))

        control.keep = keep
        changed = await control.subscribe(["binance:ETH-USTD", ETH, "mtgox:BTC-USD", "nonsense"], ("trades",))
        assert changed.done == (ETH,)
        assert {name: type(e) for name, e in changed.failed.items()} == dict.fromkeys(
            ["binance:ETH-USTD", "mtgox:BTC-USD", "nonsense"], UsageError
        )
        assert "binance:ETH-USDT" in str(changed.failed["binance:ETH-USTD"])
        with pytest.raises(UsageError, match=r"lists no ETH-USTD.*no venue 'mtgox'.*no instrument"):
            changed.check()
        nothing = await control.subscribe([BTC], ("liquidations",))
        assert "binance has trades, book" in str(nothing.failed[BTC])
        gone = await control.unsubscribe(["binance:DOGE-USDT"])
        assert "is not subscribed: binance:BTC-USDT, binance:ETH-USDT" in str(gone.failed["binance:DOGE-USDT"])
        assert kept == [{BTC: ("trades",), ETH: ("trades",)}], "only what changed something is kept"


async def test_what_a_venue_refuses_is_shown_with_its_words(tmp_path):
    async with SimServer(seed=81) as sim, running(sim, tmp_path, instruments=(BTC,), channels=("trades",)) as run:
        await run.until(lambda: run.trades(SIM_BTC))
        control = run.collector.control
        sim.fault(f.AckError(times=1, msg="Too many topics"))
        await control.subscribe([ETH], ("trades",))
        await run.until(lambda: run.statuses("rejected"))
        assert [s["error"] for s in control.subscriptions()] == ["", "ethusdt@trade: Too many topics (code 2)"]
        await control.unsubscribe([ETH])
        await control.subscribe([ETH], ("trades",))
        await run.until(lambda: run.trades(SIM_ETH))
        assert [s["error"] for s in control.subscriptions()] == ["", ""]
        sim.fault(f.NeverAck(times=3))
        await control.subscribe([ETH], ("book",))
        await run.synced(SIM_ETH)
    assert run.published() == run.replayed()


# Venues that are new, and venues that do not answer


async def test_a_venue_that_is_new_is_asked_for_its_list_first(tmp_path):
    async with (
        SimServer(seed=76, rate=3.0, venues=("binance", "kraken")) as sim,
        running(sim, tmp_path, instruments=(BTC,), channels=("trades", "book"), venues=venues(sim)) as run,
    ):
        changed = await run.collector.control.subscribe(["kraken:BTC-USD"], ("trades", "book"))
        assert changed.done == ("kraken:BTC-USD",)
        await run.synced(SIM_BTC, "sim-kraken:BTC-USD")
        assert {c["venue"] for c in run.collector.status()["connections"]} == {"sim", "sim-kraken"}
    assert run.published() == run.replayed()


async def test_a_new_venue_that_does_not_answer_changes_nothing(tmp_path):
    async with (
        SimServer(
            seed=77, rate=3.0, faults=[f.HttpFail(path="*AssetPairs*", status=451, times=0)], venues=("binance", "kraken")
        ) as sim,
        running(sim, tmp_path, instruments=(BTC,), channels=("trades",), venues=venues(sim)) as run,
    ):
        changed = await run.collector.control.subscribe(["kraken:BTC-USD", ETH], ("trades",))
        assert changed.done == (ETH,)
        assert isinstance(changed.failed["kraken:BTC-USD"], Refused)
        assert set(run.collector.control.links) == {"binance"}


async def test_one_that_refuses_keeps_nobody_waiting_and_is_asked_again(tmp_path):
    """At the start: the others stream, it is said, and once the venue answers it is streamed, too."""
    refusing = f.HttpFail(path="*AssetPairs*", status=451, times=0)
    told: list[str] = []
    wire = msgspec.structs.replace(QUICK, backoff_most=0.02)
    async with SimServer(seed=78, rate=3.0, venues=("binance", "kraken")) as sim:
        sim.fault(refusing)
        async with running(
            sim,
            tmp_path,
            connect=False,
            instruments=(BTC, "kraken:BTC-USD"),
            channels=("trades",),
            venues=venues(sim),
            wire=wire,
        ) as run:
            run.collector.control.tell = told.append
            await run.collector.connect((BTC, "kraken:BTC-USD"), ("trades",))
            await run.until(lambda: run.trades(SIM_BTC))
            await run.until(lambda: told)
            assert "451" in told[0]
            assert "the others go on" in told[0]
            (down,) = [c for c in run.collector.status()["connections"] if c["state"] == "down"]
            assert (down["venue"], "451" in down["last_error"]) == ("kraken", True)
            (row,) = [s for s in run.collector.control.subscriptions() if s["error"]]
            assert row["name"] == "kraken:BTC-USD"
            sim.faults.clear()
            await run.until(lambda: run.trades("sim-kraken:BTC-USD"))
            await run.until(lambda: told[1:])
            assert told[1] == "kraken answers now, and is streamed"
            assert all(c["state"] == "up" for c in run.collector.status()["connections"])
    assert run.published() == run.replayed()


async def test_one_that_says_nothing_does_not_hold_up_the_start(tmp_path):
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    nobody = VenueSettings(ws_url=f"ws://127.0.0.1:{port}", http_url=f"http://127.0.0.1:{port}")
    loop = asyncio.get_running_loop()
    async with server, SimServer(seed=79, rate=3.0) as sim:
        where = venues(sim) | {"kraken": nobody}
        changes: dict[str, Any] = {"instruments": (BTC, "kraken:BTC-USD"), "channels": ("trades",), "venues": where}
        async with running(sim, tmp_path, connect=False, answer_seconds=60.0, **changes) as run:
            begin = loop.time()
            connecting = asyncio.create_task(run.collector.connect(changes["instruments"], ("trades",)))
            await run.until(lambda: run.trades(SIM_BTC))
            await connecting
            assert loop.time() - begin < 30, "it did not wait for the other venue's 60 s"


async def test_a_wrong_name_that_shows_late_is_said_and_left_out(tmp_path):
    told: list[str] = []
    async with SimServer(seed=80, rate=3.0) as sim, running(sim, tmp_path, connect=False) as run:
        control = run.collector.control
        control.tell = told.append
        await control.connect({BTC: ("trades",), "binance:GONE-USDT": ("trades",)}, lenient=True)
        assert list(control.wanted) == [BTC]
        assert "lists no GONE-USDT" in told[0]
        await run.collector.disconnect()
        with pytest.raises(UsageError, match="lists no GONE-USDT"):
            await control.connect({BTC: ("trades",), "binance:GONE-USDT": ("trades",)})
