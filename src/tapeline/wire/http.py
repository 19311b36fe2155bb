"""Questions to a venue's HTTP side, answers as frames.

Every request waits for its own `not_before`, then for the venue's weight budget and its pace, which all of them share; 429 and 418
block the whole venue for as long as `Retry-After` says. Each request that is sent gives one HTTP frame, also where no answer came
(status 0 and the error), so that a replay knows what the live session knew. Nothing is tried twice here: whoever asked decides
on that, where it is reproducible.

`submit` is for the pipeline, which cannot wait. At most 256 requests are under way. A newer request for the same purpose and
name takes the place of one that was not sent yet; where there is no room the request is answered at once with a failure, and
counted.

A request with headers of its own bears a key: what comes back is searched for it before it goes anywhere, and a redirect is not
followed, because it would take the key along to wherever it leads.

Proxies are taken from the environment as in `address`. SOCKS is not understood by aiohttp: such a request fails and says so.
"""

import asyncio
from collections.abc import Mapping

import aiohttp

from tapeline.clock import SECOND, Clock
from tapeline.config import WireSettings
from tapeline.frames import Frame, FrameKind, HttpAnswer, pack_answer
from tapeline.masking import conceal, conceal_bytes, holds, mask
from tapeline.plans import Limits, Request
from tapeline.wire.address import proxy_for
from tapeline.wire.backoff import floor_of, parse_retry_after
from tapeline.wire.budget import WeightBudget, Window
from tapeline.wire.connection import SIMULATED
from tapeline.wire.funnel import Deliver, Funnel
from tapeline.wire.handshake import USER_AGENT, tls_context

CAPACITY = 256
AT_ONCE = 4
PACE_SECONDS = 1.1  # a second and a little, because the venue counts on arrival
LONGEST_WAIT = 1.0
"""Seconds slept at most before the budget is looked at again: an answer may have changed it."""
USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
_KEPT = ("Retry-After", USED_WEIGHT, "Date")


class Http:
    """One per venue. `sent`, `failed`, `replaced`, `overflowed` count requests."""

    def __init__(self, venue: str, limits: Limits, *, settings: WireSettings, clock: Clock, deliver: Deliver) -> None:
        self.venue = venue
        self.budget = WeightBudget(limits.http_weight_per_minute)
        self._pace = Window(limits.http_per_second, PACE_SECONDS) if limits.http_per_second else None
        self.sent = self.failed = self.replaced = self.overflowed = 0
        self._settings, self._clock = settings, clock
        self._most = settings.max_frame_mb << 20
        self._funnel = Funnel.around(deliver)
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[object]] = set()
        self._unsent: dict[tuple[str, str], asyncio.Task[object]] = {}

    @property
    def waiting(self) -> int:
        return len(self._tasks)

    async def ask(self, request: Request) -> tuple[HttpAnswer, bytes]:
        """The answer and its body; never raises for the network's reasons: `status` is 0 then, `error` says why."""
        await self._wait(request)
        async with self._slots:
            if self._pace is not None:
                await asyncio.sleep(self._pace.reserve(asyncio.get_running_loop().time()))
            await self._wait(request)
            self.budget.take(request.weight)
            key = (request.purpose, request.native)
            if self._unsent.get(key) is asyncio.current_task():
                del self._unsent[key]
            return await self._send(request)

    def submit(self, request: Request) -> None:
        """Ask in the background."""
        key = (request.purpose, request.native)
        older = self._unsent.pop(key, None)
        if older is not None:
            older.cancel()
            self._tasks.discard(older)
            self.replaced += 1
        if len(self._tasks) >= CAPACITY:
            self.overflowed += 1
            self._deliver(self._failure(request, f"{CAPACITY} requests are waiting already"), b"")
            return
        task: asyncio.Task[object] = asyncio.ensure_future(self.ask(request))
        self._tasks.add(task)
        self._unsent[key] = task
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop what waits, close the connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _wait(self, request: Request) -> None:
        """Until `not_before` has come and the budget allows it. The clock is asked again after each nap: it may be adjusted."""
        waited = False
        while True:
            now = self._clock.now()
            wait = max(request.not_before - now, 0) or self.budget.wait(request.weight, now)
            if wait <= 0:
                return
            self.budget.waited += request.not_before <= now and not waited
            waited = waited or request.not_before <= now
            await asyncio.sleep(min(wait / SECOND, LONGEST_WAIT))

    async def _send(self, request: Request) -> tuple[HttpAnswer, bytes]:
        used: int | None = None
        self.sent += 1
        try:
            answer, body = await self._fetch(request)
            used = _used_weight(answer.headers)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            answer, body = self._failure(request, reason), b""
        finally:
            self.budget.answered(request.weight, used, self._clock.now())
        self.failed += answer.status != 200
        self._obey(answer)
        self._deliver(answer, body)
        return answer, body

    async def _fetch(self, request: Request) -> tuple[HttpAnswer, bytes]:
        if self._session is None:
            self._session = self._open()
        proxy = proxy_for(request.url)
        if proxy is not None and proxy.startswith("socks"):
            raise ValueError(f"HTTP cannot go through the SOCKS proxy {mask(proxy)}: name an http:// one in HTTPS_PROXY")
        secretive = bool(request.headers) or holds(request.url)
        headers = dict(request.headers)
        async with self._session.get(request.url, proxy=proxy, headers=headers, allow_redirects=not secretive) as response:
            body = await self._read(response)
            if secretive:
                body = conceal_bytes(body)
            answer = HttpAnswer(
                venue=request.venue,
                purpose=request.purpose,
                url=mask(request.url),
                status=response.status,
                native=request.native,
                attempt=request.attempt,
                headers={name: conceal(response.headers[name]) for name in _KEPT if name in response.headers},
                simulated=SIMULATED in response.headers,
            )
            return answer, body

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, inflated, at most `max_frame_mb`."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._most:
                raise ValueError(f"the answer is larger than {self._settings.max_frame_mb} MB (wire.max_frame_mb)")
        return bytes(body)

    def _open(self) -> aiohttp.ClientSession:
        seconds = self._settings.connect_seconds
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls_context(), limit=AT_ONCE),
            timeout=aiohttp.ClientTimeout(total=3 * seconds, connect=seconds),
            headers={"User-Agent": USER_AGENT},
        )

    def _obey(self, answer: HttpAnswer) -> None:
        after = parse_retry_after(answer.headers.get("Retry-After"), self._clock.now())
        if answer.status in {418, 429, 503} and (seconds := floor_of(answer.status, after, self._settings.backoff_most)):
            self.budget.block(seconds, self._clock.now())

    def _failure(self, request: Request, error: str) -> HttpAnswer:
        return HttpAnswer(
            venue=request.venue,
            purpose=request.purpose,
            url=mask(request.url),
            status=0,
            native=request.native,
            attempt=request.attempt,
            error=mask(error),
        )

    def _deliver(self, answer: HttpAnswer, body: bytes) -> None:
        self._funnel([Frame(self._clock.now(), int(FrameKind.HTTP), 0, pack_answer(answer, body))])


def _used_weight(headers: Mapping[str, str]) -> int | None:
    try:
        return int(headers[USED_WEIGHT])
    except (KeyError, ValueError):
        return None
