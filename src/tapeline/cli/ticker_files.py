"""`tapeline record --ticker-csv DIR`: each ticker of the venue, a row in its instrument's own file, `DIR/binance_BTC-USDT.csv`.

Runs add to the same file; the header stands once. Columns are those of the CSV sink (`docs/sinks.md`). A file that begins with
another header is left alone, and rows go to `binance_BTC-USDT-2.csv`. A last line that a crash tore is cut off before the first row
of a run; one that is whole and only lacks its end (an editor's work) gets it.
"""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from tapeline.cli.spool import Spool
from tapeline.engine.bus import Batch
from tapeline.errors import UsageError
from tapeline.events import Event, Ticker
from tapeline.sinks.csv import columns, table
from tapeline.sinks.places import folder

HEADER = ",".join(columns(Ticker)).encode()
TAIL = 1 << 16
NS_DIGITS = 19  # of a time in this century


class TickerFiles:
    def __init__(self, directory: str) -> None:
        self.directory = Path(directory)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UsageError(f"--ticker-csv {directory}: cannot be made ({e.strerror}); name another folder") from None
        self.rows: dict[str, int] = {}
        self.paths: dict[str, Path] = {}
        self.spool = Spool(directory, self._write)

    def tap(self, batch: Batch) -> None:
        for event in batch.events:
            if type(event) is Ticker:
                self.rows[event.instrument] = self.rows.get(event.instrument, 0) + 1
                self.spool.put(event)

    def _write(self, events: Sequence[Event]) -> None:
        """All of them or none: after a failure each file is cut back, as the spool tries all of it again."""
        groups: dict[str, list[Event]] = {}
        for event in events:
            groups.setdefault(event.instrument, []).append(event)
        ends: list[tuple[Path, int]] = []
        try:
            for instrument, group in groups.items():
                path = self._path(instrument)
                size = path.stat().st_size if path.exists() else 0
                ends.append((path, size))
                with path.open("ab") as file:
                    file.write(table(Ticker, group) if size else HEADER + b"\n" + table(Ticker, group))
        except OSError:
            for path, size in ends:
                with path.open("ab") as file:
                    file.truncate(size)
            raise

    def _path(self, instrument: str) -> Path:
        known = self.paths.get(instrument)
        if known is None:
            venue, _, symbol = instrument.partition(":")
            known = self.paths[instrument] = usable(self.directory, f"{folder(venue)}_{folder(symbol)}")
        return known


def usable(directory: Path, name: str) -> Path:
    """The file that rows are added to: mended, or not there yet."""
    for number in count(1):
        path = directory / f"{name}{f'-{number}' if number > 1 else ''}.csv"
        if not path.exists() or not path.stat().st_size:
            return path
        with path.open("rb") as file:
            head = file.readline(TAIL).rstrip(b"\r\n")
        if head == HEADER:
            mend(path)
            return path
    raise AssertionError  # not reached: `count` does not end


def mend(path: Path) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        start = max(0, size - TAIL)
        file.seek(start)
        end = file.read()
        if end.endswith(b"\n"):
            return
        torn = end[end.rfind(b"\n") + 1 :]
        if torn.count(b",") == HEADER.count(b",") and len(torn.rpartition(b",")[2].strip()) == NS_DIGITS:
            file.write(b"\n")
        else:
            file.truncate(size - len(torn))
