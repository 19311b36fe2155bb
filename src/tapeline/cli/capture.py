"""`tapeline record --csv`: one clean file of trades, and a report of what was left out and why.

    seen + recovered = kept + dropped (zero, off-book, duplicate)        of each instrument

    zero        price or size is zero; that counts first, whatever else is wrong with it
    off-book    no part of the continuous market: the venue says INSURANCE_FUND, ADL, NA, or that it is a block trade (OFF_BOOK)
    duplicate   said before, known by the venue's trade id; where it has none, by the time, on redundant connections
    recovered   no message held it: it was missing, and fetched to fill the hole

Trades against retail price improvement orders (RPI) are real trades and are kept; their flag stands in the row, as LATE and
RECOVERED do. Rows stand in the order in which they came. Messages that cannot be read are counted as malformed; whatever they held
is in no row.

What is counted is counted on the loop, as it happens; rows are written by a thread (`spool.py`). The file is written as
`.NAME.part` beside its place and moved there at the end, also after Ctrl-C: what has the name that was asked for is whole.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

import msgspec

from tapeline.cli.spool import Spool
from tapeline.engine.bus import Batch
from tapeline.engine.tally import RECOVERED, Tally
from tapeline.errors import UsageError
from tapeline.events import Event, Flag, Status, Trade
from tapeline.sinks.appending import packed
from tapeline.sinks.csv import columns, table

OFF_BOOK = int(Flag.OFF_BOOK)
MOST_GAPS = 1000
PACKED = {".gz": "gzip", ".zst": "zstd"}


class Gap(msgspec.Struct, frozen=True):
    """A status of the kind `gap`: what it is of, and how much is missing, where that is known."""

    time: int
    channel: str
    reason: str
    count: int | None


class Counts(msgspec.Struct):
    """Of one instrument. `off_book` by reason. `first`, `last`: least and greatest `ts_event` of the trades kept, ns."""

    given: int = 0  # trades that the pipeline gave out, recovered ones apart
    kept: int = 0
    recovered: int = 0
    zero: int = 0
    duplicate: int = 0
    rejected: int = 0
    off_book: Counter[str] = msgspec.field(default_factory=Counter)
    first: int | None = None
    last: int | None = None
    gaps: list[Gap] = []

    @property
    def seen(self) -> int:
        return self.kept - self.recovered + self.zero + self.duplicate + self.off_book.total()


class CsvFile:
    """Trades to a file (`.gz` and `.zst` packed), or to standard output where the name is `-`."""

    def __init__(self, name: str) -> None:
        self.path = Path(name)
        self.compression = PACKED.get(self.path.suffix, "none")
        self._part = self.path.with_name(f".{self.path.name}.part")
        self._file: FileIO | None = None
        self._length = 0
        if name != "-":
            try:
                self._file = FileIO(self._part, "wb")
            except OSError as e:
                raise UsageError(f"--csv {name}: cannot be written ({e.strerror}); name another file") from None
        self._put(f"{','.join(columns(Trade))}\n".encode())

    def write(self, events: Sequence[Event]) -> None:
        self._put(table(Trade, events))

    def _put(self, data: bytes) -> None:
        if self._file is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        left = memoryview(packed(data, self.compression))
        size = len(left)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.truncate(self._length)
            self._file.seek(self._length)
            raise
        self._length += size

    def finish(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self.path)

    def discard(self) -> None:
        self.close()
        with suppress(OSError):
            self._part.unlink()

    def close(self) -> None:
        """What was written so far stays beside its place."""
        if self._file is not None:
            self._file.close()


class Capture:
    """`tap` sees every batch of the bus, `tally` every message; `close` when both are over, then `counts` is whole."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tally = Tally()
        self.counts: dict[str, Counts] = {}
        self.gaps = 0
        self.lost: list[Gap] = []  # of whole connections
        self._file = CsvFile(name)
        self.spool = Spool(name, self._file.write)

    def of(self, instrument: str) -> Counts:
        return self.counts.setdefault(instrument, Counts())

    def tap(self, batch: Batch) -> None:
        for event in batch.events:
            if type(event) is Trade:
                self._trade(event)
            elif type(event) is Status and event.kind == "gap":
                self._gap(event)

    def _trade(self, t: Trade) -> None:
        counts = self.of(t.instrument)
        recovered = t.flags & RECOVERED
        counts.given += not recovered
        if not t.price or not t.size:
            counts.zero += 1
        elif t.flags & OFF_BOOK:
            counts.off_book["OFF_BOOK"] += 1
        else:
            counts.kept += 1
            counts.recovered += bool(recovered)
            counts.first = t.ts_event if counts.first is None else min(counts.first, t.ts_event)
            counts.last = t.ts_event if counts.last is None else max(counts.last, t.ts_event)
            self.spool.put(t)

    def _gap(self, status: Status) -> None:
        gaps = self.of(status.instrument).gaps if status.instrument else self.lost
        self.gaps += 1
        if len(gaps) < MOST_GAPS:
            gaps.append(Gap(status.ts_event, status.channel, status.reason, status.count))

    async def close(self, *, whole: bool = True) -> None:
        """Bring the file to its place; where nothing was ever connected (not `whole`), leave none behind."""
        try:
            await self.spool.close()
            if whole:
                self._file.finish()
            else:
                self._file.discard()
        finally:
            self._file.close()
        for instrument in self.tally.trades:
            counts = self.of(instrument)
            counts.duplicate = max(0, self.tally.trades[instrument] - counts.given)
        for (instrument, reason), n in self.tally.skipped.items():
            if reason == "zero":
                self.of(instrument).zero += n
            else:
                self.of(instrument).off_book[reason] += n
        for instrument, n in self.tally.rejected.items():
            self.of(instrument).rejected += n
