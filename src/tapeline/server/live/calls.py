"""What a viewer says: `{"method": …, "params": {…}, "id": …}`, read strictly, answered always.

Text that is no JSON, a wrong method, an unknown instrument: each gets an error with the id that could be made out, and the
connection stays. Calls are bounded by size, by number of subscriptions and by a token bucket.
"""

from typing import Any, Literal, get_args

import msgspec

from tapeline.server import asked
from tapeline.server.asked import EVERY, ApiError, Names
from tapeline.server.live.feed import ALL, GROUPS, Channel, Key, MetricsKind

CallId = int | str | None
MAX_CALL = 16 * 1024
MAX_INSTRUMENTS = 200
DEFAULT_DEPTH = 25
MAX_DEPTH = 1000
MAX_LEVELS = 20_000
"""Of all books of one subscription, a side: their update is made in one go."""
MAX_HEATMAPS = 16


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    channel: Channel | None = None
    instruments: list[str] | None = None
    interval: str | None = None
    depth: int | None = None
    kind: MetricsKind | None = None
    step: float | None = None
    every: str | None = None
    rows: int | None = None


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: Literal["subscribe", "unsubscribe", "ping"]
    params: Params | None = None
    id: CallId = None


class _Id(msgspec.Struct):
    id: CallId = None


_decode = msgspec.json.Decoder(Call).decode
_decode_id = msgspec.json.Decoder(_Id).decode


def read_call(raw: str | bytes) -> Call:
    """Raises ApiError on anything else than a call."""
    if len(raw) > MAX_CALL:
        raise ApiError(400, "too_large", f"a call of {len(raw)} bytes", f"at most {MAX_CALL}")
    try:
        return _decode(raw)
    except msgspec.ValidationError as e:
        raise ApiError(400, "bad_call", str(e), 'see docs/api.md: {"method": "subscribe", "params": {…}, "id": 1}') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ApiError(400, "bad_json", str(e), "send one JSON object a message") from None


def read_id(raw: str | bytes) -> CallId:
    """The id of a call that could not be read, None where it has none."""
    try:
        return _decode_id(raw[:MAX_CALL]).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def key_of(params: Params | None, names: Names) -> Key:
    """What is to be watched. Raises ApiError."""
    if params is None or params.channel is None:
        raise ApiError(400, "missing_parameter", "channel is missing", f"one of {', '.join(get_args(Channel))}")
    channel = params.channel
    if channel in ("status", "alerts"):
        return Key(channel, ())
    if channel == "depths":
        step, every, rows = asked.step(params.step), asked.choice("every", params.every, EVERY), asked.rows(params.rows)
        wanted = _instruments(params, names)
        if len(wanted) > MAX_HEATMAPS:
            raise asked.bad("instruments", f"{len(wanted)} names", f"at most {MAX_HEATMAPS} of depths")
        return Key(channel, wanted, step=step, every=every, rows=rows)
    interval = _kind(params.interval, names) if channel == "bars" else ""
    depth = asked.whole("depth", params.depth, DEFAULT_DEPTH, MAX_DEPTH) if channel == "book" else 0
    kind = params.kind or "" if channel == "metrics" else ""
    wanted = _instruments(params, names)
    if depth * len(wanted) > MAX_LEVELS:
        raise asked.bad("depth", depth, f"at most {MAX_LEVELS} levels a side for all books of a subscription together")
    return Key(channel, wanted, interval, depth, kind)


def _kind(interval: str | None, names: Names) -> str:
    spec = names.made(interval)
    if spec.base is not None:
        raise asked.bad("interval", interval, f"a view is drawn from its bars: subscribe to {spec.base.text}")
    return spec.text


def _instruments(params: Params, names: Names) -> tuple[str, ...]:
    wanted = params.instruments or []
    if not wanted:
        raise ApiError(400, "missing_parameter", "instruments is missing", 'name them, or ["*"] for all')
    if len(wanted) > MAX_INSTRUMENTS:
        raise asked.bad("instruments", f"{len(wanted)} names", f'at most {MAX_INSTRUMENTS}, or ["*"] for all')
    if wanted == list(GROUPS) and params.channel == "metrics":
        return GROUPS
    if "*" in wanted:
        if params.channel in ("book", "depths"):
            raise asked.bad("instruments", "*", "a book is watched by name")
        return ALL
    return tuple(sorted({names.check(name) for name in wanted}))


class Bucket:
    """At most `burst` calls at once and `rate` a second on average. Times are loop times in seconds."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = burst, now

    def take(self, now: float) -> None:
        """Raises ApiError where there are too many."""
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            raise ApiError(429, "too_many_calls", f"more than {self.rate:g} calls a second", "slow down")
        self._left -= 1

    def charge(self, calls: float) -> None:
        """What the last one cost, in calls, where that is more than one."""
        self._left -= max(0.0, calls - 1)


def reply(call_id: CallId, result: Any = None, error: ApiError | None = None) -> dict[str, Any]:
    return {"id": call_id, "result": result} if error is None else {"id": call_id, "error": error.body()}
