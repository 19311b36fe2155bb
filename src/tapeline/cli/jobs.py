"""What `tapeline record` makes of a stream besides keeping it: a clean CSV of trades, a summary now and then, tickers in files.

Each looks at the bus and is told when the session is over. Where one of the two that write files is all that was asked for, nothing
else is kept: no tape, no lake; and only the channels that they need are asked for.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from tapeline.cli.capture import Capture
from tapeline.cli.capture_report import lines, report
from tapeline.cli.live import LiveSession, say
from tapeline.cli.options import duration
from tapeline.cli.output import many
from tapeline.cli.ticker_files import TickerFiles
from tapeline.cli.trade_summary import TradeSummary
from tapeline.engine.collector import Collector
from tapeline.errors import UsageError


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The options as they were given."""

    csv: str | None = None
    report: str | None = None
    summary: str | None = None
    ticker_csv: str | None = None

    def __bool__(self) -> bool:
        return any((self.csv, self.summary, self.ticker_csv))

    @property
    def files(self) -> bool:
        return bool(self.csv or self.ticker_csv)

    @property
    def channels(self) -> str | None:
        """What they need and no more."""
        needed = (["trades"] if self.csv or self.summary else []) + (["ticker"] if self.ticker_csv else [])
        return ",".join(needed) or None

    def check(self) -> None:
        if self.report and not self.csv:
            raise UsageError("--report tells what --csv left out: name a file for both")
        if self.csv == "-" and self.summary:
            raise UsageError("--csv - and --summary would both print to standard output: name a file for the CSV")
        if self.summary and not duration(self.summary, "--summary"):
            raise UsageError(f"--summary {self.summary}: write how often, as in 5s")


class Jobs:
    """Made before anything is connected, so that what cannot be written is known at once. Raises UsageError."""

    def __init__(self, wanted: Wanted) -> None:
        wanted.check()
        self._report = Path(wanted.report) if wanted.report else None
        self.tickers = TickerFiles(wanted.ticker_csv) if wanted.ticker_csv else None
        self.summary = TradeSummary(duration(wanted.summary, "--summary") or 0) if wanted.summary else None
        self.capture = Capture(wanted.csv) if wanted.csv else None

    @asynccontextmanager
    async def around(self, session: LiveSession) -> AsyncIterator[None]:
        """Open the session within this: what its end still gives out is counted and written, too."""
        try:
            async with session:
                self._begin(session.collector)
                yield
        finally:
            whole = hasattr(session, "collector") and not session.collector.came_to_nothing
            try:
                await self._end_files(session, whole=whole)
            finally:
                if self.summary is not None and whole:
                    await self.summary.close(session.collector.clock.now())

    def _begin(self, collector: Collector) -> None:
        if self.capture is not None:
            collector.bus.tap(self.capture.tap)
            collector.pipeline.carriers.watch = self.capture.tally.watch
            self.capture.spool.start(collector.failed)
        if self.tickers is not None:
            collector.bus.tap(self.tickers.tap)
            self.tickers.spool.start(collector.failed)
        if self.summary is not None:
            collector.bus.tap(self.summary.tap)
            self.summary.start(collector)

    async def _end_files(self, session: LiveSession, *, whole: bool) -> None:
        if self.tickers is not None:
            await self._end_tickers(self.tickers)
        if self.capture is None:
            return
        await self.capture.close(whole=whole)
        if not whole:
            say(f"nothing came in: {self.capture.name} is not written")
        else:
            made = report(self.capture, session.collector)
            for line in lines(made):
                say(line)
            if self._report is not None:
                self._report.write_bytes(msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n")

    async def _end_tickers(self, tickers: TickerFiles) -> None:
        await tickers.spool.close()
        for instrument, rows in sorted(tickers.rows.items()):
            say(f"{tickers.paths[instrument]}: {many(rows, 'ticker')} added")
        if tickers.spool.missed:
            say(f"{many(tickers.spool.missed, 'ticker')} NOT WRITTEN: the disk was too slow")
