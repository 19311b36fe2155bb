"""Which files a query can need: the catalogue asked with the query's own filters, before a single file is opened.

DuckDB plans the query once over empty tables of the views' names (`explain`). What its optimiser pushes down to each scan is, by
then, plain text with everything constant computed: `(instrument = 'binance:BTC-USDT')`, `(ts_event >= 1795255200000000000)`. Those
are read back through DuckDB's own parser and held against what the catalogue says of each file: its instrument, its date, its
first and last time. A file is left out only where a filter proves that no row of it can pass; a filter that is not understood
proves nothing, and a view that the plan does not mention though the query does gets all its files. The query itself keeps all its
filters: nothing here can make an answer wrong but leaving out too much.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from tapeline.lake.catalogue import Catalogue
from tapeline.lake.layout import time_field
from tapeline.lake.state import LakeFile
from tapeline.lake.views import VIEWS, tag

Value = str | int | Decimal
Ranges = Mapping[str, tuple[Value, Value]]
"""Column → least and greatest value of a file's rows. Times are ns, `time` µs, `date` ISO text."""
Test = Callable[[Ranges], bool]
"""Whether a file of these ranges may have a row that passes."""
Parse = Callable[[str], Any]
"""SQL text → DuckDB's syntax tree of it, None where it has none."""

_NUMBERS = frozenset({"ts_event", "ts_open", "time"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MIRRORED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "=": "="}
_COMPARISONS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
}
_HOLDS: dict[str, Callable[[Any, Any, Any], bool]] = {
    "=": lambda low, high, c: low <= c <= high,
    ">": lambda _, high, c: high > c,
    ">=": lambda _, high, c: high >= c,
    "<": lambda low, _, c: low < c,
    "<=": lambda low, _, c: low <= c,
}


def wanted(plan: str, mentioned: set[str], parse: Parse) -> dict[str, list[list[Test]]]:
    """View that is needed → the tests of each scan of it. `plan`: EXPLAIN (FORMAT JSON) of the query; `mentioned`: views that
    it names.
    """
    scans = list(_scans(json.loads(plan)))
    found: dict[str, list[list[Test]]] = {}
    for view in VIEWS:
        own = [filters for table, filters in scans if table == view]
        if own or view in mentioned:
            found[view] = [[t for t in (_test(f, parse) for f in filters) if t] for filters in own] or [[]]
    return found


def files(catalogue: Catalogue, view: str, scans: Sequence[Sequence[Test]]) -> list[LakeFile]:
    """The files of a view that any of its scans may find a row in, by time."""
    kind = tag(view)
    found = (f for f in catalogue.files if f.kind == kind and _may(scans, ranges(view, f)))
    return sorted(found, key=lambda f: (f.first_ts, f.path))


def _may(scans: Sequence[Sequence[Test]], known: Ranges) -> bool:
    return any(all(test(known) for test in scan) for scan in scans)


def ranges(view: str, file: LakeFile) -> Ranges:
    """What the catalogue knows of a file's rows, by the view's columns. A status' `venue` is its own: nothing is known of it."""
    instrument = f"{file.venue}:{file.symbol}" if file.symbol else ""
    same: dict[str, Value] = {"instrument": instrument, "symbol": file.symbol, "date": file.date}
    if view != "status":
        same["venue"] = file.venue
    times: dict[str, tuple[Value, Value]] = {
        time_field(VIEWS[view]): (file.first_ts, file.last_ts),
        "time": (file.first_ts // 1000, file.last_ts // 1000),
    }
    return {name: (value, value) for name, value in same.items()} | times


def _scans(nodes: Sequence[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Table and pushed-down filters of every scan in a plan."""
    for node in nodes:
        info = node.get("extra_info") or {}
        table = info.get("Table")
        if isinstance(table, str):
            filters = info.get("Filters", [])
            yield table.rpartition(".")[2], [filters] if isinstance(filters, str) else list(filters)
        yield from _scans(node.get("children", []))


def _test(text: str, parse: Parse) -> Test | None:
    return _compiled(parse(text.removeprefix("optional: ")))


def _compiled(node: Any) -> Test | None:
    """None where nothing can be proved."""
    if not isinstance(node, dict):
        return None
    kind = node.get("type")
    if kind == "CONJUNCTION_AND":
        tests = [t for t in map(_compiled, node["children"]) if t]
        return (lambda r: all(t(r) for t in tests)) if tests else None
    if kind == "CONJUNCTION_OR":
        each = [_compiled(child) for child in node["children"]]
        known = [t for t in each if t]
        return (lambda r: any(t(r) for t in known)) if len(known) == len(each) else None
    if kind == "COMPARE_IN":
        return _in(node.get("children", []))
    if kind in _COMPARISONS:
        return _comparison(_COMPARISONS[kind], node.get("left"), node.get("right"))
    return None


def _comparison(sign: str, left: Any, right: Any) -> Test | None:
    column, constant = _column(left), right
    if column is None:
        column, constant, sign = _column(right), left, _MIRRORED[sign]
    value = None if column is None else _constant(column, constant)
    if column is None or value is None:
        return None
    holds = _HOLDS[sign]
    return lambda r: column not in r or holds(*r[column], value)


def _in(children: Sequence[Any]) -> Test | None:
    """`column IN (constants)`: the column is the first of the children."""
    tests = [_comparison("=", children[0], child) for child in children[1:]]
    known = [t for t in tests if t]
    return (lambda r: any(t(r) for t in known)) if known and len(known) == len(tests) else None


def _column(node: Any) -> str | None:
    names = node.get("column_names") if isinstance(node, dict) else None
    return names[-1] if isinstance(names, list) and names else None


def _constant(column: str, node: Any) -> Value | None:
    """A constant in the column's unit, None where it is of another type or no constant."""
    cast = ""
    if isinstance(node, dict) and node.get("type") == "OPERATOR_CAST":
        cast, node = str((node.get("type_expr") or {}).get("type_name")), node.get("child")
    literal = node.get("literal") if isinstance(node, dict) else None
    if not isinstance(literal, dict):
        return None
    text, is_text = str(literal.get("text")), literal.get("kind") == "STRING"
    if column == "time":
        return _micros(text) if is_text and cast in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") else None
    if column == "date":
        return text if is_text and cast == "DATE" and _DATE.fullmatch(text) else None
    if column in _NUMBERS:
        return None if is_text else _number(text)
    return text if is_text and cast in ("", "VARCHAR") else None


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _micros(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # infinity, years before Christ
        return None
    if moment.tzinfo is None:
        return None
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
