"""What the faces (server, CLI) see of a running engine, be it the live collector or a replay."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from tapeline.engine.bus import Bus
from tapeline.engine.subscriptions import Changed
from tapeline.events import Bar, Level
from tapeline.instruments import Instrument
from tapeline.market.profile import Profile
from tapeline.plans import Channel

Mode = Literal["live", "simulated", "replay"]
BookState = Literal["synced", "joining", "buffering", "invalid"]


class BookView(msgspec.Struct, frozen=True, kw_only=True):
    """A book at one moment, best level first. Levels past `bid_floor` / `ask_ceiling` may be missing and are never given."""

    instrument: str
    ts_event: int
    ts_recv: int
    seq: int | None
    state: BookState
    bids: list[Level]
    asks: list[Level]
    bid_floor: float | None
    ask_ceiling: float | None


class Control(Protocol):
    """What can be changed while it runs: `engine.control.Control`."""

    def subscriptions(self) -> list[dict[str, Any]]:
        """`instrument`, `name`, `channels`, `error` of each."""
        ...

    async def subscribe(self, instruments: Iterable[str], channels: Sequence[Channel] | None = None) -> Changed: ...

    async def unsubscribe(self, instruments: Iterable[str], channels: Sequence[Channel] | None = None) -> Changed: ...


class Source(Protocol):
    mode: Mode
    bus: Bus

    @property
    def control(self) -> Control | None:
        """None where nothing can be changed, as in a replay."""
        ...

    def now(self) -> int:
        """What time it is there (ns): the machine's clock, or where a recording is played."""
        ...

    def status(self) -> dict[str, Any]:
        """`/api/v1/status` of docs/api.md with times in ns, without what only the server counts."""
        ...

    def instruments(self) -> list[Instrument]:
        """Those being streamed."""
        ...

    def listed(self) -> list[Instrument]:
        """Those the connected venues list."""
        ...

    def book(self, instrument: str, depth: int) -> BookView | None: ...

    def open_bar(self, instrument: str, interval: str) -> Bar | None:
        """The bar that is still filling, None where no trade has come since the last one closed."""
        ...

    def profiles(self, instrument: str) -> dict[str, Profile]:
        """The volume profiles that are sampled, by the full names of their metrics, as of the last sample."""
        ...
