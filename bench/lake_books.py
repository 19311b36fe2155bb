"""Books at random instants of one instrument-day out of the lake, with the derived snapshots and without, and what those cost.

    python -m bench.lake_books [--short] [--json]

Aim: the book at any instant of a day in under 200 ms. The day is made up after the recorded futures session: ten updates a second of
some 68 levels each around a moving price, in a book of some thousands of levels that began with a snapshot of 1,000 a side; files
and row groups as compaction leaves them. Medians of 40 instants.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from tapeline.events import BookUpdate, Flag
from tapeline.lake import books, catalogue, scan, tables
from tapeline.lake.intervals import interval_of
from tapeline.lake.layout import STATE_FILE, Partition, root
from tapeline.lake.merging import ROW_GROUP_BYTES
from tapeline.lake.snapshots import SnapshotMaker
from tapeline.lake.state import LakeState
from tapeline.lake.store import Store

NAME = "binance-usdm:BTC-USDT-PERP"
DAY0 = 1_795_219_200_000_000_000  # 2026-11-21
HOUR = 3_600_000_000_000
STEP = 100_000_000
LEVELS = 34  # a side and update
PLACE = Partition("book", "binance-usdm", "BTC-USDT-PERP", "2026-11-21")


def hour(number: int, rng: np.random.Generator, count: int) -> pa.Table:
    """Updates of one hour; the first one of all is a snapshot."""
    ts = DAY0 + number * HOUR + np.arange(count, dtype=np.int64) * STEP
    mid = 600_000 + np.round(3000 * np.sin(ts / 1e13)).astype(np.int64)
    schema = tables.file_schema(BookUpdate)
    first = number == 0
    columns = {}
    for side, sign in (("bids", -1), ("asks", 1)):
        away = np.minimum(rng.exponential(300, (count, LEVELS)).astype(np.int64) + 1, 3000)
        prices = ((mid[:, None] + sign * away) / 10).ravel()
        sizes = np.where(rng.random(count * LEVELS) < 0.4, 0.0, np.round(rng.exponential(2, count * LEVELS), 3))
        offsets = np.arange(count + 1, dtype=np.int32) * LEVELS
        if first:
            prices = np.concatenate([(mid[0] + sign * np.arange(1, 1001)) / 10, prices])
            sizes = np.concatenate([np.ones(1000), sizes])
            offsets = np.concatenate([[0], offsets + 1000]).astype(np.int32)
        struct = pa.StructArray.from_arrays([prices, sizes], fields=list(schema.field(side).type.value_type))
        columns[side] = pa.ListArray.from_arrays(pa.array(offsets), struct, type=schema.field(side).type)
    if first:
        ts = np.concatenate([[DAY0], ts])
    rows = len(ts)
    n = number * 1_000_000 + np.arange(rows, dtype=np.int64) * 3
    snapshot = np.zeros(rows, np.bool_)
    snapshot[0] = first
    plain = {
        "ts_event": ts, "ts_recv": ts + 5_000_000, "flags": np.where(snapshot, int(Flag.SNAPSHOT), 0).astype(np.int32),
        "snapshot": snapshot, "seq": n + 1, "prev_seq": n, "n": n,
    }  # fmt: skip
    columns |= {name: pa.array(values) for name, values in plain.items()}
    columns |= {"instrument_id": tables.constant(NAME, rows), "session_id": tables.constant("s", rows)}
    return pa.table([columns.get(f.name, pa.nulls(rows, f.type)) for f in schema], schema=schema)


def write(data: Path, hours: int, count: int) -> int:
    """The lake; its bytes."""
    place, rng, size = root(data), np.random.default_rng(1), 0
    (place / PLACE.path).mkdir(parents=True)
    state = LakeState(place / STATE_FILE)
    for number in range(hours):
        table, path = hour(number, rng, count), f"{PLACE.path}/{number}.parquet"
        groups = max(1, table.nbytes // ROW_GROUP_BYTES)
        import pyarrow.parquet as pq

        pq.write_table(
            table, place / path, compression="zstd", compression_level=1, row_group_size=-(-len(table) // groups),
            **tables.options(table.schema),
        )  # fmt: skip
        made = (place / path).stat().st_size
        state.intend("s", number, len(table), [], [tables.described(tables.Part(PLACE, table), path, made)])
        size += made
    state.close()
    return size


def instants(data: Path, span: int, count: int) -> dict[str, float]:
    r, took, cold = random.Random(2), [], []
    for i in range(count):
        at = DAY0 + r.randrange(span)
        if i % 8 == 0:
            scan.groups.cache_clear()
        began = time.perf_counter()
        books.book(catalogue.read(data), NAME, at)
        (cold if i % 8 == 0 else took).append(time.perf_counter() - began)
    figures = {"median": statistics.median(took), "worst": max(took), "footers not read yet": statistics.median(cold)}
    return {what: round(seconds * 1e3, 1) for what, seconds in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    hours, count = (1, 2_000) if given.short else (24, 36_000)
    span = (hours - 1) * HOUR + count * STEP
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        size = write(data, hours, count)
        result: dict[str, object] = {"updates": hours * count, "levels": hours * count * 2 * LEVELS, "bytes": size}
        if given.short:
            result["without snapshots, ms"] = instants(data, span, 4)
        store = Store(data)
        store.open()
        began = time.perf_counter()
        made = SnapshotMaker(store, lambda: None).run()
        result["making snapshots, s"] = time.perf_counter() - began
        store.close()
        result |= {"snapshots": made.snapshots, "their share of bytes": made.bytes / size}
        result["with snapshots, ms"] = instants(data, span, 40)
        began = time.perf_counter()
        books.books(catalogue.read(data), NAME, DAY0 + span // 2, DAY0 + span // 2 + min(HOUR, span // 2), interval_of("1s"))
        result["an hour, every second, depth 10, s"] = time.perf_counter() - began
    print(json.dumps(result) if given.json else "\n".join(f"{k:36} {v}" for k, v in result.items()))


if __name__ == "__main__":
    main()
