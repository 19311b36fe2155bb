"""Pages of stored rows for whoever scrolls back: the newest before a time, oldest first, and whether there are more.

A page ends between two microseconds, since those are what readers of the API see and ask on with: rows of one microsecond are never
parted. Rows whose page would have to part them are left to the next one, unless they are all of it.
"""

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from tapeline.clock import MICRO
from tapeline.instruments import split_id
from tapeline.lake.layout import STATE_FILE, root

T = TypeVar("T")


def newest(rows: Sequence[T], limit: int, at: Callable[[T], int], *, more: bool = False) -> tuple[list[T], bool]:
    """The last `limit` of ascending `rows` (times `at` in ns), about; whether there are older ones. `more`: there are some before
    `rows`, of which `rows` then are more than `limit`, or end with whole microseconds.
    """
    if len(rows) <= limit:
        return list(rows), more

    def micro(row: T) -> int:
        return at(row) // MICRO

    cut = len(rows) - limit
    if micro(rows[cut - 1]) == micro(rows[cut]):
        after = bisect_right(rows, micro(rows[cut]), key=micro)
        cut = after if after < len(rows) else bisect_left(rows, micro(rows[cut]), key=micro)
    return list(rows[cut:]), more or cut > 0


def oldest(data: Path, instrument: str, kinds: Collection[str]) -> int | None:
    """The first time (ns) of what is committed of an instrument; None where there is no lake, or nothing of it. Quick: no process
    has to be asked. Raises sqlite3.Error.
    """
    state = root(data) / STATE_FILE
    if not state.exists():
        return None
    venue, symbol = split_id(instrument)
    marks = ", ".join("?" * len(kinds))
    with closing(sqlite3.connect(f"{state.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)) as db:
        asked = f"SELECT min(first_ts) FROM files WHERE venue = ? AND symbol = ? AND kind IN ({marks})"  # noqa: S608  marks only
        (found,) = db.execute(asked, (venue, symbol, *kinds)).fetchone()
    return None if found is None else int(found)
