"""CSV files as frames: each good row is one of our events as JSON, the message of the protocol `imported` (venues/imported.py), so
that bars, touches and metrics are made from it as from any feed.

Rows are put in order of their receive time, or of their own time where they tell none, since a tape never runs back: in memory up to
SORTED rows, beyond that in sorted pieces on the disk. Rows of one time keep the order of the file, and of the files as named.

A row that cannot be used is counted, named by line and reason, and written to the file of rejects where one is asked for.
"""

import csv
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from heapq import merge
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

import msgspec

from tapeline.clock import SECOND
from tapeline.config import INTERVALS
from tapeline.engine.connections import is_simulated
from tapeline.engine.importing import MOST_NAMED, Tally, measured
from tapeline.engine.lines import bounded, open_lines
from tapeline.engine.packed import DAMAGE
from tapeline.engine.plain import BadRow, Kind, Layout, Times, Unit, layout
from tapeline.engine.plain_rows import Timed, book_rows, event_of, whole_books
from tapeline.errors import UsageError
from tapeline.frames import Closed, Frame, FrameKind, Opened, Source, pack
from tapeline.instruments import split_id
from tapeline.venues.tardis_names import instrument_of

SORTED = 300_000
LOOKED_AT = 1000
_DELIMITERS = (",", ";", "\t", "|")
_NOT_UTF8 = "\N{REPLACEMENT CHARACTER}" * 2
"""UTF-16's mark, read as UTF-8."""
MOST_IDS = 200_000
"""Ids of the last trades, of all files: what stands twice stands close by. The oldest are forgotten."""
Row = list[str]
Reject = Callable[[str, int, str, Row], None]
"""(file, line, reason, row)"""


class Wanted(msgspec.Struct, frozen=True):
    """What the user says of the files."""

    kind: Kind | None = None
    instrument: str = ""
    interval: str = ""
    unit: Unit | None = None
    tz: str = "UTC"
    mapping: dict[str, str] = {}


class PlainFile(msgspec.Struct):
    """One file, looked at: what its columns mean. `interval` of bars, empty where each row names its own."""

    path: Path
    name: str
    layout: Layout
    wanted: Wanted
    interval: str
    digest: str
    bytes: int
    times: Times
    damage: str = ""
    delimiter: str = ","

    @property
    def source(self) -> Source:
        return Source(name=self.name, digest=self.digest, bytes=self.bytes, format=f"csv {self.layout.kind}")

    def said(self) -> str:
        """What was judged, for a person to check."""
        unit = {"s": "seconds", "ms": "ms", "us": "µs", "ns": "ns", "iso": "ISO 8601"}[self.times.unit or "iso"]
        interval = f", bars of {self.interval}" if self.interval else ""
        judged = " (judged by their size)" if self.times.judged and self.times.unit != "iso" else ""
        return f"{self.name}: {self.layout.kind}{interval}, times in {unit}{judged}"


def look(path: Path, name: str, wanted: Wanted, read: Callable[[int], None] = lambda _: None) -> PlainFile:
    """Raises UsageError where the file's columns cannot be told, or something must be named that its columns do not."""
    if wanted.instrument:
        split_id(wanted.instrument)
    digest, size, damage = measured(path, name, read)
    first = next((line for line, _ in _lines(path) if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    rows = [row for _, row in islice(_rows(path, delimiter), LOOKED_AT)]
    if not rows:
        raise UsageError(f"{name} is damaged before its first row: {damage}" if damage else f"{name} is empty")
    if first.startswith(_NOT_UTF8):
        raise UsageError(f"{name} is text in UTF-16: save it as UTF-8")
    try:
        found = layout(rows[0], wanted.kind, wanted.mapping)
    except UsageError as e:
        raise UsageError(f"{name}: {e}") from None
    own = "instrument" in found.columns or {"exchange", "symbol"} <= found.columns.keys()
    if not wanted.instrument and not own:
        raise UsageError(f"{name} does not say of which instrument it is: --instrument binance:BTC-USDT")
    times = Times(wanted.unit, wanted.tz)
    body = rows[1:] if found.header else rows
    opened = _some_times(body, found, times)
    interval = wanted.interval
    if not interval and found.kind == "bars" and "interval" not in found.columns:
        interval = _interval(name, body, found, times, opened)
    told = f"{digest} {found.kind} {wanted.instrument} {interval}"
    return PlainFile(
        path, name, found, wanted, interval, hashlib.sha256(told.encode()).hexdigest(), size, times, damage, delimiter
    )


def _some_times(rows: Iterable[Row], found: Layout, times: Times) -> list[int]:
    made = []
    for row in rows:
        try:
            made.append(times.read(row[found.columns["time"]]))
        except (BadRow, IndexError):
            continue
    return made


def _interval(name: str, rows: list[Row], found: Layout, times: Times, opened: list[int]) -> str:
    """Of bars: how far closes lie from opens, else how far opens lie from each other at least."""
    width = 0
    if (place := found.columns.get("close_time")) is not None and rows and opened:
        try:
            width = -(-(times.read(rows[0][place]) - opened[0]) // SECOND) * SECOND  # Binance closes a ms or µs before the end
        except (BadRow, IndexError):
            width = 0
    if not width:
        ordered = sorted(set(opened))
        width = min((b - a for a, b in pairwise(ordered)), default=0)
    known = next((text for text, ns in INTERVALS.items() if ns == width), "")
    if width and width % SECOND == 0:
        return known or next(
            f"{width // INTERVALS[unit]}{unit[1]}" for unit in ("1d", "1h", "1m", "1s") if not width % INTERVALS[unit]
        )
    raise UsageError(f"{name}: the bars' interval cannot be told by their times: --interval 1m")


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    with closing(open_lines(path)) as file:
        try:
            for line in bounded(file):
                yield line.decode("utf-8", "replace"), len(line)
        except DAMAGE:
            return


def _rows(path: Path, delimiter: str, tally: Tally | None = None) -> Iterator[tuple[int, Row]]:
    """(line, row), empty ones left out. What the CSV reader itself refuses is a row of one cell.

    Line by line: no cell of ours holds a line's end, and a quotation mark that is never closed takes its own line only.
    """

    def counted() -> Iterator[str]:
        for line, size in _lines(path):
            if tally is not None:
                tally.bytes += size
            yield line.replace("\0", "")

    number = 0
    for line in counted():
        for part in line.split("\r") if "\r" in line[:-2] else (line,):  # a file put together on several machines
            number += 1
            try:
                row = next(csv.reader((part,), delimiter=delimiter), None)
            except csv.Error as e:
                row = [f"({e})"]
            if row:
                yield number, row


class PlainRows:
    """The rows of several files as frames. `reject` is given every row that is not used."""

    def __init__(self, files: list[PlainFile], place: Path, reject: Reject | None = None) -> None:
        self.files, self.tally = files, Tally()
        self._place, self._reject = place, reject
        self._ids: dict[tuple[str, str], None] = {}

    def frames(self, ordered: Iterator[tuple[int, bytes]], simulated: bool) -> Iterator[Frame]:
        """All but the SESSION frame."""
        now = 0
        names = ", ".join(f.name for f in self.files)
        for recv, message in ordered:
            if not now:
                yield Frame(recv, FrameKind.OPENED, 1, pack(Opened(venue="imported", url=names, simulated=simulated)))
            now = recv
            self.tally.messages += 1
            yield Frame(recv, FrameKind.RECV, 1, message)
        self.tally.last = now
        yield Frame(now, FrameKind.CLOSED, 1, pack(Closed(code=1000, reason="end of the data", planned=True)))
        yield Frame(now, FrameKind.END, 0, b"")

    def ordered(self) -> Iterator[tuple[int, bytes]]:
        """(receive time, message) of every good row, in order of time."""
        with ExitStack() as stack:
            pieces: list[Iterable[tuple[int, bytes]]] = []
            left = (made for file in self.files for made in self._made(file))
            while piece := sorted(islice(left, SORTED), key=lambda m: m[0]):
                if len(piece) < SORTED:
                    pieces.append(piece)
                    break
                kept = stack.enter_context(tempfile.TemporaryFile(dir=self._place))
                kept.writelines(b"%d %s\n" % made for made in piece)
                pieces.append(_reread(kept))
            yield from merge(*pieces, key=lambda m: m[0])

    def _made(self, file: PlainFile) -> Iterator[tuple[int, bytes]]:
        named = _Names(file)
        rows = _rows(file.path, file.delimiter, self.tally)
        if file.layout.header:
            next(rows, None)

        def refuse(line: int, reason: str, row: Row) -> None:
            self.tally.bad += 1
            if len(self.tally.named) < MOST_NAMED:
                self.tally.named.append(f"{file.name}:{line}: {reason}")
            if self._reject is not None:
                self._reject(file.name, line, reason, row)

        if file.layout.kind == "book":
            books = whole_books if file.layout.levels else book_rows
            yield from books(rows, file.layout, file.times, named, refuse)
            return
        for line, row in rows:
            try:
                made = event_of(row, file.layout, Timed(file.times, file.interval), named)
                self._once(row, file.layout, named)
            except BadRow as e:
                refuse(line, str(e), row)
            else:
                yield made

    def _once(self, row: Row, layout: Layout, named: "_Names") -> None:
        """Raises BadRow where a trade of this id was among the last."""
        place = layout.columns.get("id")
        if layout.kind != "trades" or place is None or not (number := row[place].strip()):
            return
        key = (named(row), number)
        if key in self._ids:
            raise BadRow(f"trade {number} is there already")
        self._ids[key] = None
        if len(self._ids) > MOST_IDS:
            del self._ids[next(iter(self._ids))]


def _reread(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    file.seek(0)
    for line in file:
        recv, _, message = line.partition(b" ")
        yield int(recv), message.rstrip(b"\n")


class _Names:
    """The instrument of a row: the one that was named for the file, else what its columns say."""

    def __init__(self, file: PlainFile) -> None:
        c = file.layout.columns
        self._columns = [c[role] for role in ("instrument",) if role in c] or [c[r] for r in ("exchange", "symbol") if r in c]
        self._fixed = file.wanted.instrument
        self._known: dict[tuple[str, ...], str] = {}

    def __call__(self, row: Row) -> str:
        """Raises BadRow."""
        if self._columns and max(self._columns) >= len(row):
            raise BadRow(f"it has {len(row)} columns, and does not say of which instrument it is")
        key = tuple(row[i].strip() for i in self._columns)
        if (known := self._known.get(key)) is None:
            known = self._known[key] = self._of(key)
        return known

    def _of(self, key: tuple[str, ...]) -> str:
        if self._fixed:
            if self._known:
                raise BadRow(f"it is of {' '.join(key)}, the rows before it of {' '.join(next(iter(self._known)))}")
            return self._fixed
        try:
            name = key[0] if len(key) == 1 else instrument_of(*key)
            split_id(name)
        except UsageError as e:
            raise BadRow(str(e)) from None
        return name


def is_of_simulated(message: bytes) -> bool:
    """Whether a message is of a simulated market's instrument."""
    name: str = msgspec.json.decode(message)["instrument"]
    return is_simulated(split_id(name)[0])
