"""Recordings as lines: `<recv_ns> <raw message>` or the raw message alone, turned into frames.

The way in for other people's recordings and for independent checks. Nothing is skipped: a line that is no message becomes a
frame that the decoder rejects. Without a receive time the venue's own time stands in for it (the last one, where there is
none), never running backwards, since frames are ordered by it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from tapeline.engine.packed import open_packed
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event
from tapeline.frames import Frame, FrameKind, Opened, pack
from tapeline.venues.base import Venue

CONNECTION = 1
LATEST = 1 << 63
LONGEST = 64 << 20
"""Bytes of a line that are looked at, as many as the wire takes (`wire.max_frame_mb`)."""
KEPT = 1024
BOM = b"\xef\xbb\xbf"


def open_lines(path: Path) -> IO[bytes]:
    """A file or pipe of lines, gzip, zstd or neither, told by its first bytes. UsageError where it cannot be opened."""
    return open_packed(path)


def bounded(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file, the mark before its first one taken off. Of a line longer than any message only the beginning is
    given, which no decoder takes for a message: it is rejected and counted, and memory stays bounded.
    """
    line = file.readline(LONGEST).removeprefix(BOM)
    while line:
        if len(line) == LONGEST and not line.endswith(b"\n"):
            line = line[:KEPT]
            while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
        yield line
        line = file.readline(LONGEST)


def frames(venue: Venue, lines: Iterable[bytes], source: str) -> Iterator[Frame]:
    """An OPENED frame, then one frame a line. A whole number in front of a message is its receive time in ns."""
    now, begun = 0, False
    for line in lines:
        text = line.strip()
        if not text:
            continue
        head, space, rest = text.partition(b" ")
        if space and head.isdigit() and len(head) <= 19 and int(head) < LATEST:
            now, raw = max(now, int(head)), rest
        else:
            told = venue.event_time(text) or 0
            now, raw = max(now, told if told < LATEST else 0), text
        if not begun:
            begun = True
            yield Frame(now, FrameKind.OPENED, CONNECTION, pack(Opened(venue=venue.name, url=source)))
        yield Frame(now, FrameKind.RECV, CONNECTION, raw)


def decode_lines(venue: Venue, lines: Iterable[bytes], source: str, pipeline: Pipeline | None = None) -> Iterator[Event]:
    """Every event of a recording, in order, the unfinished ones at the end."""
    pipeline = pipeline or Pipeline()
    out: list[Event] = []
    for seq, frame in enumerate(frames(venue, lines, source)):
        pipeline.feed_many(seq, [frame], out)
        if out:
            yield from out
            out.clear()
        pipeline.requests.clear()
        pipeline.notices.clear()
    pipeline.finish(out)
    yield from out
