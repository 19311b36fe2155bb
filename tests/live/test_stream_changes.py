"""`tl.stream` whose instruments change while it is read: from the reading loop, from another task, before it begins; and its end."""

import asyncio
import gc
from pathlib import Path

import pytest

import tapeline as tl
from tapeline.errors import UsageError, VenueError
from tapeline.events import Trade, to_json
from tapeline.sim import SimServer
from tests.live.rig import BTC, ETH, SIM_BTC, SIM_ETH, settings
from tests.waiting import until


async def test_added_and_removed_by_whoever_reads(tmp_path: Path) -> None:
    seen: list[str] = []
    async with (
        SimServer(seed=60, rate=5.0) as sim,
        tl.stream(BTC, channels=["trades"], settings=settings(sim, tmp_path)) as stream,
    ):
        assert dict(stream.subscriptions) == {BTC: ("trades",)}
        async for event in stream:
            if isinstance(event, Trade):
                seen.append(event.instrument)
            if len(seen) == 5 and SIM_ETH not in seen and ETH not in stream.subscriptions:
                assert await stream.add(ETH) == (ETH,)
                assert dict(stream.subscriptions) == {BTC: ("trades",), ETH: ("trades",)}
            if SIM_ETH in seen and BTC in stream.subscriptions:
                await stream.remove(BTC)
            if seen[-20:] == [SIM_ETH] * 20:
                break
    assert set(seen) == {SIM_BTC, SIM_ETH}


async def test_added_by_another_task_with_channels_of_its_own(tmp_path: Path) -> None:
    async with SimServer(seed=61, rate=5.0) as sim:
        stream = tl.stream(BTC, channels=["trades"], settings=settings(sim, tmp_path), data=tmp_path)
        lines: list[bytes] = []
        kinds: set[tuple[str, str]] = set()

        async def read() -> None:
            async for event in stream:
                lines.append(to_json(event))
                kinds.add((event.instrument, type(event).__name__))

        reading = asyncio.create_task(read())
        await until(lambda: (SIM_BTC, "Trade") in kinds)
        await stream.add(ETH, channels=["book"])
        await until(lambda: (SIM_ETH, "BookUpdate") in kinds)
        await stream.add(ETH, channels=["quotes"])
        assert stream.subscriptions[ETH] == ("book", "quotes")
        await until(lambda: (SIM_ETH, "Quote") in kinds)
        await stream.remove(ETH, channels=["book"])
        assert stream.subscriptions[ETH] == ("quotes",)
        await stream.aclose()
        await reading
        await until(lambda: not sim.hub.conns)
        assert (SIM_ETH, "Trade") not in kinds
    assert [to_json(e) for e in tl.replay(tmp_path)][: len(lines)] == lines


async def test_before_it_begins_changes_are_noted(tmp_path: Path) -> None:
    async with SimServer(seed=62, rate=5.0) as sim:
        stream = tl.stream(BTC, channels=["trades"], settings=settings(sim, tmp_path))
        await stream.add(ETH)
        await stream.remove(BTC)
        with pytest.raises(UsageError, match="is not subscribed"):
            await stream.remove(BTC)
        with pytest.raises(UsageError, match="no venue 'mtgox'"):
            await stream.add("mtgox:BTC-USD")
        assert not sim.hub.conns
        async for event in stream:
            if isinstance(event, Trade):
                assert event.instrument == SIM_ETH
                break
        await stream.aclose()


async def test_what_cannot_be_added_leaves_the_rest(tmp_path: Path) -> None:
    async with (
        SimServer(seed=63, rate=5.0) as sim,
        tl.stream(BTC, channels=["trades"], settings=settings(sim, tmp_path)) as stream,
    ):
        await anext(stream)
        with pytest.raises(UsageError, match=r"lists no ETH-USTD: did you mean binance:ETH-USDT"):
            await stream.add("binance:ETH-USTD", ETH)
        assert list(stream.subscriptions) == [BTC, ETH], "the one that can be had is streamed all the same"
        with pytest.raises(UsageError, match="is not subscribed"):
            await stream.remove("binance:DOGE-USDT")


async def test_a_closed_stream_says_that_it_is_closed(tmp_path: Path) -> None:
    async with SimServer(seed=64, rate=5.0) as sim:
        stream = tl.stream(BTC, settings=settings(sim, tmp_path))
        await anext(stream)
        await stream.aclose()
        await stream.aclose()
        await until(lambda: not sim.hub.conns)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        with pytest.raises(UsageError, match="the stream is closed"):
            await stream.add(ETH)
        never = tl.stream(BTC, settings=settings(sim, tmp_path))
        await never.aclose()
        with pytest.raises(UsageError, match="the stream is closed"):
            await never.remove(BTC)


async def test_one_that_nobody_holds_any_more_closes_its_connections(tmp_path: Path) -> None:
    async with SimServer(seed=65, rate=5.0) as sim:
        stream = tl.stream(BTC, settings=settings(sim, tmp_path))
        await anext(stream)
        assert sim.hub.conns
        del stream
        await until(lambda: not sim.hub.conns)
        gc.collect()


async def test_what_stands_in_the_way_is_raised_by_the_first_event(tmp_path: Path) -> None:
    async with SimServer(seed=66) as sim:
        stream = tl.stream("binance:BTC-USTD", settings=settings(sim, tmp_path))
        with pytest.raises(UsageError, match="did you mean"):
            await anext(stream)
        chosen = settings(sim, tmp_path, answer_seconds=1.0)
    stream = tl.stream(BTC, settings=chosen)
    with pytest.raises(VenueError):
        await anext(stream)
    with pytest.raises(UsageError, match="needs at least one instrument"):
        tl.stream()
