"""Recordings as the playback wants them: one record a message, whatever they were kept in.

Two sources: a tape (`tapeline.tape.reader`), of which one session's frames of one venue are taken, and a file of lines
`<recv_ns> <raw message>` (`.gz` too), the form in which other people's Binance recordings come. A message without the combined
envelope says by its own fields which stream it belongs to; a book snapshot is any message with `lastUpdateId` and no stream.
"""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tapeline.errors import UsageError
from tapeline.frames import Frame, FrameKind, unpack_answer, unpack_opened
from tapeline.tape import reader

_ENVELOPE = re.compile(rb'\{"stream":"([^"]+)","data":')
_FIELD = {key: re.compile(rb'"%b":"([^"]*)"' % key.encode()) for key in ("e", "s", "i")}
_BY_EVENT = {
    "trade": "trade",
    "aggTrade": "aggTrade",
    "depthUpdate": "depth@100ms",
    "24hrTicker": "ticker",
    "24hrMiniTicker": "miniTicker",
    "bookTicker": "bookTicker",
    "markPriceUpdate": "markPrice@1s",
    "forceOrder": "forceOrder",
}


class Record(NamedTuple):
    """`stream` empty: a book snapshot of `native` (empty where the recording does not say)."""

    ts: int
    stream: str
    body: bytes
    native: str = ""


def _field(body: bytes, key: str) -> str:
    found = _FIELD[key].search(body)
    return found[1].decode() if found else ""


def _stream_of(body: bytes) -> str:
    """Of a message without envelope; empty where it does not say."""
    event, low = _field(body, "e"), _field(body, "s").lower()
    if event == "kline":
        return f"{low}@kline_{_field(body, 'i')}"
    if event:
        return f"{low}@{_BY_EVENT[event]}" if event in _BY_EVENT else ""
    return f"{low}@bookTicker" if low and b'"B":' in body else ""


def _record(ts: int, raw: bytes) -> Record | None:
    wrapped = _ENVELOPE.match(raw)
    if wrapped:
        return Record(ts, wrapped[1].decode(), raw[wrapped.end() : raw.rstrip().rfind(b"}")])
    if b'"lastUpdateId"' in raw[:40]:
        return Record(ts, "", raw, _field(raw[:200], "s"))
    stream = _stream_of(raw[:400])
    return Record(ts, stream, raw) if stream else None


def from_lines(path: Path) -> Iterator[Record]:
    """UsageError where a line does not begin with its receive time."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            stamp, _, raw = line.rstrip().partition(b" ")
            if not stamp.isdigit():
                raise UsageError(f"{path}:{number} does not begin with a receive time: each line is `<recv_ns> <raw message>`")
            record = _record(int(stamp), raw)
            if record is not None:
                yield record


def from_tape(root: Path, session: str, venue: str) -> Iterator[Record]:
    """`session` empty takes the latest one. UsageError where there is none."""
    found = reader.sessions(root)
    if not found:
        raise UsageError(f"no tape in {root}")
    ours: set[int] = set()
    for _, frame in reader.read(root, session or found[-1].id):
        record = _of_frame(frame, venue, ours)
        if record is not None:
            yield record


def _of_frame(frame: Frame, venue: str, ours: set[int]) -> Record | None:
    """`ours` collects the numbers of the venue's connections."""
    if frame.kind == FrameKind.OPENED and unpack_opened(frame.data).venue == venue:
        ours.add(frame.conn)
    elif frame.kind == FrameKind.RECV and frame.conn in ours:
        return _record(frame.ts_recv, frame.data)
    elif frame.kind == FrameKind.HTTP:
        answer, body = unpack_answer(frame.data)
        if answer.venue == venue and answer.status == 200 and answer.purpose == "book":
            return Record(frame.ts_recv, "", body, answer.native)
    return None


def records(source: Path, venue: str, session: str = "") -> Iterator[Record]:
    """From a directory (a tape) or a file (lines). UsageError where there is neither."""
    if source.is_dir():
        return from_tape(source, session, venue)
    if source.is_file():
        return from_lines(source)
    raise UsageError(f"{source} is neither a directory with a tape nor a file of recorded lines")
