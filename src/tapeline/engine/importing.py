"""Raw recordings of other programs onto the tape, as one session with the recording's own receive times.

Files are parts of one recording: they are merged by time. A file that begins after another has ended goes on with its connection
(days, rotated parts), files that overlap are connections of their own (one a symbol). What the frames are made of:

    SESSION   names each file with its digest
    OPENED    where a file's first line is, or where the recording tells of a connection (cryptofeed); with no streams, since what
              was asked for is known only where SENT messages are in the recording
    RECV      each message; a line that cannot be read as well: the tape keeps it, the decoder rejects and counts it
    HTTP      an answer that the recording has with its address (cryptofeed): book snapshots of Binance and lists of instruments are
              used. The `limit` of a snapshot is left out, as nobody can ask again: else the book would be given up at its edge
    CLOSED    where the recording marks a lost connection, and at the end; then END

Times that run back are held, since a tape's never do, and counted. A message without time takes the venue's own.
"""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tapeline.engine.foreign import LOOKED_AT, Format, Said, What, parser, told
from tapeline.engine.lines import LATEST, bounded, open_lines
from tapeline.engine.packed import DAMAGE
from tapeline.errors import UsageError
from tapeline.frames import Closed, Frame, FrameKind, HttpAnswer, Opened, Source, pack, pack_answer
from tapeline.venues.base import Venue

MOST_NAMED = 20
"""Unreadable lines that are told one by one; all are counted, and on the tape."""
MOST_LOOKED = 100_000
"""Lines that are looked at for the first time of a recording."""
_CHUNK = 1 << 20
_SYMBOL = re.compile(r"[?&]symbol=([A-Za-z0-9_]+)")


class Recording(msgspec.Struct):
    """One file. `bytes`: of it unpacked; `damage`: why it cannot be read to its end; `first`: ns."""

    path: Path
    name: str
    format: Format
    digest: str
    bytes: int
    first: int
    damage: str = ""

    @property
    def source(self) -> Source:
        return Source(name=self.name, digest=self.digest, bytes=self.bytes, format=self.format)


class Tally(msgspec.Struct):
    """What was found while importing. `back`: messages whose times ran back; `untimed`: messages without one."""

    messages: int = 0
    sent: int = 0
    answers: int = 0
    lost: int = 0
    back: int = 0
    untimed: int = 0
    bad: int = 0
    named: list[str] = []
    bytes: int = 0
    last: int = 0


def survey(
    path: Path, name: str, wanted: Format | None, venue: Venue, read: Callable[[int], None] = lambda _: None
) -> Recording:
    """Look at a file once: its digest, its format, its first time. Raises UsageError where it is no raw recording."""
    digest, size, damage = measured(path, name, read)
    sample = [line for line, _ in islice(_lines(path), LOOKED_AT) if line]
    form = wanted or told(sample, name)
    return Recording(path, name, form, digest, size, _first(path, name, form, venue), damage)


def measured(path: Path, name: str, read: Callable[[int], None] = lambda _: None) -> tuple[str, int, str]:
    """The digest and the bytes of what is in a file, unpacked; and why it cannot be read to its end. UsageError where not at all."""
    digest, size, damage = hashlib.sha256(), 0, ""
    with closing(open_lines(path)) as file:
        try:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                read(len(chunk))
        except DAMAGE as e:
            damage = f"{name} is damaged or cut off: {e}"
    return digest.hexdigest(), size, damage


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """The lines of a file without their ends, up to its end or its damage; and how many bytes each was."""
    with closing(open_lines(path)) as file:
        try:
            for line in bounded(file):
                yield line.rstrip(b"\r\n"), len(line)
        except DAMAGE:
            return


def _first(path: Path, name: str, form: Format, venue: Venue) -> int:
    parse = parser(form)
    for line, _ in islice(_lines(path), MOST_LOOKED):
        said = parse(line)
        if (ts := _time(said, venue)) is not None:
            return ts
    raise UsageError(f"{name}: no line of it tells a time, so it is no recording of {venue.name} in the format {form}")


def _time(said: Said, venue: Venue) -> int | None:
    ts = said.ts
    if ts is None and said.what is What.MESSAGE:
        ts = venue.event_time(said.data)
    return ts if ts is not None and 0 < ts < LATEST else None


class _Part:
    """One file being read: its place, the connection that its messages are of, 0 while there is none."""

    def __init__(self, number: int, recording: Recording, venue: Venue, tally: Tally) -> None:
        self.number, self.recording, self.connection = number, recording, 0
        self._venue, self._tally = venue, tally
        self._said = self._read()

    def _read(self) -> Iterator[tuple[int, Said]]:
        parse, now, tally = parser(self.recording.format), self.recording.first, self._tally
        for at, (line, size) in enumerate(_lines(self.recording.path), 1):
            said = parse(line)
            tally.bytes += size
            if said.what is What.BAD:
                tally.bad += 1
                if len(tally.named) < MOST_NAMED:
                    tally.named.append(f"{self.recording.name}:{at}: {said.note}")
            ts = _time(said, self._venue)
            tally.back += ts is not None and ts < now
            tally.untimed += said.ts is None and said.what is What.MESSAGE
            now = max(now, ts or 0)
            yield now, said

    def next(self) -> tuple[int, Said] | None:
        return next(self._said, None)


def _merged(recordings: Sequence[Recording], venue: Venue, tally: Tally) -> Iterator[tuple[int, Said, _Part, bool]]:
    """Everything said, by time; whether it is the last of its file. A file is opened when its time has come."""
    waiting = deque(sorted(recordings, key=lambda r: (r.first, r.name)))
    heap: list[tuple[int, int, Said, _Part]] = []
    opened = 0
    while waiting or heap:
        while waiting and (not heap or waiting[0].first < heap[0][0]):
            part = _Part(opened, waiting.popleft(), venue, tally)
            opened += 1
            if (found := part.next()) is not None:
                heappush(heap, (found[0], part.number, found[1], part))
        ts, number, said, part = heappop(heap)
        following = part.next()
        if following is not None:
            heappush(heap, (following[0], number, following[1], part))
        yield ts, said, part, following is None


class Assembler:
    """Recordings into frames. `url`: the address they came from, where it decides what messages mean."""

    def __init__(self, venue: Venue, recordings: Sequence[Recording], url: str = "") -> None:
        self.venue, self.recordings, self.url = venue, recordings, url
        self.tally = Tally()
        self._opened = 0
        self._up: dict[int, str] = {}  # connection → its address
        self._free: list[int] = []  # of files that have ended: the next one goes on with it
        self._lists = {urlsplit(r.url).path for r in venue.instruments_requests()}

    def frames(self) -> Iterator[Frame]:
        """All but the SESSION frame."""
        now = 0
        for ts, said, part, ended in _merged(self.recordings, self.venue, self.tally):
            now = max(now, ts)
            yield from self._of(said, now, part)
            if ended and part.connection in self._up:
                self._free.append(part.connection)
        self.tally.last = now
        for connection in sorted(self._up):
            yield Frame(now, FrameKind.CLOSED, connection, pack(Closed(code=1000, reason="end of the recording", planned=True)))
        yield Frame(now, FrameKind.END, 0, b"")

    def _of(self, said: Said, ts: int, part: _Part) -> Iterator[Frame]:
        tally = self.tally
        if said.what is What.MESSAGE or said.what is What.BAD:
            tally.messages += said.what is What.MESSAGE
            yield from self._begin(part, ts)
            yield Frame(ts, FrameKind.RECV, part.connection, said.data)
        elif said.what is What.SENT:
            tally.sent += 1
            yield from self._begin(part, ts, said.note)
            yield Frame(ts, FrameKind.SENT, part.connection, said.data)
        elif said.what is What.ANSWER:
            tally.answers += 1
            yield Frame(ts, FrameKind.HTTP, 0, pack_answer(self._answer(said.note), said.data))
        elif said.what is What.OPENED:
            yield from self._end(part, ts, "the recording tells of a new connection")
            yield from self._begin(part, ts, said.note)
        elif said.what is What.LOST:
            yield from self._end(part, ts, said.note)

    def _begin(self, part: _Part, ts: int, url: str = "") -> Iterator[Frame]:
        if part.connection in self._up:
            return
        if self._free and not url:
            part.connection = self._free.pop(0)
            return
        self._opened += 1
        part.connection = self._opened
        self._up[part.connection] = address = url or self.url or part.recording.name
        yield Frame(ts, FrameKind.OPENED, part.connection, pack(Opened(venue=self.venue.name, url=address)))

    def _end(self, part: _Part, ts: int, why: str) -> Iterator[Frame]:
        if self._up.pop(part.connection, None) is None:
            return
        self.tally.lost += 1
        yield Frame(ts, FrameKind.CLOSED, part.connection, pack(Closed(code=1006, reason=why)))

    def _answer(self, url: str) -> HttpAnswer:
        """What an answer is about, by its address alone."""
        path, symbol = urlsplit(url).path, _SYMBOL.search(url)
        purpose, native = "recorded", ""
        if path in self._lists:
            purpose = "instruments"
        elif symbol is not None and path.endswith("/depth"):
            purpose, native, url = "book", symbol[1].upper(), re.sub(r"([?&])limit=\d+&?", r"\1", url).rstrip("?&")
        return HttpAnswer(venue=self.venue.name, purpose=purpose, url=url, status=200, native=native)
