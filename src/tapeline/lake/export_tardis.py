"""CSV files as Tardis.dev's downloadable ones: for programs that read those. docs.tardis.dev, "downloadable CSV files", data types.

    trades, liquidations   exchange,symbol,timestamp,local_timestamp,id,side,price,amount
    incremental_book_L2    exchange,symbol,timestamp,local_timestamp,is_snapshot,side,price,amount      a row a level
    quotes                 exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount
    book_snapshot_N        exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount,…
                           after each update that changed one of the best N levels; best first, empty where a side has fewer

A span that begins in the middle of a session begins with the book at that moment, as a snapshot. Times are whole microseconds: what
is below is cut off. `exchange` and `symbol` are Tardis' and the venue's own names, as far as they
follow from ours. An unknown number is empty. Rows come in the order of making. Lost beside that: flags, update ids, whether a book
is proved (updates that never were are left out), conditions of trades.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tapeline.engine.connections import is_simulated, real_name
from tapeline.errors import UsageError
from tapeline.events import BookUpdate, Event, Liquidation, Quote, Trade
from tapeline.instruments import split_id
from tapeline.lake import opening, outputs, rows
from tapeline.lake.exporting import Exported, Told, nothing
from tapeline.lake.rows import Selection
from tapeline.market.book import Book
from tapeline.venues.tardis_names import exchange_and_symbol

TYPES = ("trades", "incremental_book_L2", "quotes", "book_snapshot_N", "liquidations")
HEAD = "exchange,symbol,timestamp,local_timestamp"
_SNAPSHOT = re.compile(r"book_snapshot_([1-9]\d{0,3})")
_PRINTS = f"{HEAD},id,side,price,amount"
Lines = Callable[[Any], Iterable[str]]


def names_of(instrument: str) -> tuple[str, str]:
    """Tardis' names. A simulated market keeps its own label, so that nobody takes it for the real one."""
    label = split_id(instrument)[0]
    exchange, symbol = exchange_and_symbol(*split_id(real_name(instrument) if is_simulated(label) else instrument))
    return (label if is_simulated(label) else exchange), symbol


def export(
    data: Path, kind: str, instrument: str, start: int | None, end: int | None, target: str, told: Told = nothing
) -> Exported:
    """One of TYPES of one instrument. Raises UsageError for another type, else as `exporting.export`."""
    selection, head, lines = _plan(data, kind, instrument, start, end)
    front = "{},{}".format(*names_of(instrument))
    done = Exported()
    with outputs.opened(target) as file, outputs.packed(file, target) as out:
        out.write(f"{head}\n".encode())
        for count, events in _events(data, selection, instrument, start, end):
            text = [f"{front},{line}\n" for event in events for line in lines(event)]
            out.write("".join(text).encode())
            done.rows += len(text)
            told(count)
    done.bytes = file.bytes
    return done


def _events(
    data: Path, selection: Selection | None, instrument: str, start: int | None, end: int | None
) -> Iterator[tuple[int, list[Any]]]:
    """(rows read, events) a batch at a time, in the order of making; without a selection, what makes the books of the span."""
    if selection is None:
        for count, found in opening.updates(data, instrument, start, end):
            yield count, [update for _, update in found]
        return
    for batch in rows.batches(data, selection, "made"):
        yield batch.num_rows, rows.events(selection.event_type, batch)


def _plan(data: Path, kind: str, instrument: str, start: int | None, end: int | None) -> tuple[Selection | None, str, Lines]:
    names = (instrument,)
    if kind in ("trades", "liquidations"):
        return Selection(kind, names, start, end), _PRINTS, _print
    if kind == "quotes":
        where = f"origin = '{_origin(data, names, start, end)}'"
        return Selection("quotes", names, start, end, where), f"{HEAD},ask_amount,ask_price,bid_price,bid_amount", _quote
    if kind == "incremental_book_L2":
        return None, f"{HEAD},is_snapshot,side,price,amount", _update
    if found := _SNAPSHOT.fullmatch(kind):
        best = BestLevels(int(found[1]))
        return None, f"{HEAD},{best.head}", best.lines
    raise UsageError(f"--type {kind}: there are {', '.join(TYPES)} (N as in book_snapshot_25)")


def _origin(data: Path, names: tuple[str, ...], start: int | None, end: int | None) -> str:
    """The venue's own quotes where there are any, else those of our book."""
    first = next(rows.batches(data, Selection("quotes", names, start, end, "origin = 'venue'")), None)
    return "venue" if first is not None else "book"


def _times(e: Event) -> str:
    return f"{e.ts_event // 1000},{e.ts_recv // 1000}"


def _number(x: float | None) -> str:
    if x is None:
        return ""
    return repr(int(x)) if x.is_integer() and abs(x) < 1e15 else repr(x)


def _text(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(c in value for c in ',"\n') else value


def _print(t: Trade | Liquidation) -> Iterator[str]:
    yield f"{_times(t)},{_text(t.id)},{t.side},{_number(t.price)},{_number(t.size)}"


def _quote(q: Quote) -> Iterator[str]:
    yield f"{_times(q)},{_number(q.ask_size)},{_number(q.ask)},{_number(q.bid)},{_number(q.bid_size)}"


def _update(m: BookUpdate) -> Iterator[str]:
    front = f"{_times(m)},{'true' if m.snapshot else 'false'}"
    for side, levels in (("bid", m.bids), ("ask", m.asks)):
        for price, size in levels:
            yield f"{front},{side},{_number(price)},{_number(size)}"


class BestLevels:
    """The best `n` levels a side, after each update that changed them."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._book = Book()
        self._last = ""

    @property
    def head(self) -> str:
        sides = ("asks", "bids")
        return ",".join(f"{side}[{i}].{what}" for i in range(self._n) for side in sides for what in ("price", "amount"))

    def lines(self, m: BookUpdate) -> Iterator[str]:
        if m.snapshot:
            self._book.replace(m.bids, m.asks)
        else:
            self._book.apply(m.bids, m.asks)
        bids, asks = self._book.depth(self._n)
        cells = []
        for i in range(self._n):
            for side in (asks, bids):
                price, size = side[i] if i < len(side) else (None, None)
                cells += [_number(price), _number(size)]
        text = ",".join(cells)
        if text != self._last:
            self._last = text
            yield f"{_times(m)},{text}"
