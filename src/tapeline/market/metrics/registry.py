"""Metrics by their full names: `vwap_5m`, `depth_10bps`, `rsi_14_1m`.

A full name is a metric's name and its parameters, joined by underscores. Parameters with a default may be left out from the end. The
longest name that fits wins, so that a metric `volume_profile` and another one `volume` can live side by side.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from tapeline.clock import MILLI, SECOND
from tapeline.config import INTERVALS
from tapeline.errors import UsageError
from tapeline.market.metrics import (
    books,
    derivatives,
    executions,
    impact,
    indicators,
    quotes,
    session,
    sizes,
    trading,
    twap,
    volatility,
    volume_profile,
)
from tapeline.market.metrics.base import Metric, Parameter, Value

_UNITS = {"ms": MILLI, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}
_AMOUNTS = {"": 1.0, "k": 1e3, "M": 1e6, "B": 1e9}
_LONGEST = 31 * 86_400 * SECOND
_KINDS = {
    "time": r"\d{1,9}(ms|s|m|h|d)",
    "interval": "|".join(INTERVALS),
    "count": r"\d{1,6}",
    "bps": r"\d{1,5}(\.\d{1,3})?bps",
    "depth": r"\d{1,6}|\d{1,5}(\.\d{1,3})?bps",
    "amount": r"\d{1,12}(\.\d{1,8})?[kMB]?",
    "moment": r"\d{8}T\d{6}Z",
}
EXAMPLES = {
    "time": "5m",
    "interval": "1m",
    "count": "14",
    "bps": "10bps",
    "depth": "10bps",
    "amount": "100k",
    "moment": "20261121T093000Z",
}
METRICS: dict[str, type[Metric]] = {}
"""By name; those of users are added by `register`."""


def register(*metrics: type) -> None:
    """Raises UsageError where a name is none, or another class has it already."""
    for metric in metrics:
        if not issubclass(metric, Metric):
            raise UsageError(f"{metric.__qualname__} does not inherit from tapeline.Metric")
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z][a-z0-9]*)*", metric.name):
            raise UsageError(f"{metric.__qualname__}: its name {metric.name!r} must be lower-case words joined by underscores")
        if METRICS.setdefault(metric.name, metric) is not metric:
            raise UsageError(f"there is a metric {metric.name} already: {metric.__qualname__} needs another name")


register(
    *books.ALL,
    *derivatives.ALL,
    *executions.ALL,
    *impact.ALL,
    *indicators.ALL,
    *quotes.ALL,
    *session.ALL,
    *sizes.ALL,
    *trading.ALL,
    *twap.ALL,
    *volatility.ALL,
    *volume_profile.ALL,
)


def metric(full_name: str) -> Metric:
    """A new metric of that full name. Raises UsageError, with what is wrong and the nearest that there is."""
    found, words = _split(full_name)
    if len(words) > len(found.parameters):
        raise UsageError(f"{full_name}: {words[-1]!r} is one parameter too many; write {form(found)}")
    values: dict[str, Any] = {}
    for place, parameter in enumerate(found.parameters):
        word = words[place] if place < len(words) else parameter.default
        if not word:
            raise UsageError(f"{full_name}: its {parameter.name} is missing; write {form(found)}")
        values[parameter.name] = _value(full_name, found, parameter, word)
    return _begun(found, full_name, values)


def _begun(found: type[Metric], full_name: str, values: dict[str, Any]) -> Metric:
    """A user's class may be wrong in its own way: what it cannot do is said before anything is streamed."""
    try:
        made = found(full_name, **values)
        reach: object = made.reach
    except Exception as e:
        raise UsageError(f"{full_name}: {found.__qualname__} cannot be begun: {type(e).__name__}: {e}") from e
    if type(reach) is not int or reach < 0:
        raise UsageError(f"{full_name}: its reach is {reach!r}; it must be a whole number of nanoseconds")
    return made


def exists(full_name: str) -> bool:
    """Whether there is a metric of that full name."""
    try:
        metric(full_name)
    except UsageError:
        return False
    return True


def _split(full_name: str) -> tuple[type[Metric], list[str]]:
    parts = full_name.split("_")
    for end in range(len(parts), 0, -1):
        if (found := METRICS.get("_".join(parts[:end]))) is not None:
            return found, parts[end:]
    bare = "_".join(part for part in parts if not part[:1].isdigit())
    near = get_close_matches(bare, METRICS, 1, 0.5) or get_close_matches(parts[0], METRICS, 1, 0.5)
    meant = f"; did you mean {form(METRICS[near[0]])}?" if near else ""
    raise UsageError(f"there is no metric {full_name!r}{meant or ';'} `tapeline metrics` lists them")


def form(found: type[Metric]) -> str:
    """How a full name looks: `vwap_5m`."""
    return "_".join([found.name, *(p.default or EXAMPLES[p.kind] for p in found.parameters)])


def _value(full_name: str, found: type[Metric], parameter: Parameter, word: str) -> Any:
    if not re.fullmatch(_KINDS[parameter.kind], word):
        raise UsageError(f"{full_name}: {word!r} is no {parameter.name}, as in {EXAMPLES[parameter.kind]}; write {form(found)}")
    value = _read(parameter.kind, word)
    if not value or (parameter.kind == "time" and value > _LONGEST):
        raise UsageError(f"{full_name}: the {parameter.name} {word} is out of range: more than nothing, at most 31 days")
    return value


def _read(kind: str, word: str) -> Any:
    if kind == "time":
        unit = re.sub(r"\d", "", word)
        return int(word.removesuffix(unit)) * _UNITS[unit]
    if kind == "count" or (kind == "depth" and not word.endswith("bps")):
        return int(word)
    if kind in {"bps", "depth"}:
        return float(word.removesuffix("bps"))
    if kind == "amount":
        unit = word[-1] if word[-1].isalpha() else ""
        return float(word.removesuffix(unit)) * _AMOUNTS[unit]
    if kind == "moment":
        try:
            return int(datetime.strptime(word, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()) * SECOND
        except ValueError:
            return 0
    return word


def made(names: Iterable[str]) -> Iterator[tuple[str, Metric | UsageError]]:
    """Each name with its metric, or with what is wrong with it: a recording may name one that this program does not know."""
    for name in dict.fromkeys(names):
        try:
            yield name, metric(name)
        except UsageError as e:
            yield name, e


def figures(found: Metric, value: Value) -> Iterator[tuple[str, float]]:
    """What a metric's answer says, by the names of `Metrics.values`."""
    parts = value.items() if isinstance(value, Mapping) else [("", value)]
    for key, number in parts:
        if number is not None and math.isfinite(number):
            yield (f"{found.full_name}.{key}" if key else found.full_name), float(number)
