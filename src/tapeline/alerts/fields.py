"""What a rule may name: the fields of events, bars by their interval, and every metric that can be sampled.

A field is a *level* (it holds until the next is told: price, mid, a metric) or a *happening* (it is of one event and cannot hold:
the size of a trade, a liquidation, a bar). Windows take levels by time and happenings one by one (windows.py).

`volume_1m` is a metric where there is one of that name, else the volume of the bar; `bar_1m.volume` is always the bar's.
"""

import re
from collections.abc import Iterator
from typing import Literal, get_args

import msgspec

from tapeline.config import INTERVALS
from tapeline.engine import extending
from tapeline.errors import UsageError
from tapeline.events import Side, StatusKind
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Metric

Source = Literal["trade", "touch", "book", "ticker", "liquidation", "bar", "sample", "status", "group"]
WORDS: dict[str, tuple[str, ...]] = {
    "status": get_args(StatusKind),
    "side": get_args(Side),
    "liquidation_side": get_args(Side),
}
"""Fields that are words, and which."""
BAR_FIELDS = (
    "open", "high", "low", "close", "volume", "buy_volume", "sell_volume", "notional", "vwap", "trades", "open_interest",
)  # fmt: skip
MOST_FOUND = 10_000  # names that are remembered, so that they need not be taken apart again
_found: dict[str, "Field"] = {}
_SHAPE = re.compile(r"[a-z][a-z0-9_]*(\.\w+)*")
_BAR = re.compile(r"bar_(?P<interval>[^.]+)\.(?P<field>\w+)|(?P<short>[a-z_]+)_(?P<of>[^_.]+)")


class Field(msgspec.Struct, frozen=True):
    """`metric`: the full name of the metric that has to be sampled; `interval`: of a bar. `doc` stands in docs/alerts.md."""

    name: str
    source: Source
    happening: bool = False
    unit: str = ""
    doc: str = ""
    metric: str = ""
    interval: str = ""


_FIELDS = (
    Field("price", "trade", doc="of the last trade"),
    Field("size", "trade", True, doc="of a trade"),
    Field("notional", "trade", True, doc="price × size of a trade"),
    Field("side", "trade", True, doc="of a trade's aggressor: `side is buy`"),
    Field("bid", "touch", doc="best bid"),
    Field("bid_size", "touch", doc="size at the best bid"),
    Field("ask", "touch", doc="best ask"),
    Field("ask_size", "touch", doc="size at the best ask"),
    Field("mid", "touch", doc="(bid + ask) / 2"),
    Field("spread", "touch", doc="ask − bid"),
    Field("spread_bps", "touch", unit="bps", doc="the spread in basis points of the mid"),
    Field("microprice", "touch", doc="the mid weighted by the sizes of the other side"),
    Field("imbalance", "book", doc="of the sizes of the best levels, −1 to 1"),
    Field("last", "ticker", doc="last price, as the venue's ticker tells it"),
    Field("change_pct", "ticker", unit="%", doc="change over 24 hours in percent, the venue's"),
    Field("mark", "ticker", doc="mark price"),
    Field("index", "ticker", doc="index price"),
    Field("funding_rate", "ticker", doc="of the funding period"),
    Field("open_interest", "ticker", doc="as the venue tells it"),
    Field("liquidation_price", "liquidation", True, doc="of a forced order"),
    Field("liquidation_size", "liquidation", True, doc="of a forced order"),
    Field("liquidation_notional", "liquidation", True, doc="price × size of a forced order"),
    Field("liquidation_side", "liquidation", True, doc="sell closes a long: `liquidation_side is sell`"),
    Field("members", "group", doc="of a group: how many are in"),
    Field("bid_member", "group", doc="number of the member with the best bid"),
    Field("ask_member", "group", doc="number of the member with the best offer"),
    Field("arbitrage_bps", "group", unit="bps", doc="best bid of all over best offer of all"),
    Field("status", "status", doc="integrity: `status is gap or stale`"),
)
FIELDS = {field.name: field for field in _FIELDS}
_OF_MEMBER = re.compile(r"(basis|correlation|lag|lag_correlation)\.\d{1,2}")
_OF_GROUP = frozenset({"bid", "bid_size", "ask", "ask_size", "mid", "spread", "spread_bps", "microprice", "status"})


def find(name: str) -> Field:
    """The field of that name. Raises UsageError, with what is wrong and the nearest that there is."""
    if (known := FIELDS.get(name) or _found.get(name)) is not None:
        return known
    found = _bar(name) if name.startswith("bar_") else None
    if _OF_MEMBER.fullmatch(name):
        found = Field(name, "group")
    if found is None:
        try:
            metric = _metric(name)
            found = Field(name, "sample", unit=metric.unit, metric=metric.full_name)
        except UsageError:
            if (found := _bar(name)) is None:
                raise
    if len(_found) < MOST_FOUND:
        _found[name] = found
    return found


def of_group(field: Field) -> bool:
    """Whether `group:btc` has it."""
    return field.source == "group" or field.name in _OF_GROUP


def exists(name: str) -> bool:
    if not _SHAPE.fullmatch(name):
        return False
    try:
        find(name)
    except UsageError:
        return False
    return True


def _metric(name: str) -> Metric:
    """`profile_1h.poc` is a part of the metric `profile_1h`; `depth_2.5bps` is a metric."""
    try:
        return _with_part(extending.metric(name), "")
    except UsageError:
        whole, dot, part = name.rpartition(".")
        if not dot or registry.exists(name):
            raise
        return _with_part(extending.metric(whole), part)


def _with_part(metric: Metric, part: str) -> Metric:
    """Raises UsageError where it never gives a number of that name. Another package's metric need not tell which it gives."""
    parts = metric.parts or (("",) if type(metric).__module__.startswith("tapeline.") else ())
    if parts and part not in parts:
        told = " and ".join(f"{metric.full_name}.{p}" if p else metric.full_name for p in parts)
        raise UsageError(f"{metric.full_name} gives {told}: write one of these")
    return metric


def _bar(name: str) -> Field | None:
    found = _BAR.fullmatch(name)
    if found is None:
        return None
    field, interval = found["field"] or found["short"], found["interval"] or found["of"]
    if field not in BAR_FIELDS or interval not in INTERVALS:
        return None
    return Field(f"bar_{interval}.{field}", "bar", True, interval=interval)


def known_names() -> Iterator[str]:
    """Every name as one would write it, for "did you mean": metrics with the parameters they have by default."""
    yield from FIELDS
    yield from (f"{field}_1m" for field in BAR_FIELDS)
    yield from (f"bar_1m.{field}" for field in BAR_FIELDS)
    yield from (registry.form(found) for found in registry.METRICS.values())


def needs(metric: str) -> frozenset[str]:
    """What a metric is made of: "trades", "book" and so on."""
    return registry.metric(metric).needs
