"""What an audit found, for a program and for a person.

A `Point` is one thing that was looked at, in one session and of one instrument where that makes sense. Its state:

    holds    it was proved
    noted    something is missing or odd, and the data say so themselves: a `status` stands beside it
    broken   the data do not hold together: whoever trusts them is misled
    skipped  it could not be looked at; the text says why
"""

from typing import Literal

import msgspec

State = Literal["holds", "noted", "broken", "skipped"]
MOST_DETAILS = 10


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """`what`: "trade ids", "bars", …; `count`: of whatever `text` speaks of; `details`: the first few of them."""

    what: str
    state: State
    text: str
    session: str = ""
    instrument: str = ""
    count: int = 0
    details: tuple[str, ...] = ()


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """ts_recv − ts_event of one instrument's events, in milliseconds. `negative`: the share below zero, which a clock of ours that
    is behind, or a venue's that is ahead, makes. `skew`: the least seen; as no message arrives before it is sent, a negative one is
    the difference of the clocks at least.
    """

    instrument: str
    events: int
    skew: float
    p50: float
    p90: float
    p99: float
    most: float
    negative: float


class Report(msgspec.Struct, kw_only=True):
    """Of one data directory. `frames` and `events` were read and made anew from the tape."""

    data: str
    sessions: int = 0
    frames: int = 0
    events: int = 0
    instruments: list[str] = []
    points: list[Point] = []
    latency: list[Latency] = []

    @property
    def broken(self) -> list[Point]:
        return [p for p in self.points if p.state == "broken"]

    def add(self, what: str, state: State, text: str, **more: object) -> None:
        self.points.append(msgspec.convert({"what": what, "state": state, "text": text, **more}, Point))


class Few:
    """Counts all and remembers the first few."""

    __slots__ = ("count", "first")

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, text: str) -> None:
        self.count += 1
        if len(self.first) < MOST_DETAILS:
            self.first.append(text)

    def join(self, other: "Few") -> None:
        self.count += other.count
        self.first += other.first[: MOST_DETAILS - len(self.first)]

    @property
    def details(self) -> tuple[str, ...]:
        more = self.count - len(self.first)
        return (*self.first, f"… and {more} more") if more else tuple(self.first)
