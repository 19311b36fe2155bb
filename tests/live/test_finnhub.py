"""Finnhub's simulator and the collector over a real socket: trades, symbols that come and go, one connection, polling, the key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tapeline import masking
from tapeline.config import VenueSettings
from tapeline.errors import ConfigError, Refused
from tapeline.events import Bar, Flag, Status, Ticker, Trade
from tapeline.sim import SimServer
from tapeline.sim.faults import Close, HttpFail, Refuse
from tapeline.wire.poller import Poller
from tests.live import rig

KEY = "c0ffee-finnhub-key"
STOCK, COIN, PAIR = "sim-finnhub:AAPL", "sim-finnhub:BINANCE:BTC-USDT", "sim-finnhub:IC_MARKETS:EUR-USD"
PATIENT = msgspec.structs.replace(rig.QUICK, backoff_first=0.2, backoff_most=0.5)
"""Of the 60 connects in 5 minutes some are left, however long the refusals last."""
ASKED = ("finnhub:AAPL", "finnhub:BINANCE:BTCUSDT", "finnhub:IC_MARKETS:1")  # a name of ours, two of Finnhub's


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setenv("FINNHUB_API_KEY", KEY)


@asynccontextmanager
async def market(**options: Any) -> AsyncIterator[SimServer]:
    async with SimServer(seed=3, venues=["finnhub"], rate=3.0, **options) as sim:
        yield sim


def at(sim: SimServer, **more: Any) -> dict[str, Any]:
    """`more`: of the venue's settings."""
    address = VenueSettings(ws_url=sim.ws_url("finnhub"), http_url=sim.http_url("finnhub"), **more)
    return {"venues": {"finnhub": address}, "instruments": ASKED, "channels": ("trades", "book")}


def poller(run: rig.Run) -> Poller:
    (found,) = run.collector.control.links["finnhub"].pollers.values()
    return found


def said(run: rig.Run, word: str) -> list[Status]:
    return [s for s in run.statuses() if word in s.reason]


def opened(run: rig.Run) -> list[Status]:
    return [s for s in run.statuses("connected", "") if not s.channel]


async def test_trades_prices_and_conditions(tmp_path: Path) -> None:
    async with market() as sim, rig.running(sim, tmp_path, **at(sim)) as run:
        await run.until(lambda: all(len(run.trades(name)) > 5 for name in (STOCK, COIN)))
        await run.until(lambda: [e for e in run.events if isinstance(e, Ticker)])
        await run.until(lambda: [e for e in run.events if isinstance(e, Bar) and e.instrument == STOCK])
    assert {e.instrument for e in run.events if isinstance(e, Ticker)} == {PAIR}
    assert run.trades(PAIR) == []
    assert {t.conditions for t in run.trades(STOCK)} <= {"1", "1,12"}
    assert all((t.side, t.id) == ("unknown", "") for t in run.trades(COIN))
    assert rig.flags_of(run.trades(COIN)) == {Flag.SIMULATED}
    assert {t.conditions for t in run.trades(COIN)} == {None}
    for name in (STOCK, COIN):
        times = [t.ts_event for t in run.trades(name)]
        assert times == sorted(times), "unordered in its messages, in order here"
    assert not said(run, "late")
    assert not run.statuses("gap")
    assert run.replayed() == run.published()


async def test_symbols_come_and_go_while_running(tmp_path: Path) -> None:
    async with market() as sim, rig.running(sim, tmp_path, **{**at(sim), "instruments": ASKED[:1]}) as run:
        await run.until(lambda: run.trades(STOCK))
        other, control = "sim-finnhub:TSLA", run.collector.control
        (await control.subscribe(["finnhub:TSLA"], ["trades"])).check()
        await run.until(lambda: len(run.trades(other)) > 3)
        (await control.unsubscribe(["finnhub:AAPL"])).check()
        await run.until(lambda: all(list(conn.streams) == ["TSLA"] for conn in sim.hub.of("finnhub")))
        assert len(sim.hub.of("finnhub")) == 1
    assert len(opened(run)) == 1


async def test_a_lost_connection_is_followed_by_one_alone(tmp_path: Path) -> None:
    """Where a key has one connection, a second one beside it would be refused with 429: a planned reconnect closes first."""
    async with market() as sim, rig.running(sim, tmp_path, **at(sim)) as run:
        await run.until(lambda: run.trades(STOCK))
        (supervisor,) = run.collector.supervisors
        sim.fault(Close(code=1011))
        await run.until(lambda: len(opened(run)) == 2)
        before = len(run.trades(STOCK))
        await asyncio.sleep(0.3)
        supervisor.replace("planned")
        await run.until(lambda: len(opened(run)) == 3 and len(run.trades(STOCK)) > before)
        assert not isinstance(supervisor.last_fault, Refused) or supervisor.last_fault.status != 429
        assert poller(run).asked == 0
    assert not said(run, "taking over")
    assert run.replayed() == run.published()


async def test_too_many_symbols_are_refused_by_the_venue_and_the_others_go_on(tmp_path: Path) -> None:
    names = tuple(f"finnhub:X{i}.XX" for i in range(55))
    async with (
        market() as sim,
        rig.running(sim, tmp_path, **{**at(sim, most_streams=60), "instruments": (*ASKED, *names)}) as run,
    ):
        await run.until(lambda: said(run, "Subscribing to too many symbols"))
        await run.until(lambda: run.trades(STOCK))
    assert {s.kind for s in said(run, "too many")} == {"rejected"}


@pytest.mark.parametrize("status", [403, 429, 451])
async def test_quotes_are_polled_while_the_socket_is_refused_and_no_longer(tmp_path: Path, status: int) -> None:
    async with market(faults=[Refuse(status=status, times=0)], weight_budget=10_000) as sim:
        async with rig.running(sim, tmp_path, wire=PATIENT, **at(sim, requests_per_minute=6000)) as run:
            await run.until(lambda: len({e.instrument for e in run.events if isinstance(e, Ticker)}) == 3)
            quote = next(e for e in run.events if isinstance(e, Ticker) and e.instrument == COIN)
            assert quote.flags == Flag.SIMULATED | Flag.SAMPLED
            assert quote.last is not None
            assert quote.low is not None
            assert quote.low <= quote.last
            assert (quote.volume, quote.mark, quote.open_interest) == (None, None, None)
            assert [s.kind for s in said(run, "asked for over HTTP")] == ["connected"]
            assert not run.trades(STOCK)
            sim.faults.clear()
            await run.until(lambda: run.trades(STOCK))
            asked = poller(run).asked
            assert [s.kind for s in said(run, "over HTTP")] == ["connected", "recovered"]
            before = len(run.trades(COIN))
            await run.until(lambda: len(run.trades(COIN)) > before + 5)
            assert poller(run).asked == asked
        assert run.replayed() == run.published()


async def test_a_socket_that_nobody_answers_is_polled_too_at_the_plans_rate(tmp_path: Path) -> None:
    """60 calls a minute: six are the lists; the questions keep to their share of it."""
    async with market() as sim:
        asked = at(sim)
        asked["venues"] = {"finnhub": VenueSettings(ws_url="ws://127.0.0.1:1", http_url=sim.http_url("finnhub"))}
        async with rig.running(sim, tmp_path, **asked) as run:
            await run.until(lambda: len([e for e in run.events if isinstance(e, Ticker)]) >= 3)
            assert poller(run)._every == pytest.approx(1.25)
            assert sim.weights["finnhub"].used <= 54


async def test_a_question_that_the_plan_does_not_cover_is_left_out_and_said(tmp_path: Path) -> None:
    faults = [Refuse(status=403, times=0), HttpFail(path="/api/v1/quote", status=403, times=1)]
    async with market(faults=faults) as sim, rig.running(sim, tmp_path, **at(sim, requests_per_minute=6000)) as run:
        await run.until(lambda: len({e.instrument for e in run.events if isinstance(e, Ticker)}) == 2)
        assert [s.reason for s in said(run, "was refused")] == ["a quote of AAPL was refused: HTTP 403"]
        assert poller(run)._left_out == {"AAPL"}


async def test_a_wrong_key_is_said_and_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINNHUB_API_KEY", "invalid-c0ffee")
    async with market() as sim:
        with pytest.raises(ConfigError, match=r"FINNHUB_API_KEY.*refuses this API key.*HTTP 401") as caught:
            async with rig.running(sim, tmp_path, **at(sim)):
                pass
    assert "c0ffee" not in str(caught.value)


async def test_a_key_that_only_the_socket_refuses_is_said_too(tmp_path: Path) -> None:
    async with market(faults=[Refuse(status=401, times=0)]) as sim:
        with pytest.raises(ConfigError, match="refuses this API key"):
            async with rig.running(sim, tmp_path, **at(sim)):
                pass
        assert sim.weights["finnhub"].used == 6, "the lists, and no question after them"


async def test_without_a_key_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINNHUB_API_KEY")
    monkeypatch.chdir(tmp_path)
    async with market() as sim:
        with pytest.raises(ConfigError, match="FINNHUB_API_KEY"):
            async with rig.running(sim, tmp_path, **at(sim)):
                pass
        assert sim.weights["finnhub"].used == 0


async def test_the_venues_own_ping_keeps_a_silent_connection(tmp_path: Path) -> None:
    async with market() as sim:
        sim.wires["finnhub"].patience = 0.002
        async with rig.running(sim, tmp_path, **{**at(sim), "instruments": ("finnhub:NOSUCH.XX",)}) as run:
            frames = run.collector.frames
            await run.until(lambda: run.collector.frames > frames + 3)
        assert run.statuses("rejected") == []
        assert not [e for e in run.events if isinstance(e, Trade)]
