"""The hub: everything that viewers watch, pushed at most `push_hz` times a second, encoded once for all of them.

One timer runs while there are viewers, none without. At each turn every feed says what changed since the last one; the message is
framed once, and the frames of one set of subscriptions are joined once, so that a viewer more costs one write.

What a viewer is owed when it reads too slowly (the bytes that even the kernel would not take are its *backlog*):

    backlog             conflated channels                        trades
    up to 64 KiB        sent                                      sent
    up to 256 KiB       skipped; a snapshot once it is small      sent
    above               skipped                                   skipped, counted, told as `missed` once it is smaller
    no byte taken for 10 s: told goodbye (1013), cut off 2 s later, counted as dropped

So one viewer holds at most 256 KiB and the messages of one push, and nothing that it does is waited for. Calls of a viewer with a
backlog are not read, so that its own questions cannot fill it either.

Updates of conflated channels take at most a quarter of the loop's time, snapshots another (`budget.py`): past it they wait their
turn, as at a slower `push_hz`, and the push is counted as short (`short_pushes` of the status). Trades never wait. A call that
costs more than `call_seconds` of CPU counts as several.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

from tapeline.clock import MICRO, SECOND, Clock, cpu_time
from tapeline.config import ServerSettings
from tapeline.engine.bus import Turn
from tapeline.engine.source import Source
from tapeline.server.access.access import Lock
from tapeline.server.access.gate import Gate
from tapeline.server.asked import ApiError, Names
from tapeline.server.live.budget import Budget
from tapeline.server.live.calls import Bucket, Call, key_of, read_call, read_id, reply
from tapeline.server.live.feed import Context, Feed, Key, Message
from tapeline.server.live.feeds import StatusFeed, TradesFeed, make_feed
from tapeline.server.live.pipe import EXTENSION, HIGH_WATER, Framing, Outlet, Pipe, text_frame
from tapeline.server.memory.depths import Depths
from tapeline.server.memory.history import History
from tapeline.server.views import Row, encode, status_row

SNAPSHOT_PERIODS = 8
"""For how many pushes the time of snapshots is saved up: a page that opens wants some dozens at once."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one viewer may cost. Sizes in bytes, times in seconds."""

    viewers: int = 500
    subscriptions: int = 64
    conflate_above: int = HIGH_WATER
    skip_trades_above: int = 4 * HIGH_WATER
    stuck_seconds: float = 10.0
    goodbye_seconds: float = 2.0
    calls_per_second: float = 20.0
    calls_burst: float = 100.0
    call_seconds: float = 0.005
    updates_share: float = 0.25
    snapshots_share: float = 0.25


class Subscription:
    """One key of one viewer. `owed`: its next message is a snapshot; `missed`: trades it was not sent."""

    __slots__ = ("feed", "missed", "owed")

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.owed = True
        self.missed = 0


class Viewer:
    """`socket` None: a stream of server-sent events, which says nothing and cannot be told goodbye."""

    def __init__(self, socket: WebSocket | None, pipe: Outlet, bucket: Bucket) -> None:
        self.socket, self.pipe, self.bucket = socket, pipe, bucket
        self.subscriptions: dict[Key, Subscription] = {}
        self.keys: tuple[Key, ...] = ()
        self.behind = False
        self.leaving = False
        self._taken = 0
        self._since = 0.0

    def stuck_for(self, now: float) -> float:
        """Seconds since it last took a byte; 0 where it is owed none."""
        backlog = self.pipe.backlog()
        taken = self.pipe.sent - backlog
        if backlog == 0 or taken != self._taken:
            self._taken, self._since = taken, now
        return now - self._since


class Hub:
    def __init__(
        self, source: Source, history: History, settings: ServerSettings, clock: Clock, limits: Limits, gate: Gate | None = None
    ) -> None:
        self.limits = limits
        self.gate = gate or Gate(settings, Lock())
        self.names = Names(source, history)
        self.viewers: set[Viewer] = set()
        self.dropped = 0
        self.missed_trades = 0
        self.refused = 0
        self.short = 0
        """Pushes after which something still waited for want of time."""
        self._wanted = False
        self._source, self._clock = source, clock
        self._period = 1 / settings.push_hz
        self._feeds: dict[Key, Feed] = {}
        self._updating = Budget(limits.updates_share, self._period)
        self._filling = Budget(limits.snapshots_share, self._period, SNAPSHOT_PERIODS)
        self.depths = Depths(source, history, settings)
        self._context = Context(source, history, self.depths, self.status)
        self._held = False  # a replay is being sought: nothing but its status is told
        self._timer: asyncio.TimerHandle | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()

    def status(self) -> Row:
        """`/api/v1/status`."""
        row: Row = status_row(self._source.status())
        mine = {"viewers": len(self.viewers), "dropped_viewers": self.dropped, "short_pushes": self.short}
        return row | mine | {"door": self.gate.row()}

    async def serve(self, socket: WebSocket) -> None:
        """One viewer, from its handshake to its end."""
        pipe: Pipe | None = socket.scope.get("extensions", {}).get(EXTENSION)
        await socket.accept()
        if pipe is None or len(self.viewers) >= self.limits.viewers:
            self.refused += 1
            await socket.close(1013, "too many viewers" if pipe else "the WebSocket needs tapeline's own server")
            return
        viewer = self._join(socket, pipe)
        try:
            await self._listen(viewer, socket, pipe)
        finally:
            self._leave(viewer)

    def room(self) -> None:
        """Raises ApiError where there are viewers enough."""
        if len(self.viewers) >= self.limits.viewers:
            self.refused += 1
            raise ApiError(503, "too_many_viewers", f"{len(self.viewers)} viewers watch already", "come again later")

    @contextlib.contextmanager
    def watched(self, pipe: Outlet, keys: Iterable[Key]) -> Iterator[None]:
        """A viewer that watches these and says nothing, as long as the context lasts. At most `limits.subscriptions` keys."""
        viewer = self._join(None, pipe)
        try:
            for key in keys:
                self._watch(viewer, key)
            self._settle(viewer)
            yield
        finally:
            self._leave(viewer)

    async def _listen(self, viewer: Viewer, socket: WebSocket, pipe: Pipe) -> None:
        with contextlib.suppress(WebSocketDisconnect, ClientDisconnected):
            while True:
                await pipe.drained()
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                raw = message.get("text")
                self._hear(viewer, raw if raw is not None else message["bytes"])
                await asyncio.sleep(0)  # calls that came together wait in a queue that does not let go of the loop
                self._filling.go()

    def _join(self, socket: WebSocket | None, pipe: Outlet) -> Viewer:
        loop = asyncio.get_running_loop()
        viewer = Viewer(socket, pipe, Bucket(self.limits.calls_per_second, self.limits.calls_burst, loop.time()))
        self.viewers.add(viewer)
        if self._timer is None:
            self._filling.fill()
            self._timer = loop.call_later(self._period, self._turn, loop)
        return viewer

    def _leave(self, viewer: Viewer) -> None:
        self.viewers.discard(viewer)
        for key in list(viewer.subscriptions):
            self._forget(viewer, key)
        if not self.viewers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def turned(self, turn: Turn) -> None:
        """A replay is sought: viewers are told of nothing on the way. Then everyone gets a snapshot of all that he watches, the
        status first, for it says that what he has is of another time.
        """
        if turn != "reached":
            self._held = True
            return
        self._held = False
        viewing = {key: feed.viewers for key, feed in self._feeds.items()}
        self._feeds = {key: make_feed(key, self._context) for key in viewing}
        for key, feed in self._feeds.items():
            feed.viewers = viewing[key]
        for viewer in self.viewers:
            first = sorted(viewer.subscriptions, key=lambda key: key.channel != "status")
            viewer.subscriptions = {key: Subscription(self._feeds[key]) for key in first}
            viewer.keys, viewer.behind = tuple(first), bool(first)

    def _hear(self, viewer: Viewer, raw: str | bytes) -> None:
        began = cpu_time()
        try:
            viewer.bucket.take(asyncio.get_running_loop().time())
            call = read_call(raw)
        except ApiError as e:
            answer = reply(read_id(raw), error=e)
        else:
            try:
                answer = self._do(viewer, call)
            except ApiError as e:
                answer = reply(call.id, error=e)
        viewer.pipe.send(text_frame(encode(answer)))
        self._settle(viewer)
        viewer.bucket.charge((cpu_time() - began) / SECOND / self.limits.call_seconds)

    def _do(self, viewer: Viewer, call: Call) -> Row:
        if call.method == "ping":
            return reply(call.id, "pong") | {"now": self._clock.now() // MICRO}
        key = key_of(call.params, self.names)
        if call.method == "subscribe":
            self._watch(viewer, key)
        elif key in viewer.subscriptions:
            self._forget(viewer, key)
        else:
            raise ApiError(400, "not_subscribed", f"{key.channel} of these instruments is not subscribed", "repeat its params")
        return reply(call.id, {"channel": key.channel, "instruments": key.instruments, **key.said()})

    def _watch(self, viewer: Viewer, key: Key) -> None:
        if (old := viewer.subscriptions.get(key)) is not None:
            old.owed = viewer.behind = True
            return
        if len(viewer.subscriptions) >= self.limits.subscriptions:
            raise ApiError(
                400, "too_many_subscriptions", f"{self.limits.subscriptions} subscriptions stand", "unsubscribe some"
            )
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = make_feed(key, self._context)
        feed.viewers += 1
        viewer.subscriptions[key] = Subscription(feed)
        viewer.keys = tuple(viewer.subscriptions)
        viewer.behind = True

    def _forget(self, viewer: Viewer, key: Key) -> None:
        feed = viewer.subscriptions.pop(key).feed
        viewer.keys = tuple(viewer.subscriptions)
        feed.viewers -= 1
        if not feed.viewers:
            del self._feeds[key]

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        started = loop.time()
        try:
            self.push(started)
        finally:
            self._timer = loop.call_at(started + self._period, self._turn, loop) if self.viewers else None

    def push(self, now: float) -> None:
        """One turn: what changed to everyone who watches it."""
        self._context.now = now
        updates = self._updates()
        joined: dict[tuple[Framing, tuple[Key, ...]], bytes] = {}
        for viewer in list(self.viewers):
            if viewer.leaving:
                continue
            if viewer.stuck_for(now) > self.limits.stuck_seconds:
                self._drop(viewer)
            elif viewer.behind or viewer.pipe.backlog() > self.limits.conflate_above:
                self._settle(viewer, updates)
            elif updates:
                framing = viewer.pipe.framing
                frames = joined.get((framing, viewer.keys))
                if frames is None:
                    frames = b"".join([updates[k].frame(framing) for k in viewer.keys if k in updates])
                    joined[framing, viewer.keys] = frames
                if frames:
                    viewer.pipe.send(frames)
        self._context.encoded.clear()
        self.short += self._wanted
        self._wanted = False

    def _updates(self) -> dict[Key, Message]:
        """What changed; where there is no time for all of it, those that wait come first in the next push."""
        self._updating.renew()
        self._filling.renew()
        updates: dict[Key, Message] = {}
        waiting: dict[Key, Feed] = {}
        for key, feed in list(self._feeds.items()):
            if self._held and not isinstance(feed, StatusFeed):
                continue
            if feed.conflated and not self._updating.left:
                waiting[key] = feed
                continue
            message = self._updating.pay(feed.update)
            if message is not None:
                updates[key] = message
        if waiting:
            self._wanted = True
            self._feeds = waiting | self._feeds
        return updates

    def _settle(self, viewer: Viewer, updates: dict[Key, Message] | None = None) -> None:
        """Send a viewer that is behind as much as its backlog allows of what it is owed and of `updates`."""
        behind = False
        for key, subscription in viewer.subscriptions.items():
            if self._held and not isinstance(subscription.feed, StatusFeed):
                behind = True
                continue
            self._settle_one(viewer.pipe, subscription, (updates or {}).get(key))
            behind = behind or subscription.owed or subscription.missed > 0
        viewer.behind = behind
        if updates is None:
            self._context.encoded.clear()

    def _settle_one(self, pipe: Outlet, sub: Subscription, update: Message | None) -> None:
        small = pipe.backlog() <= self.limits.conflate_above
        feed = sub.feed
        if sub.owed or feed.conflated:
            if not small:
                sub.owed = sub.owed or update is not None
            elif sub.owed:
                if self._filling.left:
                    sub.owed = False
                    pipe.send(self._filling.pay(feed.snapshot).frame(pipe.framing))
                else:
                    self._wanted = True
            elif update is not None:
                pipe.send(update.frame(pipe.framing))
        elif pipe.backlog() > self.limits.skip_trades_above:
            if update is not None:
                sub.missed += update.count
                self.missed_trades += update.count
        elif isinstance(feed, TradesFeed) and (update is not None or (sub.missed and small)):
            pipe.send((update or feed.empty()).plus_missed(sub.missed, pipe.framing))
            sub.missed = 0

    def _drop(self, viewer: Viewer) -> None:
        self.dropped += 1
        self._send_away(viewer, 1013, "too slow: nothing was read for a while")

    def send_away(self, code: int, reason: str) -> None:
        """All of them: what they watch is over."""
        for viewer in list(self.viewers):
            if not viewer.leaving:
                self._send_away(viewer, code, reason)

    def _send_away(self, viewer: Viewer, code: int, reason: str) -> None:
        viewer.leaving = True
        if viewer.socket is None:
            viewer.pipe.abort()
            return
        task = asyncio.get_running_loop().create_task(self._goodbye(viewer, viewer.socket, code, reason))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def _goodbye(self, viewer: Viewer, socket: WebSocket, code: int, reason: str) -> None:
        """The close frame goes out if the viewer wakes up in time; in any case its connection ends."""
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, ClientDisconnected, RuntimeError):
            async with asyncio.timeout(self.limits.goodbye_seconds):
                await socket.close(code, reason)
                await asyncio.sleep(self.limits.goodbye_seconds)
        viewer.pipe.abort()

    async def close(self) -> None:
        """Forget everyone. Streams are ended; the connections of sockets are the server's to close."""
        for viewer in self.viewers:
            viewer.pipe.end()
        self.depths.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in list(self._goodbyes):
            task.cancel()
        await asyncio.gather(*self._goodbyes, return_exceptions=True)
