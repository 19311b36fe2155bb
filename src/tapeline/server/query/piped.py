"""What the server and the processes that answer its queries say to each other (`server/query/box.py`, `server/query/boxed.py`).

Apart from both, because the server shall not import DuckDB, nor the process the server.
"""

import msgspec

from tapeline.events import Bar, Trade
from tapeline.market.profile import Profile


class Sql(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answered as a table in this form."""

    sql: str
    params: dict[str, str | int | float | bool | None]
    form: str
    mode: str
    rows: int


class Bars(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """This and those below ask for the newest `limit` with `start` <= time < `end`, of what was known at `until` (ns).

    Answered by a `BarPage`.
    """

    instrument: str
    interval: str
    origin: str
    start: int
    end: int
    limit: int
    until: int


class Trades(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Of `session` those that came up to `seam` (ns) only. Answered by a `TradePage`."""

    instrument: str
    start: int
    end: int
    limit: int
    until: int
    session: str
    seam: int


class Columns(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answered by the JSON of the columns, without brackets around them; `Head.more`, `Head.count`."""

    instrument: str
    step: float
    rows: int
    every: int
    end: int
    limit: int
    until: int


class Footprints(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Of the bars [open, end). Answered by a list of `Footprint`s."""

    instrument: str
    step: float
    edges: list[tuple[int, int]]
    until: int


class ProfileOf(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answered by a `ProfilePage`."""

    instrument: str
    start: int
    end: int
    until: int
    bps: float


What = Sql | Bars | Trades | Columns | Footprints | ProfileOf


class BarPage(msgspec.Struct, frozen=True):
    rows: list[Bar]
    more: bool


class TradePage(msgspec.Struct, frozen=True):
    rows: list[Trade]
    more: bool


class ProfilePage(msgspec.Struct, frozen=True):
    """`first`, `last`: times (ns) of the trades in it."""

    profile: Profile
    first: int | None
    last: int | None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question, and what it may cost: `lake.sql.Limits`."""

    data: str
    what: What
    answer_bytes: int
    seconds: float
    memory_mb: int
    threads: int


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer of so many bytes, or where `status` is not 200 the API's error.

    `count`: of the columns in it; `more`: there are older ones. `trace`: for the log.
    `spent`: the process has grown or is broken and shall be replaced.
    """

    bytes: int = 0
    count: int = 0
    more: bool = False
    status: int = 200
    code: str = ""
    text: str = ""
    hint: str = ""
    trace: str = ""
    spent: bool = False
