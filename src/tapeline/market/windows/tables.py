"""Windows as an Arrow table, a row each: for pandas, polars, DuckDB."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tapeline.errors import UsageError
from tapeline.market.windows.results import Window

if TYPE_CHECKING:
    import pyarrow as pa


def table(windows: Iterable[Window], *, latest: bool = True) -> "pa.Table":
    """Columns: `key`, `instrument`, `start`, `end`, `ts_recv` (int64, ns), `records`, `complete`, `revision`, `flags`,
    `retracted`, `dropped`, then the aggregates. `latest`: of each window its last revision, and none that was retracted, by
    start; else all as they came.
    """
    import pyarrow as pa

    rows = list(windows)
    if latest:
        last = {(w.key, w.start): w for w in rows}
        rows = sorted((w for w in last.values() if not w.retracted), key=lambda w: w.start)
    kinds: dict[str, Any] = {
        "key": None, "instrument": pa.string(), "start": pa.int64(), "end": pa.int64(), "ts_recv": pa.int64(),
        "records": pa.int64(), "complete": pa.bool_(), "revision": pa.int64(), "flags": pa.int32(), "retracted": pa.bool_(),
        "dropped": pa.int64(),
    }  # fmt: skip
    columns = {name: pa.array([getattr(w, name) for w in rows], kind) for name, kind in kinds.items() if name != "key"}
    keys = [w.key for w in rows]
    key = pa.array(keys if len({type(k) for k in keys}) < 2 else list(map(str, keys)), None if rows else pa.string())
    names = dict.fromkeys(name for w in rows for name in w.values)
    values = {name: _column(name, [w.values.get(name) for w in rows]) for name in names}
    return pa.table({"key": key, **columns, **values})


def _column(name: str, values: list[Any]) -> "pa.Array":
    """What a user's function gave, which may be anything."""
    import pyarrow as pa

    if not isinstance(name, str):
        raise UsageError(f"a function gives {name!r} for the name of a column: write a text")
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError) as e:
        raise UsageError(
            f"the values of {name!r} are no column: {e}; have the function return numbers, or always one kind"
        ) from e
