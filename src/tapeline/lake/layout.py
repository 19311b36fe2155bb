"""Where things lie in the lake.

    <data>/lake/kind=trade/venue=binance/instrument=BTC-USDT/date=2026-11-21/<session>-<first>-<last>.parquet

`kind` is the event's tag, `venue` and `instrument` the two halves of the instrument id, `date` the UTC day of `ts_event`, of a
bar the day of its label `ts_open`. A time that cannot be true (flag BAD_TIME, before 1980, or more than a day after we received
the event) would make a folder nobody looks into: such events lie under the day of `ts_recv`. `first` and `last` are the frames
of the session that the file covers. Folder values are percent-encoded; an empty one (a status of a whole connection) is the
`__HIVE_DEFAULT_PARTITION__` that Hive, DuckDB, Spark and Arrow read as null.

Every `*.parquet` under these folders is committed and holds each event once. `_state.sqlite` and `_pending/` are the sink's own.
"""

from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

import msgspec

from tapeline.clock import SECOND, iso
from tapeline.events import Bar, Event, Flag, Status

DAY = 86_400 * SECOND
ABSURD_BEFORE = 315_532_800 * SECOND  # 1980-01-01: a venue's milliseconds or seconds taken for nanoseconds lie before it
BAD_TIME = int(Flag.BAD_TIME)
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
STATE_FILE = "_state.sqlite"
PENDING_DIR = "_pending"


class Partition(msgspec.Struct, frozen=True):
    """One folder of the lake. `date` is `YYYY-MM-DD`."""

    kind: str
    venue: str
    instrument: str
    date: str

    @property
    def path(self) -> str:
        """Relative to the lake's root, with forward slashes."""
        return "/".join(f"{key}={_encoded(getattr(self, key))}" for key in self.__struct_fields__)


def partition_of(path: str) -> Partition:
    """The folder at `path`, relative to the lake's root. Raises ValueError where it is none."""
    pairs = [part.partition("=")[::2] for part in path.split("/")]
    if tuple(key for key, _ in pairs) != Partition.__struct_fields__:
        raise ValueError(f"{path} is no folder of a lake")
    return Partition(*("" if value == NO_VALUE else unquote(value) for _, value in pairs))


def root(data: Path) -> Path:
    return Path(data) / "lake"


def unique_name(prefix: str) -> str:
    """A file name that no file of the lake has had or will have: for files that are made of others."""
    return f"{prefix}-{uuid4().hex}.parquet"


def file_name(session: str, first: int, last: int) -> str:
    return f"{_encoded(session)}-{first}-{last}.parquet"


def dataset_glob(data: Path, kind: str = "*", venue: str = "*", instrument: str = "*", date: str = "*") -> str:
    """A glob over the committed files of an event type (`trade`, `quote`, `book`, …), for DuckDB, polars or `glob`.

    The other arguments narrow it: `dataset_glob("data", "trade", "binance", "BTC-USDT", "2026-11-21")`.
    """
    folders = {"kind": kind, "venue": venue, "instrument": instrument, "date": date}
    parts = [f"{key}={value if value == '*' else _encoded(value)}" for key, value in folders.items()]
    return "/".join([root(data).as_posix(), *parts, "*.parquet"])


def venue_and_symbol(event: Event) -> tuple[str, str]:
    """The venue and symbol an event lies under; an event without an instrument lies under the venue it speaks of."""
    venue, _, symbol = event.instrument.partition(":")
    if not event.instrument and isinstance(event, Status):
        return event.venue, ""
    return venue, symbol


def placed_at(event: Event) -> int:
    """The time (ns) by which an event lies where it lies; `tables.placed_at` does the same for columns."""
    time = event.ts_open if isinstance(event, Bar) else event.ts_event
    absurd = event.flags & BAD_TIME or time < ABSURD_BEFORE or time - event.ts_recv > DAY
    return event.ts_recv if absurd else time


def time_field(event_type: type[Event]) -> str:
    return "ts_open" if event_type is Bar else "ts_event"


def date_text(day: int) -> str:
    return iso(day * DAY)[:10]


def _encoded(value: str) -> str:
    return quote(value, safe="-_.~") if value else NO_VALUE
