"""The answers of the API as types, for the OpenAPI document alone: what is sent is made of plain dicts elsewhere, and tests hold the
two against each other (`tests/server/contract/test_openapi.py` asks every operation and compares).

A struct of the code itself is used wherever one is sent as it is (`market.profile.Profile`, `sinks.base.SinkStats`).
"""

from typing import Any, Literal

import msgspec

from tapeline.config import RuleSettings
from tapeline.engine.source import BookState
from tapeline.events import Alert, Level, Status
from tapeline.server.contract.operations import many, or_null, row_of, shape
from tapeline.sinks.base import SinkStats

Kind = Literal["synced", "joining", "buffering", "invalid", "none"]


class InstrumentRow(msgspec.Struct):
    id: str
    venue: str
    symbol: str
    kind: str
    base: str
    quote: str
    tick: float | None
    lot: float | None
    streaming: bool


class FoundRow(InstrumentRow):
    name: str


class Unanswered(msgspec.Struct):
    venue: str
    message: str


class Reach(msgspec.Struct):
    bid: float | None
    ask: float | None


class DiskRow(msgspec.Struct):
    path: str
    free: int
    total: int


class BookRow(msgspec.Struct):
    instrument: str
    ts_event: int
    ts_recv: int
    seq: int | None
    state: BookState
    bids: list[Level]
    asks: list[Level]
    complete_to: Reach


class ColumnRow(msgspec.Struct):
    instrument: str
    ts: int
    bid: float | None
    ask: float | None
    low: int
    sizes: list[float]
    proved: bool


class FootprintRow(msgspec.Struct):
    ts_open: int
    complete: bool
    low: int
    buys: list[float]
    sells: list[float]


class ParameterRow(msgspec.Struct):
    name: str
    kind: str
    default: Any


class MetricRow(msgspec.Struct):
    name: str
    form: str
    family: str
    unit: str
    gap: str
    warm_up: str
    parts: list[str]
    parameters: list[ParameterRow]
    text: str


class SubscriptionRow(msgspec.Struct):
    instrument: str
    name: str
    channels: list[str]
    error: str


class Failed(msgspec.Struct):
    """A name that could not be added or removed, and why."""

    instrument: str
    code: str
    message: str
    hint: str


class Delivery(msgspec.Struct):
    target: str
    status: Literal["waiting", "sending", "sent", "failed", "dropped"]
    attempts: int
    error: str
    ended: int | None


AlertRow: Any = shape("Alert", **row_of(Alert).__annotations__, deliveries=list[Delivery])


class RuleLine(msgspec.Struct):
    """A constant price that a rule compares."""

    instrument: str
    field: str
    value: float


class RuleRow(RuleSettings, frozen=True, kw_only=True, forbid_unknown_fields=False):
    name: str
    origin: Literal["settings", "added"]
    muted: bool
    state: Literal["raised", "armed", "spent", "muted", "waiting", "not_streamed"]
    since: int
    value: float | None
    raised: int
    instruments: int = 0
    warming: float = 0.0
    lines: list[RuleLine]


class TargetRow(msgspec.Struct):
    name: str
    address: str
    depth: int
    sent: int
    failures: int
    given_up: int
    error: str
    late: bool


class RuleFault(msgspec.Struct):
    """Places count from 1; null where there is none."""

    message: str
    hint: str
    option: str
    line: int | None
    column: int | None
    length: int | None


class ConnectionRow(msgspec.Struct):
    id: int
    venue: str
    protocol: str
    url: str
    state: Literal["up", "connecting", "down"]
    since: int
    frames: int
    last_frame: int
    latency_ms: float | None


class VenueRow(msgspec.Struct):
    protocol: str
    label: str
    connections: int
    streams: int
    frames: int
    events: int
    cpu_seconds: float


InstrumentState: Any = shape(
    "InstrumentState",
    id=str,
    state=Literal["live", "closed", "stale", "resyncing", "waiting", "disconnected"],
    book=Kind,
    last_event=int,
    price_decimals=int,
    size_decimals=int,
    last_status=or_null(row_of(Status)),
)


class TapeRow(msgspec.Struct):
    state: str
    reason: str
    path: str
    bytes: int
    frames: int
    lag_frames: int


class AlertsRow(msgspec.Struct):
    rules: int
    raised_now: list[str]
    raised: int
    resolved: int
    held: int
    lost: int
    dropped: int
    error: str
    targets: list[TargetRow]


class DoorRow(msgspec.Struct):
    """`refused`: how many by code."""

    requests: int
    refused: dict[str, int]
    open: int


def status_shape() -> dict[str, Any]:
    """Members of `/status`; a replay lacks some of those of a connection, and has `finished`."""
    return {
        "reason": str, "version": str, "session": str, "started": int, "now": int, "speed": float | None,
        "frames": int, "events": int, "frames_per_second": float, "gaps": int, "rejected": int, "resyncs": int,
        "faults?": int, "duplicates?": int, "latency_ms?": float | None, "finished?": bool, "bars": list[str],
        "connections": list[ConnectionRow], "venues": list[VenueRow], "instruments": many(InstrumentState), "tape": TapeRow,
        "disk": DiskRow | None, "sinks": list[SinkStats], "alerts": AlertsRow | None, "viewers": int, "dropped_viewers": int,
        "short_pushes": int,
        "door": DoorRow,
    }  # fmt: skip
