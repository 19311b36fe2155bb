"""What windows are made to say: `first(price)`, `vwap`, `p95(spread)`, or a function of the user's own.

    first last min max mean sum std var median count distinct (field)      p90(field), quantile(field, 0.9)
    count volume buy_volume sell_volume notional vwap                      of trades, without a field

`sum`, `volume`, `notional`, `mean`, `vwap`, `var` and `std` come from exact sums of the decimals that the floats stand for,
rounded once. `var` and `std` divide by n − 1, as pandas does. Quantiles interpolate linearly between the two nearest, as
NumPy's. `count` without a field is how many records there are, with one how many have it. What cannot be known (a mean of
nothing) is None.

A function gets NumPy arrays by event time, `times` (int64, ns) and the columns (float64, NaN where not known), and returns a
number, any value, or a dict of features, each of which becomes one of the window's values.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from tapeline.errors import UsageError
from tapeline.events import Event, Liquidation, Metrics, Quote, Trade, bare_type, fields
from tapeline.market.windows.cells import Cell, Chunk, Distinct, First, Last, Least, Most, Rows, Sum, Values
from tapeline.market.windows.results import OWN

Function = Callable[..., Any]
Made = str | Function
CellKey = tuple[Any, ...]
_NUMBERS = (int, float, bool)
_DERIVED = {"mid": ("bid", "ask"), "spread": ("bid", "ask")}


class Aggregate(NamedTuple):
    """`cells`: what it needs added up; `finish` makes its value of them, in that order."""

    name: str
    text: str
    cells: tuple[CellKey, ...]
    finish: Callable[..., Any]


def _value(cell: First | Last | Least | Most) -> float | None:
    return cell.value


def _total(cell: Sum) -> float | None:
    return cell.total / cell.power if cell.n else None


def _amount(cell: Sum) -> float:
    """A volume: nothing traded is 0, and known."""
    return cell.total / cell.power


def _mean(cell: Sum) -> float | None:
    return cell.total / (cell.power * cell.n) if cell.n else None


def _var(cell: Sum, squares: Sum) -> float | None:
    """(n Σx² − (Σx)²) / (n (n − 1)), in whole numbers up to the division."""
    n, digits = cell.n, max(2 * cell.digits, squares.digits)
    if n < 2:
        return None
    power: int = 10**digits
    above: int = n * squares.total * 10 ** (digits - squares.digits) - cell.total**2 * 10 ** (digits - 2 * cell.digits)
    return above / (n * (n - 1) * power)


def _std(cell: Sum, squares: Sum) -> float | None:
    found = _var(cell, squares)
    return None if found is None else math.sqrt(found)


def _vwap(notional: Sum, volume: Sum) -> float | None:
    price: int = 10 ** (notional.digits - volume.digits) if notional.digits >= volume.digits else 0
    if not volume.total:
        return None
    if price:
        return notional.total / (volume.total * price)
    more: int = 10 ** (volume.digits - notional.digits)
    return notional.total * more / volume.total


def _quantile(q: float) -> Callable[[Values], float | None]:
    return lambda cell: float(np.quantile(np.array(cell.values), q)) if cell.values else None


def _simple(name: str, field: str) -> tuple[tuple[CellKey, ...], Callable[..., Any]] | None:
    one: dict[str, tuple[tuple[CellKey, ...], Callable[..., Any]]] = {
        "first": ((("first", field),), _value),
        "last": ((("last", field),), _value),
        "min": ((("min", field),), _value),
        "max": ((("max", field),), _value),
        "sum": ((("sum", 0, field),), _total),
        "mean": ((("sum", 0, field),), _mean),
        "std": ((("sum", 0, field), ("sum", 0, field, field)), _std),
        "var": ((("sum", 0, field), ("sum", 0, field, field)), _var),
        "median": ((("values", field),), _quantile(0.5)),
        "count": ((("sum", 0, field),), lambda cell: cell.n),
        "distinct": ((("distinct", field),), lambda cell: len(cell.values)),
    }
    if (percent := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)", name)) is not None:
        return (("values", field),), _quantile(float(percent[1]) / 100)
    return one.get(name)


def _bare(name: str) -> tuple[tuple[CellKey, ...], Callable[..., Any]] | None:
    notional, volume = ("sum", 0, "price", "size"), ("sum", 0, "size")
    alone: dict[str, tuple[tuple[CellKey, ...], Callable[..., Any]]] = {
        "volume": ((volume,), _amount),
        "buy_volume": ((("sum", 1, "size"),), _amount),
        "sell_volume": ((("sum", -1, "size"),), _amount),
        "notional": ((notional,), _amount),
        "vwap": ((notional, volume), _vwap),
    }
    return alone.get(name)


NAMES = ("first", "last", "min", "max", "sum", "mean", "std", "var", "median", "count", "distinct", "quantile", "p95")
BARE = ("count", "volume", "buy_volume", "sell_volume", "notional", "vwap")
COUNT = "count"


def parse(name: str, text: str, of: type[Event]) -> Aggregate:
    """Raises UsageError with the place and the nearest thing that exists."""
    found = re.fullmatch(r"\s*([a-z_][a-z0-9_.]*)\s*(?:\(\s*([A-Za-z_][\w.]*)?\s*(?:,\s*([0-9.]+)\s*)?\))?\s*", text)
    if found is None:
        raise UsageError(f"{name}={text!r} is no aggregate: write first(price), or one of {', '.join(BARE)}")
    call, field, number = found.groups()
    if field is None:
        return _without_field(name, text, call, of)
    _check_field(name, text, field, of, numeric=call != "distinct")
    if call == "quantile":
        if number is None or not 0 <= float(number) <= 1:
            raise UsageError(f"{name}={text!r}: write the quantile between 0 and 1, as in quantile({field}, 0.95)")
        return Aggregate(name, text, (("values", field),), _quantile(float(number)))
    made = _simple(call, field)
    if made is None or number is not None:
        raise UsageError(f"{name}={text!r}: there is no {call!r}{_near(call, NAMES)}; there are {', '.join(NAMES)}")
    return Aggregate(name, text, *made)


def _without_field(name: str, text: str, call: str, of: type[Event]) -> Aggregate:
    if call == COUNT:
        return Aggregate(name, text, (), lambda: None)
    made = _bare(call)
    if made is None:
        hint = f": write its field, as in {call}(price)" if call in NAMES else _near(call, BARE)
        raise UsageError(f"{name}={text!r}: {call!r} does not stand alone{hint}; alone stand {', '.join(BARE)}")
    if of not in (Trade, Liquidation):
        raise UsageError(f"{name}={text!r}: {call} is of trades, not of {of.__struct_config__.tag} events")
    return Aggregate(name, text, *made)


def function(name: str, called: Function, columns: Sequence[str], of: type[Event]) -> Aggregate:
    """A user's `f(times, *columns)`."""
    for column in columns:
        _check_field(name, "columns", column, of, numeric=column != "side")

    def finish(cell: Rows) -> Any:
        times, arrays = cell.arrays()
        return called(times, *arrays)

    return Aggregate(name, f"function of {', '.join(columns)}", (("rows", *columns),), finish)


def _check_field(name: str, text: str, field: str, of: type[Event], *, numeric: bool) -> None:
    if of is Metrics or (of is Quote and field in _DERIVED):
        return
    there = fields(of)
    if field not in there or field == "instrument":
        known = [*(n for n, hint in there.items() if bare_type(hint)[0] in _NUMBERS), *(_DERIVED if of is Quote else ())]
        raise UsageError(f"{name}={text!r}: {of.__struct_config__.tag} events have no {field!r}{_near(field, known)}")
    if numeric and bare_type(there[field])[0] not in _NUMBERS:
        raise UsageError(f"{name}={text!r}: {field} is no number; distinct({field}) counts its values")


def _near(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""


class Plan:
    """All aggregates of an operator: which columns to take from each event, which cells to keep, what to make of them."""

    def __init__(self, of: type[Event], aggregates: Sequence[Aggregate], rows: int) -> None:
        self.of, self.aggregates, self.rows = of, tuple(aggregates), rows
        self.keys = tuple(dict.fromkeys(key for a in aggregates for key in a.cells))
        self._places = {key: i for i, key in enumerate(self.keys)}
        named = dict.fromkeys(f for key in self.keys for f in _fields(key))
        self.fields = tuple(dict.fromkeys(raw for f in named for raw in self._raw(f)))
        self.getter = _getter(of, self.fields)
        self.digits: dict[str, int] = {}
        names = [a.name for a in aggregates]
        for name in names:
            if not name.isidentifier() or name in OWN or name in ("values", "to_dict") or names.count(name) > 1:
                raise UsageError(f"{name!r} cannot be the name of an aggregate: it is taken, or no name")

    def _raw(self, field: str) -> tuple[str, ...]:
        return _DERIVED[field] if self.of is Quote and field in _DERIVED else (field,)

    @property
    def fingerprint(self) -> str:
        """What a state must have been made with to be gone on from. A function is known by its name only."""
        return "; ".join(f"{a.name}={a.text}" for a in self.aggregates)

    def cells(self) -> list[Cell]:
        return [_cell(key, self.rows) for key in self.keys]

    def chunk(self, times: list[int], rows: list[tuple[Any, ...]]) -> Chunk:
        columns = zip(*rows, strict=True) if self.fields else ()
        return Chunk(times, dict(zip(self.fields, columns, strict=True)), self.digits)

    def values(self, cells: list[Cell], records: int) -> dict[str, Any]:
        """Raises UsageError where a function's features bear the name of something else."""
        found: dict[str, Any] = {}
        for a in self.aggregates:
            value = a.finish(*(cells[self._places[key]] for key in a.cells)) if a.cells else records
            parts = value.items() if isinstance(value, Mapping) else ((a.name, value),)
            for name, part in parts:
                if name in found or name in OWN:
                    raise UsageError(f"the function {a.name!r} gives {name!r}, which is the name of something else")
                found[name] = part.item() if isinstance(part, np.generic) else part
        return found


def _fields(key: CellKey) -> tuple[str, ...]:
    if key[0] == "sum":
        return (*key[2:], "side") if key[1] else key[2:]
    return key[1:]


def _cell(key: CellKey, rows: int) -> Cell:
    kind, *rest = key
    if kind == "sum":
        return Sum(tuple(rest[1:]), rest[0])
    if kind == "rows":
        return Rows(tuple(rest), rows)
    if kind in ("values", "distinct"):
        return (Values if kind == "values" else Distinct)(rest[0], rows)
    simple: dict[str, type[First | Last | Least | Most]] = {"first": First, "last": Last, "min": Least, "max": Most}
    return simple[kind](rest[0])


def _getter(of: type[Event], names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """The fields of an event as a tuple, in C where it can be. Of metrics, those that are no fields are looked up in
    `values`.
    """
    if of is Metrics and (own := set(fields(of))) is not None and not set(names) <= own:
        return lambda e: tuple(getattr(e, n) if n in own else (e.values or {}).get(n) for n in names)
    if len(names) > 1:
        return attrgetter(*names)
    return (lambda e: (getattr(e, names[0]),)) if names else (lambda _: ())
