"""`tapeline book`: the book of any instant, or one every so often, out of the lake."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Annotated

import msgspec
import pyarrow as pa
from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.options import Data
from tapeline.cli.output import columns, write
from tapeline.cli.tables import FormatOption, OutputOption, form_of, give, readable
from tapeline.errors import UsageError
from tapeline.lake.books import BookAt, By
from tapeline.lake.lake import Lake

SEEN = ("at", "bid", "bid_size", "ask", "ask_size", "levels", "state")


def book(
    instrument: Annotated[str, Parameter(help="As in binance:BTC-USDT.")],
    *,
    at: Annotated[str | None, Parameter(help="The instant; ISO time, UTC.", show_default=False)] = None,
    from_: Annotated[
        str | None, Parameter(name="--from", help="Books from this instant on, with --to.", show_default=False)
    ] = None,
    to: Annotated[str | None, Parameter(help="… before this one.", show_default=False)] = None,
    every: Annotated[str, Parameter(help="Time between two of those, as in 100ms, 1s or 5m.")] = "1s",
    depth: Annotated[int, Parameter(help="Levels a side.")] = 10,
    by: Annotated[By, Parameter(help="received: by our clock, what was known then; event: by the venue's clock.")] = "received",
    format_: FormatOption = None,
    output: OutputOption = None,
    data: Data = None,
) -> None:
    """The order book at any instant of a recording, level for level what was shown then."""
    if (at is None) == (from_ is None or to is None) or (at is not None and (from_ is not None or to is not None)):
        raise UsageError("say either --at, as in --at 2026-11-21T10:00:00.5, or --from and --to")
    form = form_of(format_, output)
    lake = Lake(context.load({"data": data}).settings.data)
    if at is None:
        table = lake.books(instrument, from_ or "", to or "", every, depth=depth, by=by)
        give(_touches(table) if form == "table" else _wide(table, depth) if form == "csv" else table, form, output, SEEN)
        return
    found = lake.book(instrument, at, depth=depth, by=by)
    if form == "table" and output is None:
        write(_drawn(found))
    else:
        give(_row(found) if form in {"json", "arrow", "parquet"} else _levels(found), form, output)


def _row(found: BookAt) -> pa.Table:
    """One row; levels as the event `book` has them."""
    level = pa.list_(pa.struct([("price", pa.float64()), ("size", pa.float64())]))
    values = msgspec.structs.asdict(found)
    for side in ("bids", "asks"):
        values[side] = pa.array([[{"price": p, "size": s} for p, s in values[side]]], level)
    kinds = {name: pa.int64() for name in ("ts_event", "ts_recv", "seq")}
    kinds |= {name: pa.float64() for name in ("bid_floor", "ask_ceiling")}
    return pa.table({n: v if isinstance(v, pa.Array) else pa.array([v], kinds.get(n)) for n, v in values.items()})


def _levels(found: BookAt) -> pa.Table:
    """A row a level, for what has no lists."""
    rows = [("bid", i, *level) for i, level in enumerate(found.bids, 1)]
    rows += [("ask", i, *level) for i, level in enumerate(found.asks, 1)]
    columns_ = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    kinds = {"side": pa.string(), "level": pa.int64(), "price": pa.float64(), "size": pa.float64()}
    return pa.table({name: pa.array(c, kind) for (name, kind), c in zip(kinds.items(), columns_, strict=True)})


def _wide(table: pa.Table, depth: int) -> pa.Table:
    """A column a level, for what has no lists: `bid_1`, `bid_size_1`, `ask_1`, `ask_size_1`, `bid_2`, …"""
    found = {name: table[name] for name in table.column_names if not pa.types.is_list(table[name].type)}
    for i in range(depth):
        for side in ("bid", "ask"):
            for name, column in ((side, f"{side}_prices"), (f"{side}_size", f"{side}_sizes")):
                values = [row[i] if i < len(row) else None for row in table[column].to_pylist()]
                found[f"{name}_{i + 1}"] = pa.array(values, pa.float64())
    return pa.table(found)


def _drawn(found: BookAt) -> str:
    """A ladder for the eye: best level first, bids to the left."""
    seq = "" if found.seq is None else f", update {found.seq}"
    heard = "" if found.ts_recv is None else f", last update {readable(found.ts_recv)}"
    told = found.state if not found.reason else f"{found.state}: {found.reason}"
    head = f"{found.instrument} at {readable(found.at)}: {told}{heard}{seq}\n"
    sides = zip_longest(found.bids, found.asks, fillvalue=None)
    rows: list[Sequence[str]] = [("bid size", "bid", "ask", "ask size")]
    for bid, ask in sides:
        left = ("", "") if bid is None else (_text(bid[1]), _text(bid[0]))
        rows.append((*left, *(("", "") if ask is None else (_text(ask[0]), _text(ask[1])))))
    return head + columns(rows)


def _touches(table: pa.Table) -> pa.Table:
    """For the eye: the touch of each book, and how many levels there are of it."""
    first = {
        name: [values[0] if values else None for values in table[column].to_pylist()]
        for name, column in (("bid", "bid_prices"), ("bid_size", "bid_sizes"), ("ask", "ask_prices"), ("ask_size", "ask_sizes"))
    }
    counts = [
        f"{len(b)}+{len(a)}" for b, a in zip(table["bid_prices"].to_pylist(), table["ask_prices"].to_pylist(), strict=True)
    ]
    told = [s if not r else f"{s}: {r}" for s, r in zip(table["state"].to_pylist(), table["reason"].to_pylist(), strict=True)]
    arrays = {name: pa.array(values, pa.float64()) for name, values in first.items()}
    return pa.table({"at": table["at"], **arrays, "levels": pa.array(counts), "state": pa.array(told)})


def _text(x: float) -> str:
    return f"{x:.15g}"
