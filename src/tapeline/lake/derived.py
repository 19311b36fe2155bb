"""Derived snapshots of books: files of the lake that hold nothing new and make a book at an instant quick to have.

    kind=book_snapshot/venue=…/instrument=…/date=…

A row is what one session's book was right after event `n`, with everything that `rebuilding.Rebuilt` needs to go on from there.
They are no events: no view shows them, nothing that checks, exports or compacts events reads them, and they may be deleted at any
moment; `snapshots.py` makes them anew.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tapeline.lake import tables
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.rebuilding import Kept
from tapeline.lake.updates import Piece, levels, pieces_of

KIND = "book_snapshot"
_LEVELS = pa.list_(pa.struct([pa.field("price", pa.float64(), nullable=False), pa.field("size", pa.float64(), nullable=False)]))
_PLAIN: dict[str, pa.DataType] = {
    "ts_event": pa.int64(),
    "ts_recv": pa.int64(),
    "session_id": pa.dictionary(pa.int32(), pa.string()),
    "n": pa.int64(),
    "max_levels": pa.int64(),
    "bid_floor": pa.float64(),
    "ask_ceiling": pa.float64(),
    "depth": pa.int64(),
    "bid_sweep": pa.int64(),
    "ask_sweep": pa.int64(),
    "state": pa.string(),
    "reason": pa.string(),
    "seq": pa.int64(),
    "update_ts_event": pa.int64(),
    "update_ts_recv": pa.int64(),
}
SCHEMA = pa.schema(
    [*(pa.field(name, kind) for name, kind in _PLAIN.items()), pa.field("bids", _LEVELS), pa.field("asks", _LEVELS)],
    metadata={"tapeline.derived": KIND, "tapeline.lake": str(tables.VERSION)},
)
KEYS = ("session_id", "n", "ts_event", "ts_recv", "max_levels")
_KEPT = [name for name in Kept.__struct_fields__ if name not in {"bids", "asks"}]


class Snapshot(NamedTuple):
    """`ts_event`, `ts_recv`: the latest times of any update up to `n`; from that instant on it counts."""

    session: str
    n: int
    ts_event: int
    ts_recv: int
    max_levels: int
    kept: Kept


def table(rows: Sequence[Snapshot]) -> pa.Table:
    values = {
        "session_id": pa.array([r.session for r in rows]).dictionary_encode(),
        **{name: [getattr(r, name) for r in rows] for name in ("n", "ts_event", "ts_recv", "max_levels")},
        **{name: [getattr(r.kept, name) for r in rows] for name in _KEPT},
        **{side: tables.levels([getattr(r.kept, side) for r in rows], _LEVELS) for side in ("bids", "asks")},
    }
    columns = [values[f.name] if isinstance(values[f.name], pa.Array) else pa.array(values[f.name], f.type) for f in SCHEMA]
    return pa.Table.from_arrays(columns, schema=SCHEMA).sort_by([("ts_event", "ascending"), ("n", "ascending")])


def write(found: pa.Table, path: Path) -> None:
    """One file, a few snapshots a row group, so that one is read alone. Raises OSError."""
    import pyarrow.parquet as pq

    size = max(1, min(len(found), ROW_GROUP_LEVELS * len(found) // max(1, found.nbytes // 16)))
    pq.write_table(found, path, compression="zstd", compression_level=1, row_group_size=size, **tables.options(SCHEMA))


ROW_GROUP_LEVELS = 100_000


def pieces(catalogue: Catalogue, instrument: str, start: int | None, end: int | None) -> list[Piece]:
    return pieces_of(catalogue, catalogue.chosen(KIND, [instrument], start, end))


def latest(found: Sequence[Piece], session: str, max_levels: int, column: str, at: int) -> Snapshot | None:
    """The last snapshot of the session whose `column` (`ts_recv`, `ts_event` or `n`) is at most `at`."""
    best: tuple[int, Piece] | None = None
    for piece in sorted(found, key=lambda p: -int(p.most("n"))):
        if best is not None and piece.most("n") <= best[0]:
            break
        if not piece.group.may_hold("session_id", session) or piece.least(column) > at:
            continue
        for r in piece.read(KEYS).to_pylist():
            mine = r["session_id"] == session and r["max_levels"] == max_levels and r[column] <= at
            if mine and (best is None or r["n"] > best[0]):
                best = r["n"], piece
    return None if best is None else _read(best[1], session, best[0])


def _read(piece: Piece, session: str, n: int) -> Snapshot:
    found = piece.read(SCHEMA.names)
    at = next(i for i, r in enumerate(found.select(KEYS).to_pylist()) if r["n"] == n and r["session_id"] == session)
    row = found.slice(at, 1)
    (plain,) = row.drop_columns(["bids", "asks"]).to_pylist()
    kept = Kept(next(levels(row["bids"])), next(levels(row["asks"])), *(plain[name] for name in _KEPT))
    return Snapshot(session, n, plain["ts_event"], plain["ts_recv"], plain["max_levels"], kept)
