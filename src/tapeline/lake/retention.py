"""What of the lake is too old or too much: whole `date=` folders, the oldest first, all kinds together, never today's. Pure.

The sessions' positions stay, so that no repair brings back what was removed.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from tapeline.lake.layout import DAY
from tapeline.lake.state import LakeFile

GB = 1_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()


def expired(files: Iterable[LakeFile], *, now: int, days: float, gb: float) -> dict[str, list[LakeFile]]:
    """The files to remove, by day (YYYY-MM-DD), oldest first. `now` in ns; a limit of 0 is none.

    A day is too old once its end lies more than `days` back.
    """
    by_day: dict[str, list[LakeFile]] = defaultdict(list)
    for file in files:
        by_day[file.date].append(file)
    excess = sum(f.bytes for group in by_day.values() for f in group) - gb * GB if gb else 0.0
    gone: dict[str, list[LakeFile]] = {}
    for day in sorted(by_day):
        end = (date.fromisoformat(day).toordinal() - _EPOCH + 1) * DAY
        old = bool(days) and end < now - days * DAY
        if end > now or not (old or excess > 0):
            continue
        gone[day] = by_day[day]
        excess -= sum(f.bytes for f in by_day[day])
    return gone
