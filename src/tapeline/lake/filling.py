"""What is made of a table of bars: market/barkinds/views.py for the lake's readers."""

from collections.abc import Iterable
from itertools import islice

import pyarrow as pa

from tapeline.errors import UsageError
from tapeline.events import Bar, arrow_schema
from tapeline.market.barkinds import views
from tapeline.market.barkinds.specs import BarSpec

MOST = 5_000_000


def filled(table: pa.Table, spec: BarSpec) -> pa.Table:
    """Bars of time, by time, with those between them in which nothing was traded. Raises UsageError where the kind does not go by
    time, or where they would be more than `MOST`.
    """
    found = list(islice(views.filled(_bars(table), spec), MOST + 1))
    if len(found) > MOST:
        raise UsageError(f"more than {MOST:,} bars of {spec.text} with those filled in: ask for a shorter span")
    return table_of(found)


def heikin_ashi(table: pa.Table) -> pa.Table:
    return table_of(list(views.heikin_ashi(_bars(table))))


def _bars(table: pa.Table) -> Iterable[Bar]:
    columns = (table[name].to_pylist() for name in Bar.__struct_fields__)
    return map(Bar, *columns)


def table_of(bars: list[Bar]) -> pa.Table:
    schema = arrow_schema(Bar)
    return pa.Table.from_arrays([pa.array([getattr(bar, f.name) for bar in bars], f.type) for f in schema], schema=schema)
