"""What all feeds (`server/live/feeds.py`) have in common: the key of what is watched, the framed message, and what they read."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from tapeline.engine.source import Source
from tapeline.events import Event
from tapeline.server.live.pipe import Framing
from tapeline.server.memory.depths import Depths
from tapeline.server.memory.history import History
from tapeline.server.views import Row, encode, event_row

Channel = Literal["trades", "quotes", "book", "bars", "metrics", "status", "alerts", "depths"]
MetricsKind = Literal["book", "sample"]
ALL = ("*",)
GROUPS = ("group:*",)


class Key(msgspec.Struct, frozen=True, cache_hash=True):
    """What is watched. `instruments` sorted, each once; `interval` of bars, `depth` of a book, `kind` of metrics, `step`, `every`
    and `rows` of depths, else empty.
    """

    channel: Channel
    instruments: tuple[str, ...]
    interval: str = ""
    depth: int = 0
    kind: str = ""
    step: float = 0.0
    every: str = ""
    rows: int = 0

    def said(self) -> dict[str, Any]:
        """What of it is in force beside the channel and the instruments, by the names of the parameters."""
        values = {name: getattr(self, name) for name in OPTIONS}
        return {name: value for name, value in values.items() if value}


OPTIONS = ("interval", "depth", "kind", "step", "every", "rows")


class Message:
    """A message, framed once for each way that viewers are reached. `count`: the trades in it, which are missed where it is not
    delivered.
    """

    __slots__ = ("_frames", "_payload", "count")

    def __init__(self, payload: bytes, count: int = 0) -> None:
        self._payload, self.count = payload, count
        self._frames: dict[Framing, bytes] = {}

    def frame(self, framing: Framing) -> bytes:
        made = self._frames.get(framing)
        if made is None:
            made = self._frames[framing] = framing(self._payload)
        return made

    def plus_missed(self, missed: int, framing: Framing) -> bytes:
        """The frame with `missed` more trades missed than all viewers missed: for one viewer only."""
        if not missed:
            return self.frame(framing)
        head, _, own = self._payload.rpartition(b'"missed":')
        return framing(b'%s"missed":%d}' % (head, int(own[:-1]) + missed))


class Context:
    """What feeds read. `encoded` holds the events encoded in this push, so that overlapping keys share the work.

    `now`: loop time of this push.
    """

    def __init__(self, source: Source, history: History, depths: Depths, status: Callable[[], Row]) -> None:
        self.source, self.history, self.depths, self.status = source, history, depths, status
        self.encoded: dict[int, bytes] = {}
        self.now = 0.0

    def names(self, key: Key) -> Iterable[str]:
        if key.instruments == GROUPS:
            return self.history.groups()
        if key.instruments != ALL:
            return key.instruments
        names = [i.id for i in self.source.instruments()]
        return names + self.history.groups() if key.channel == "metrics" else names

    def event(self, event: Event) -> bytes:
        """The JSON of an event that stands in the history until the push is over, so that its id names it."""
        raw = self.encoded.get(id(event))
        if raw is None:
            raw = self.encoded[id(event)] = encode(event_row(event))
        return raw


class Feed:
    """`conflated`: an update replaces all earlier ones, so that one of them may be skipped."""

    conflated = True

    def __init__(self, key: Key, context: Context) -> None:
        self.key, self.context = key, context
        self.viewers = 0

    def snapshot(self) -> Message:
        raise NotImplementedError

    def update(self) -> Message | None:
        """What to send to all viewers, None where nothing changed. Moves the cursor."""
        raise NotImplementedError

    def message(self, kind: str, items: Iterable[bytes], tail: str = "", count: int = 0) -> Message:
        key = self.key
        extra = "".join([f',"{name}":{encode(value).decode()}' for name, value in key.said().items()])
        head = f'{{"channel":"{key.channel}","type":"{kind}","mode":"{self.context.source.mode}"{extra},"data":['
        return Message(b"%s%s]%s}" % (head.encode(), b",".join(items), tail.encode()), count)
