"""HTTP against a real server: answers as frames, one weight budget, bans obeyed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from peers import LIMITS, Watch

from tapeline.clock import SECOND, Clock, LiveClock, ReplayClock
from tapeline.config import WireSettings
from tapeline.frames import FrameKind, HttpAnswer, unpack_answer
from tapeline.plans import Limits, Request
from tapeline.wire.http import CAPACITY, Http
from tests.waiting import until

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    handler: Handler, *, limits: Limits = LIMITS, settings: WireSettings | None = None, clock: Clock | None = None
) -> AsyncIterator[tuple[str, Http, Watch]]:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    watch = Watch()
    http = Http(
        "binance", limits, settings=settings or WireSettings(connect_seconds=30), clock=clock or LiveClock(), deliver=watch
    )
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", http, watch
    finally:
        await http.close()
        await runner.cleanup()


def request(url: str, **more: object) -> Request:
    return Request(**{"venue": "binance", "purpose": "book", "url": url, "weight": 20, "native": "BTCUSDT"} | more)  # type: ignore[arg-type]


def answers(watch: Watch) -> list[tuple[HttpAnswer, bytes]]:
    return [unpack_answer(d) for d in watch.data(FrameKind.HTTP)]


async def test_an_answer_is_returned_and_on_the_tape() -> None:
    async def handler(asked: web.Request) -> web.Response:
        assert asked.query["symbol"] == "BTCUSDT"
        return web.json_response(
            {"lastUpdateId": 160}, headers={"X-MBX-USED-WEIGHT-1M": "41", "X-Tapeline-Simulated": "1", "Server": "x"}
        )

    async with serving(handler) as (url, http, watch):
        answer, body = await http.ask(request(f"{url}/depth?symbol=BTCUSDT&signature=hush", attempt=3))
        assert http.budget.used == 41
    assert body == b'{"lastUpdateId": 160}'
    assert (answer.status, answer.purpose, answer.native, answer.attempt, answer.simulated) == (200, "book", "BTCUSDT", 3, True)
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "41"
    assert "Server" not in answer.headers
    assert "hush" not in answer.url
    assert answers(watch) == [(answer, body)]
    assert watch.frames[0].conn == 0


async def test_no_answer_is_an_answer_too() -> None:
    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(0.5)
        return web.Response()

    async with serving(slow, settings=WireSettings(connect_seconds=0.05)) as (url, http, watch):
        answer, body = await http.ask(request(url))
        assert (answer.status, answer.error, body) == (0, "no answer in time", b"")
        assert (http.failed, http.budget.in_flight) == (1, 0)
    assert [a for a, _ in answers(watch)] == [answer]
    async with serving(slow) as (_, http, watch):
        refused, _ = await http.ask(request("http://127.0.0.1:1/"))
        assert refused.status == 0
        assert "127.0.0.1:1" in refused.error
        assert (http.failed, http.budget.in_flight) == (1, 0)
    assert [a for a, _ in answers(watch)] == [refused]


async def test_an_answer_too_large_is_refused() -> None:
    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes(2 << 20))

    async with serving(large, settings=WireSettings(max_frame_mb=1)) as (url, http, _watch):
        answer, body = await http.ask(request(url))
    assert (answer.status, body) == (0, b"")
    assert "max_frame_mb" in answer.error


@pytest.mark.parametrize("status", [429, 418, 503])
async def test_a_ban_holds_the_whole_venue(status: int) -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def handler(_: web.Request) -> web.Response:
        times.append(loop.time())
        return web.Response(status=status if len(times) == 1 else 200, headers={"Retry-After": "0.3"})

    async with serving(handler) as (url, http, _watch):
        first, _ = await http.ask(request(url))
        second, _ = await http.ask(request(url, native="ETHUSDT"))
    assert (first.status, second.status) == (status, 200)
    assert times[1] - times[0] >= 0.29


async def test_the_weight_budget_is_one_for_all() -> None:
    seen: list[str] = []

    async def handler(asked: web.Request) -> web.Response:
        seen.append(asked.path)
        return web.Response()

    limits = Limits(messages_per_second=5, streams_per_connection=9, connects_per_5_minutes=9, http_weight_per_minute=100)
    still = ReplayClock(1_770_000_000 * SECOND)  # else the minute, and with it the budget, could turn meanwhile
    async with serving(handler, limits=limits, clock=still) as (url, http, _watch):
        for i in range(5):
            http.submit(request(f"{url}/{i}", native=str(i)))
        await until(lambda: len(seen) >= 4 and http.waiting <= 1)
        assert http.budget.waited == 1, "90 of 100 were spent: 4 requests of 20"
        assert http.waiting == 1
    assert len(seen) == 4


async def test_not_before_is_waited_for() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    clock = LiveClock()
    async with serving(handler) as (url, http, watch):
        due = clock.now() + SECOND // 5
        await http.ask(request(url, not_before=due))
        assert watch.frames[0].ts_recv >= due


async def test_a_newer_request_takes_the_place_of_one_not_sent_and_too_many_are_answered_at_once() -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    later = LiveClock().now() + SECOND // 4
    async with serving(handler) as (url, http, watch):
        http.submit(request(url, attempt=1, not_before=later))
        http.submit(request(url, attempt=2, not_before=later))
        http.submit(request(url, attempt=3, purpose="instruments", not_before=later))
        await watch.until(lambda: len(watch.frames) == 2)
        assert sorted(a.attempt for a, _ in answers(watch)) == [2, 3]
        assert http.replaced == 1
        await until(lambda: not http.waiting)
        far = LiveClock().now() + 3600 * SECOND
        for i in range(CAPACITY + 2):
            http.submit(request(url, native=str(i), not_before=far))
        assert http.overflowed == 2
        assert http.waiting == CAPACITY
        over = [a for a, _ in answers(watch)][-2:]
        assert [(a.native, a.status) for a in over] == [("256", 0), ("257", 0)]


async def test_socks_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://user:hush@127.0.0.1:1")
    http = Http("binance", LIMITS, settings=WireSettings(), clock=LiveClock(), deliver=Watch())
    answer, _ = await http.ask(request("http://venue.test/"))
    await http.close()
    assert "HTTPS_PROXY" in answer.error
    assert "hush" not in answer.error


async def test_a_venue_that_counts_seconds_is_asked_at_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any four requests the last may go a second after the first, and none comes before it may go."""
    came: list[float] = []
    allowed: list[float] = []

    async def handler(_: web.Request) -> web.Response:
        came.append(asyncio.get_running_loop().time())
        return web.Response()

    limits = Limits(
        messages_per_second=5,
        streams_per_connection=1,
        connects_per_5_minutes=1,
        http_weight_per_minute=6000,
        http_per_second=3,
    )
    async with serving(handler, limits=limits) as (url, http, _):
        pace = http._pace
        assert pace is not None
        reserve = pace.reserve

        def noted(now: float) -> float:
            wait = reserve(now)
            allowed.append(now + wait)
            return wait

        monkeypatch.setattr(pace, "reserve", noted)
        await asyncio.gather(*(http.ask(request(f"{url}/{n}", weight=1)) for n in range(5)))
    assert len(came) == 5
    assert all(later - sooner >= 1.0 for sooner, later in zip(allowed, allowed[3:], strict=False))
    assert all(at >= may for at, may in zip(came, allowed, strict=True))
