"""When a poller asks, what it leaves out, and when it stops; over a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from peers import LIMITS, plan, supervised, venue
from test_http import request, serving

from tapeline.clock import LiveClock
from tapeline.config import WireSettings
from tapeline.plans import Request
from tapeline.wire.poller import Poller, kept_out
from tests.waiting import until

SYMBOLS = ("A", "B", "C")


class Sought:
    """A server that answers each symbol with its status, and what was asked of it."""

    def __init__(self, **statuses: int) -> None:
        self.statuses, self.seen = statuses, []
        self.out = True

    async def handle(self, asked: web.Request) -> web.Response:
        symbol = asked.query["symbol"]
        self.seen.append(symbol)
        return web.Response(status=self.statuses.get(symbol, 200), text="{}")


@asynccontextmanager
async def polling(sought: Sought, symbols: tuple[str, ...] = SYMBOLS) -> AsyncIterator[Poller]:
    async with serving(sought.handle, limits=LIMITS) as (url, http, _):

        def questions(now: int) -> list[Request]:
            return [request(f"{url}/quote?symbol={s}", purpose="poll", native=s, weight=1, not_before=now) for s in symbols]

        poller = Poller(http, questions, lambda: sought.out, clock=LiveClock(), per_minute=60_000)
        task = asyncio.ensure_future(poller.run())
        try:
            yield poller
        finally:
            poller.stop()
            await asyncio.wait_for(task, 30)


async def test_it_asks_round_robin_while_the_socket_is_kept_out_and_no_longer() -> None:
    sought = Sought()
    async with polling(sought) as poller:
        await poller.wait_answer(30)
        await until(lambda: len(sought.seen) >= 7)
        assert sought.seen[:7] == ["A", "B", "C", "A", "B", "C", "A"]
        sought.out = False
        await until(lambda: not poller.answered.is_set())
        seen = len(sought.seen)
        await asyncio.sleep(0.05)
        assert len(sought.seen) == seen
        sought.out = True
        await until(lambda: len(sought.seen) > seen)


async def test_what_is_never_answered_is_left_out_until_the_next_time() -> None:
    sought = Sought(B=403)
    async with polling(sought) as poller:
        await until(lambda: len(sought.seen) >= 8)
        assert sought.seen[:8] == ["A", "B", "C", "A", "C", "A", "C", "A"]
        sought.out = False
        await until(lambda: not poller.answered.is_set())
        seen = len(sought.seen)
        sought.out = True
        await until(lambda: "B" in sought.seen[seen:])


async def test_a_refused_key_ends_it() -> None:
    sought = Sought(A=401)
    async with polling(sought) as poller:
        await until(lambda: sought.seen)
        with pytest.raises(TimeoutError):
            await poller.wait_answer(0.1)
        assert sought.seen == ["A"]


async def test_with_nothing_to_ask_it_waits() -> None:
    sought = Sought()
    async with polling(sought, ()):
        await asyncio.sleep(0.05)
    assert sought.seen == []


@pytest.mark.parametrize(
    ("answer", "out"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", True),
        (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", True),
        (b"HTTP/1.1 451 Unavailable\r\n\r\n", True),
        (b"no HTTP at all\r\n\r\n", True),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", False),
    ],
)
async def test_what_keeps_a_socket_out(answer: bytes, out: bool) -> None:
    quick = WireSettings(connect_seconds=30, backoff_first=30, backoff_most=30)
    async with venue(answer) as v, supervised(plan(v.url), quick) as (supervisor, _):
        assert not kept_out(supervisor), "nothing has failed yet"
        await until(lambda: supervisor.last_fault)
        assert kept_out(supervisor) is out


async def test_a_connection_that_broke_is_not_kept_out() -> None:
    async def script(peer: object) -> None:
        await asyncio.sleep(0.01)

    slow = WireSettings(connect_seconds=30, backoff_first=30, backoff_most=30)
    async with venue(script) as v, supervised(plan(v.url), slow) as (supervisor, watch):  # type: ignore[arg-type]
        await watch.until(watch.closed)
        await until(lambda: supervisor.last_fault)
        assert not supervisor.up
        assert not kept_out(supervisor)
