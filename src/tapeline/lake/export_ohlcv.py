"""Bars as pandas and `backtesting.py` want them: `Open, High, Low, Close, Volume` by a UTC time, the bar's open.

`Time` is the first column of CSV files (`pandas.read_csv(…, index_col=0, parse_dates=True)`), and the index that
`pandas.read_parquet` and `read_feather` find by themselves. Intervals in which nothing was traded have no row. A bar that a gap or
the edge of a recording touches is there unless only complete ones are asked for; how many there are is told.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tapeline.clock import iso
from tapeline.lake import outputs, rows
from tapeline.lake.bars import bars, named
from tapeline.lake.catalogue import Catalogue, fresh, read
from tapeline.lake.exporting import Exported, Told, nothing
from tapeline.lake.layout import DAY
from tapeline.lake.outputs import Counted
from tapeline.lake.rows import Selection
from tapeline.lake.views import quoted
from tapeline.market.barkinds.specs import BarSpec

MOST_BARS = 10_000
"""Of a span, where a day has fewer."""
FIELDS = ("open", "high", "low", "close", "volume")
NAMES = tuple(name.capitalize() for name in FIELDS)


def _described(name: str, kind: str, numpy: str, **more: str) -> dict[str, Any]:
    return {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": more or None}


_PANDAS = {
    "index_columns": ["Time"],
    "column_indexes": [],
    "columns": [
        *(_described(name, "float64", "float64") for name in NAMES),
        _described("Time", "datetimetz", "datetime64[ns]", timezone="UTC"),
    ],
    "pandas_version": "2.0.0",
}
"""What makes `Time` the index of the frame (pandas' documentation for developers, on its metadata in Parquet files)."""
SCHEMA = pa.schema(
    [pa.field("Time", pa.timestamp("ns", "UTC"), nullable=False), *(pa.field(name, pa.float64()) for name in NAMES)],
    metadata={"pandas": msgspec.json.encode(_PANDAS)},
)


def export(
    data: Path,
    instrument: str,
    interval: str,
    start: int | None,
    end: int | None,
    form: str,
    target: str,
    *,
    origin: str = "trades",
    complete: bool = False,
    told: Told = nothing,
) -> Exported:
    """The bars that begin in [`start`, `end`). `origin`: made from trades, or the venue's own candles. As `exporting.export`."""
    asked, done = named(interval), Exported()
    where = f"interval = {quoted(asked.text)} AND origin = 'venue'"
    candles = (pa.table(b) for b in rows.batches(data, Selection("bars", (instrument,), start, end, where)))
    found = candles if origin == "venue" else _made(data, instrument, asked, start, end)
    with outputs.opened(target) as file, _writer(form, file, target) as write:
        for bars_of in found:
            table, open_bars = _table(bars_of, complete=complete)
            write(table)
            done.rows += len(table)
            told(len(bars_of))
            if open_bars:
                _add(done, open_bars, complete=complete)
    done.bytes = file.bytes
    return done


def _made(data: Path, instrument: str, asked: BarSpec, start: int | None, end: int | None) -> Iterator[pa.Table]:
    """The bars from trades; those of time a span at a time, so that a year of seconds fits into memory. The others are fewer, and
    are made from a session's beginning anyhow.
    """
    if (slots := asked.slots) is None:
        yield fresh(data, partial(_span, instrument, asked.text, start, end))
        return
    catalogue = read(data)
    files = [f for kind in ("trade", "bar") for f in catalogue.chosen(kind, (instrument,), start, end)]
    if not files:
        return
    at = max(min(f.first_ts for f in files) - 2 * slots.width, start if start is not None else 0)
    last = max(f.last_ts for f in files) + 1
    until, step = last if end is None else min(last, end), max(DAY, MOST_BARS * slots.width)
    while at < until:
        yield fresh(data, partial(_span, instrument, asked.text, at, min(at + step, until)))
        at += step


def _span(instrument: str, interval: str, start: int | None, end: int | None, catalogue: Catalogue) -> pa.Table:
    return bars(catalogue, instrument, interval, start=start, end=end)


def _table(batch: pa.Table, *, complete: bool) -> tuple[pa.Table, int]:
    """Its rows, and how many of the bars may lack trades."""
    open_bars = int(pc.sum(pc.invert(batch.column("complete"))).as_py() or 0)
    if complete:
        batch = batch.filter(batch.column("complete"))
    time = batch.column("ts_open").cast(pa.timestamp("ns", "UTC"))
    return pa.Table.from_arrays([time, *(batch.column(name) for name in FIELDS)], schema=SCHEMA), open_bars


def _add(done: Exported, n: int, *, complete: bool) -> None:
    if complete:
        done.left_out["bars that may lack trades"] = done.left_out.get("bars that may lack trades", 0) + n
        return
    total = n + sum(int(note.split()[0]) for note in done.notes)
    done.notes[:] = [f"{total} of the bars may lack trades (a gap, or the edge of a recording): --complete leaves them out"]


@contextmanager
def _writer(form: str, file: Counted, target: str) -> Iterator[Any]:
    if form == "csv":
        with outputs.packed(file, target) as out:
            out.write(f"Time,{','.join(NAMES)}\n".encode())
            yield lambda table: out.write(_csv(table))
    elif form == "jsonl":
        with outputs.packed(file, target) as out:
            yield lambda table: out.write(b"".join(msgspec.json.encode(row) + b"\n" for row in _readable(table)))
    elif form == "parquet":
        with pq.ParquetWriter(pa.PythonFile(file, mode="w"), SCHEMA, compression="zstd") as writer:
            yield writer.write_table
    else:
        with pa.ipc.new_file(pa.PythonFile(file, mode="w"), SCHEMA) as writer:
            yield writer.write_table


def _readable(table: pa.Table) -> Iterator[dict[str, Any]]:
    times = table["Time"].cast(pa.int64()).to_pylist()
    columns = [table[name].to_pylist() for name in NAMES]
    for time, *values in zip(times, *columns, strict=True):
        yield {"Time": iso(time).replace(".000000000", ""), **dict(zip(NAMES, values, strict=True))}


def _csv(table: pa.Table) -> bytes:
    lines = (",".join([row["Time"], *("" if row[n] is None else repr(row[n]) for n in NAMES)]) for row in _readable(table))
    return "".join(f"{line}\n" for line in lines).encode()
