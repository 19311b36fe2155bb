"""What there is to know of a connection that is kept up, whether it is up now or not."""

from typing import Literal

import msgspec

State = Literal["up", "connecting", "down"]


class ConnectionState(msgspec.Struct, frozen=True, kw_only=True):
    """`since`, `last_frame`: ns UTC, 0 for never. `frames`, `bytes`: over all connections so far. `attempts`: failures in a row."""

    id: int
    label: str
    venue: str
    url: str
    state: State
    since: int
    streams: int
    frames: int
    bytes: int
    last_frame: int
    attempts: int
    reconnects: int
    last_error: str
