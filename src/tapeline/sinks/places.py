"""Where an event lies in a folder of plain files: `trade/binance/BTC-USDT/2026-11-21`.

Kind, venue and symbol are folders, the UTC day is the file: of `ts_event`, of a bar of `ts_open`, of a time that cannot be true
of `ts_recv`; the same rules as the lake's (`lake/layout.py`). Names are percent-encoded as there. What concerns no single instrument
(a status of a whole connection) lies under `_all`, a name that no symbol gets: a leading `_` is encoded, and so are `.` and `..`.
"""

from functools import lru_cache
from urllib.parse import quote

from tapeline.events import Event
from tapeline.lake.layout import DAY, date_text, placed_at, venue_and_symbol

ALL = "_all"


def day_of(event: Event) -> int:
    """The day counted from 1970-01-01."""
    return placed_at(event) // DAY


def place_of(event: Event) -> str:
    """Without the file's suffix, with forward slashes."""
    if event.instrument:
        return _place(type(event), event.instrument, "", day_of(event))
    venue, symbol = venue_and_symbol(event)
    return _place(type(event), venue, symbol, day_of(event))


@lru_cache(maxsize=4096)
def _place(kind: type[Event], instrument: str, symbol: str, day: int) -> str:
    venue, _, of_id = instrument.partition(":")
    folders = (str(kind.__struct_config__.tag), folder(venue), folder(symbol or of_id), date_text(day))
    return "/".join(folders)


def folder(name: str) -> str:
    """A name that every file system takes for one folder, and that no other name becomes."""
    if not name:
        return ALL
    encoded = quote(name, safe="-_.~")
    if encoded[0] == "_":
        return f"%5F{encoded[1:]}"
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded
