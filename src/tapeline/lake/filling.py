"""What is made of bars once they are there: Heikin-Ashi, and bars for the intervals in which nothing was traded.

Such a bar is flagged `FILLED`. Its four prices are the close before it, its sums are 0, its `vwap` is not known. It is complete
where the bars around it are: every hole touches the bar of the last trade before it and that of the first after it. Bars are filled
in from the first that there is to the last one, on the grid of their kind: where an exchange is closed there is none.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from tapeline.errors import UsageError
from tapeline.events import Flag
from tapeline.lake.grids import Grid
from tapeline.market.barkinds.views import Prices, heikin_ashi

MOST = 5_000_000
FILLED, SIMULATED = int(Flag.FILLED), int(Flag.SIMULATED)
PRICES = ("open", "high", "low", "close")
NOTHING = ("volume", "buy_volume", "sell_volume", "notional")


def filled(table: pa.Table, grid: Grid) -> pa.Table:
    """Bars of time, by time, with those between them. Raises UsageError where they would be more than `MOST`."""
    empty: list[tuple[int, int, int]] = []  # the row before, begin, end
    ends, opens = table["ts_event"].to_pylist(), table["ts_open"].to_pylist()
    for row, (end, after) in enumerate(zip(ends, opens[1:], strict=False)):
        for begin, stop in _between(grid, end, after):
            empty.append((row, begin, stop))
        if len(empty) > MOST:
            raise UsageError(f"more than {MOST:,} bars of {grid.name} would be filled in: ask for a shorter span")
    if not empty:
        return table
    return pa.concat_tables([table, _made(table, empty)]).sort_by("ts_open")


def _between(grid: Grid, end: int, after: int) -> Iterator[tuple[int, int]]:
    while end < after and (span := grid.next(end, after)) is not None and span[0] < after:
        yield span
        end = span[1]


def _made(table: pa.Table, empty: Sequence[tuple[int, int, int]]) -> pa.Table:
    before = table.take([row for row, _, _ in empty])
    complete = table["complete"].to_pylist()
    values: dict[str, Any] = {
        **dict.fromkeys(PRICES, before["close"]),
        **{name: [None if told is None else 0.0 for told in before[name].to_pylist()] for name in NOTHING},
        "ts_open": [begin for _, begin, _ in empty],
        "ts_event": [end for _, _, end in empty],
        "flags": [flags & SIMULATED | FILLED for flags in before["flags"].to_pylist()],
        "vwap": [None] * len(empty),
        "trades": [0] * len(empty),
        "revision": [0] * len(empty),
        "complete": [complete[row] and complete[row + 1] for row, _, _ in empty],
    }
    columns = []
    for field in table.schema:
        made = values.get(field.name, before[field.name])
        columns.append(made if isinstance(made, pa.ChunkedArray) else pa.array(made, field.type))
    return pa.Table.from_arrays(columns, schema=table.schema)


def heikin_ashi_of(table: pa.Table, name: str) -> pa.Table:
    """The view of these bars, by time; everything but prices and name is theirs."""
    rows = zip(*(table[column].to_pylist() for column in PRICES), strict=True)
    made = list(heikin_ashi(Prices(*row) for row in rows))
    for column in PRICES:
        at = table.schema.get_field_index(column)
        table = table.set_column(at, table.schema.field(at), pa.array([getattr(p, column) for p in made], pa.float64()))
    at = table.schema.get_field_index("interval")
    return table.set_column(at, table.schema.field(at), pa.array([name] * len(table), pa.string()))
