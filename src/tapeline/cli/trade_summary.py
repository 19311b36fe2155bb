"""`tapeline record --summary 5s`: every so often one line an instrument, of the trades that came since the last one.

Trades without price or size and those that are no part of the continuous market (OFF_BOOK) are left out, as in `--csv`. Sums
are of the printed decimals and exact; `change` is from the first trade of the line to its last; `buy` is the share of the volume
that buyers took, of what has a side.

Lines are printed by a thread: a reader that stands still (a pager, a full pipe) never holds up the feed. What comes meanwhile is in
the next line; at the end the reader gets CLOSE_SECONDS.
"""

import asyncio
import sys
from contextlib import suppress
from decimal import Decimal

from tapeline.cli.capture import OFF_BOOK
from tapeline.clock import SECOND, iso
from tapeline.engine.bus import Batch
from tapeline.engine.collector import Collector
from tapeline.events import Trade
from tapeline.sinks.worker import Worker

CLOSE_SECONDS = 1.0


class Sums:
    """Of one instrument since the last line."""

    __slots__ = ("buys", "count", "first", "high", "last", "low", "notional", "sided", "volume")

    def __init__(self, price: float) -> None:
        self.count = 0
        self.volume = self.notional = self.buys = self.sided = Decimal()
        self.first = self.last = self.high = self.low = price

    def add(self, t: Trade) -> None:
        size = Decimal(repr(t.size))
        self.count += 1
        self.volume += size
        self.notional += size * Decimal(repr(t.price))
        if t.side != "unknown":
            self.sided += size
            self.buys += size if t.side == "buy" else 0
        self.last, self.high, self.low = t.price, max(self.high, t.price), min(self.low, t.price)

    def line(self) -> str:
        buys = f"{100 * self.buys / self.sided:.1f}%" if self.sided else "-"
        change = 100 * (self.last / self.first - 1)
        vwap = float(self.notional / self.volume)
        return (
            f"trades {self.count}  volume {plain(self.volume)}  buy {buys}  vwap {vwap:.10g}  first {number(self.first)}  "
            f"high {number(self.high)}  low {number(self.low)}  last {number(self.last)}  change {change:+.3f}%"
        )


def number(x: float) -> str:
    return plain(Decimal(repr(x)))


def plain(x: Decimal) -> str:
    """Without an exponent, and without the zeros at the end."""
    text = f"{x:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class TradeSummary:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._sums: dict[str, Sums] = {}
        self._task: asyncio.Task[None] | None = None
        self._printer = Worker("summary")

    def tap(self, batch: Batch) -> None:
        for t in batch.events:
            if type(t) is Trade and t.price and t.size and not t.flags & OFF_BOOK:
                if (sums := self._sums.get(t.instrument)) is None:
                    sums = self._sums[t.instrument] = Sums(t.price)
                sums.add(t)

    def start(self, collector: Collector) -> None:
        self._task = asyncio.create_task(self._run(collector), name="summary")
        self._task.add_done_callback(lambda _: collector.failed.set())  # nobody reads it any more: `| head`

    async def _run(self, collector: Collector) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self.seconds
            await asyncio.sleep(due - loop.time())
            due = max(due, loop.time() - self.seconds)  # not one line a missed time where the reader stood still
            await self._print(self.lines(collector.clock.now(), list(collector.pipeline.lanes)))

    async def _print(self, text: str) -> None:
        await self._printer.call(lambda: print_now(text))

    def lines(self, now: int, instruments: list[str]) -> str:
        """The lines of what came since the last ones; `instruments` have one each in any case."""
        names = sorted({*instruments, *self._sums})
        width = max(map(len, names), default=0)
        time = iso(now // SECOND * SECOND)[:19] + "Z"
        said = ((name, self._sums[name].line() if name in self._sums else "trades 0") for name in names)
        text = "".join(f"{time}  {name:{width}}  {line}\n" for name, line in said)
        self._sums.clear()
        return text

    async def close(self, now: int) -> None:
        """The rest, where there is any. Raises what ended the printing."""
        try:
            if self._task is not None:
                self._task.cancel()
                for error in await asyncio.gather(self._task, return_exceptions=True):
                    if isinstance(error, Exception):
                        raise error
            if self._sums:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await self._print(self.lines(now, []))
        finally:
            self._printer.stop()


def print_now(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
