"""OKX against its simulator over a real socket: chains that reset, books that begin in either way, contracts, the notice before the end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tapeline.config import VenueSettings
from tapeline.events import Bar, Flag, Quote, Ticker
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.venues.okx import Okx
from tests.live import rig

NATIVE = {"sim-okx:BTC-USDT": "BTC-USDT", "sim-okx:BTC-USDT-PERP": "BTC-USDT-SWAP", "sim-okx:BTC-USD-PERP": "BTC-USD-SWAP"}
SPOT, LINEAR, INVERSE = NATIVE


@asynccontextmanager
async def streaming(data: Path, channels: tuple[str, ...] = ("trades", "book"), **wire: Any) -> AsyncIterator[rig.Run]:
    """`wire`: attributes of the simulated venue."""
    async with SimServer(venues=["okx"], seed=7, rate=3.0, instruments=list(NATIVE.values())) as sim:
        for key, value in wire.items():
            setattr(sim.wires["okx"], key, value)
        venue = VenueSettings(ws_url=sim.ws_url("okx"), http_url=sim.http_url("okx"))
        names = tuple(name.replace("sim-", "") for name in NATIVE)
        async with rig.running(sim, data, instruments=names, channels=channels, venues={"okx": venue}) as run:
            await run.synced(*NATIVE)
            yield run


async def equal(run: rig.Run) -> None:
    """Stop the market; each book is the best 400 levels of the truth, in the base asset or in inverse contracts."""
    await run.synced(*NATIVE)
    run.sim.pause()
    for name, native in NATIVE.items():
        truth = run.sim.book("okx", native)
        wanted = tuple([(p, pytest.approx(s)) for p, s in side[:400]] for side in (truth.bids, truth.asks))

        def right(name: str = name, wanted: Any = wanted) -> bool:
            view = run.collector.book(name, 1000)
            return view is not None and view.state == "synced" and (view.bids, view.asks) == wanted

        await run.until(right)
        assert min(len(side) for side in wanted) > 200
    run.sim.resume()


def accounted(run: rig.Run, name: str) -> bool:
    """Each trade of the market between the first and the last that were given out stands in exactly one of them: a row of several
    has the size of all ids since the one before it. Trades that were fetched after all are single.
    """
    spec = run.sim.market.instrument("okx", NATIVE[name]).spec
    unit = (1.0 if spec.inverse else spec.contract_size) / 10**spec.size_decimals
    truth = {t.id: t.size * unit for t in run.sim.market.instrument("okx", NATIVE[name]).recent_trades}
    rows = sorted((int(t.id), t.size) for t in run.trades(name))
    assert len({number for number, _ in rows}) == len(rows), f"doubles of {name}"
    return all(
        size == pytest.approx(sum(truth[n] for n in range(before + 1, last + 1)))
        for (before, _), (last, size) in pairwise(rows)
    )


async def test_every_channel_of_every_kind(tmp_path: Path) -> None:
    async with streaming(tmp_path, ("trades", "book", "quotes", "bars", "ticker")) as run:
        await run.until(lambda: all(len(run.trades(name)) > 5 for name in NATIVE))
        await run.until(lambda: {e.origin for e in run.events if isinstance(e, Bar)} == {"venue", "trades"})
        await run.until(lambda: {e.origin for e in run.events if isinstance(e, Quote)} == {"venue", "book"})
        tickers = lambda: [e for e in run.events if isinstance(e, Ticker) and e.instrument == LINEAR]  # noqa: E731
        await run.until(
            lambda: all(any(getattr(t, k) for t in tickers()) for k in ("volume", "mark", "next_funding", "open_interest"))
        )
        await equal(run)
        for name in NATIVE:
            assert accounted(run, name)
            assert rig.flags_of(run.trades(name)) == {Flag.SIMULATED | Flag.AGGREGATED}
        listed = {i.id: i for i in run.collector.instruments()}
        assert (listed[LINEAR].contract_size, listed[LINEAR].inverse, listed[LINEAR].lot) == (0.01, False, 0.0001)
        assert (listed[INVERSE].contract_size, listed[INVERSE].inverse, listed[INVERSE].lot) == (100.0, True, 1.0)
        # what is traded of both perpetuals costs the same, whatever it is counted in
        assert all(t.size == round(t.size) for t in run.trades(INVERSE))
        assert any(t.size != round(t.size) for t in run.trades(LINEAR))
        assert run.statuses("gap") == [] and run.statuses("rejected") == []
    assert run.replayed() == run.published()


async def test_a_chain_that_breaks_and_one_that_begins_anew(tmp_path: Path) -> None:
    """A lost update is a gap, and the stream begins anew on its connection; ids that begin anew are none, and the book goes on."""
    async with streaming(tmp_path) as run:
        run.sim.fault(f.Reset(venue="okx", last=5))
        await run.until(lambda: all((run.collector.book(name, 1).seq or 0) < 1_000_000 for name in NATIVE))
        assert run.statuses("gap") == []
        await equal(run)
        run.sim.fault(f.Drop(stream="books:BTC-USDT-SWAP"))
        await run.until(lambda: any(s.channel == "book" and "updates missing" in s.reason for s in run.statuses("gap", LINEAR)))
        await equal(run)
        run.sim.fault(f.Drop(stream="trades:BTC-USDT", times=3, after=3))
        await run.until(lambda: any("fetched" in s.reason for s in run.statuses("recovered", SPOT)))
        await run.until(lambda: any(t.flags & Flag.RECOVERED for t in run.trades(SPOT)) and accounted(run, SPOT))
        assert len(run.statuses("connected")) == 1  # all of it on one connection
        assert {s.instrument for s in run.statuses("gap") if s.channel == "book"} == {LINEAR}


async def test_books_without_the_first_snapshot(tmp_path: Path) -> None:
    """As announced: they begin over HTTP, and begin anew there."""
    async with streaming(tmp_path, ("book",), snapshots=False) as run:
        await equal(run)
        assert all(s.from_seq is not None for s in run.statuses("synced"))
        run.sim.fault(f.Drop(stream="books:BTC-USD-SWAP"))
        await run.until(lambda: any(s.channel == "book" for s in run.statuses("gap", INVERSE)))
        await equal(run)
    assert run.replayed() == run.published()


async def test_a_checksum_that_is_wrong(tmp_path: Path) -> None:
    """As until 2026-06, when there was one."""
    async with streaming(tmp_path, ("book",), checksums=True) as run:
        await equal(run)
        assert run.statuses("gap") == []
        run.sim.fault(f.Checksum(stream="books:BTC-USDT"))
        await run.until(lambda: any("checksum" in s.reason for s in run.statuses("gap", SPOT)))
        await equal(run)


async def test_the_notice_and_a_lost_connection(tmp_path: Path) -> None:
    async with streaming(tmp_path) as run:
        run.sim.fault(f.Shutdown(venue="okx", grace=30.0))
        await run.until(lambda: any("64008" in s.reason for s in run.statuses("connected")))
        await run.until(lambda: any("planned" in s.reason for s in run.statuses("disconnected")))
        run.sim.fault(f.Close(venue="okx", code=4004, reason="No data received in 30s"))
        await run.until(lambda: any("4004" in s.reason for s in run.statuses("disconnected")))
        await equal(run)
        for name in NATIVE:
            await run.until(lambda name=name: accounted(run, name))


async def test_a_quiet_connection_is_kept_by_pings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The venue's patience cut to three seconds, our pings to a fifth of one: a market that stands still ends nothing."""
    monkeypatch.setattr(Okx, "limits", msgspec.structs.replace(Okx.limits, client_ping_seconds=0.2))
    async with streaming(tmp_path, ("trades", "book"), idle_seconds=3.0) as run:
        run.sim.pause()
        (conn,) = run.sim.hub.of("okx")
        heard = conn.last_in
        await run.until(lambda: conn.last_in > heard + 3.5)
        assert run.statuses("disconnected") == [] and not conn.closing
        assert run.statuses("rejected") == []
        assert all(not feed.decoder.unknown for feed in run.collector.pipeline.feeds.values())
