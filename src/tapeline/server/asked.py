"""What a client may ask for, read strictly: both faces (REST and WebSocket) check names, times and limits here.

A wrong question is answered with a code for programs, a message for people and a hint at what to do; it is never guessed at.
An instrument is known when the engine streams it or has an event of it; one that a venue lists but nobody streams gets its own code.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from tapeline.clock import MICRO, SECOND, parse_iso
from tapeline.config import INTERVALS
from tapeline.engine.source import Source
from tapeline.errors import UsageError
from tapeline.market.barkinds.specs import BarSpec, parse
from tapeline.market.columns import step_of
from tapeline.server.memory.history import History

MAX_TIME = 2**63 - 1
EVERY = {"1s": SECOND, "250ms": SECOND // 4, "500ms": SECOND // 2, "5s": 5 * SECOND, "15s": 15 * SECOND, "1m": 60 * SECOND}
"""The grids of book columns, the usual one first."""
MAX_ROWS = 400


class ApiError(UsageError):
    """An answer that is no data. `status` and `headers` are HTTP's; a WebSocket reply carries the rest alone."""

    def __init__(self, status: int, code: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.headers: Mapping[str, str] = headers or {}
        self.status, self.code, self.message, self.hint = status, code, message, hint
        super().__init__(f"{message}: {hint}" if hint else message)

    def body(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "hint": self.hint}


def bad(name: str, value: object, hint: str) -> ApiError:
    return ApiError(400, "bad_parameter", f"{name} = {str(value)[:80]!r} cannot be used", hint)


class Names:
    """The instruments that can be asked for."""

    def __init__(self, source: Source, history: History) -> None:
        self._source, self._history = source, history

    def streaming(self) -> list[str]:
        return [i.id for i in self._source.instruments()]

    def kinds(self) -> list[str]:
        """Bars that are made beside the usual intervals: `tick:500`."""
        return list(self._source.status().get("bars", ()))

    def known(self, name: str) -> bool:
        h = self._history
        return name in self.streaming() or any(
            name in d for d in (h.trades, h.books, h.metrics, h.samples, h.venue_quotes, h.book_quotes)
        )

    def made(self, value: str | None) -> BarSpec:
        """A kind of bars that is made here, or a view of one. Raises ApiError."""
        spec = interval(value)
        text = (spec.base or spec).text
        if text not in INTERVALS and text not in (kinds := self.kinds()):
            others = "`pipeline.bars` switches others on, and `tapeline bars` makes them from what is stored"
            raise bad("interval", value, f"one of {', '.join([*INTERVALS, *kinds])}; {others}")
        return spec

    def check(self, name: str) -> str:
        """The name itself. Raises ApiError 404 with the nearest names where it is not known."""
        if self.known(name):
            return name
        if any(name == i.id for i in self._source.listed()):
            raise ApiError(404, "not_streaming", f"{name} is listed but not streamed", "`tapeline subscribe` adds it")
        near = difflib.get_close_matches(name, self.streaming() + self._history.groups(), n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "GET /api/v1/instruments names them"
        raise ApiError(404, "unknown_instrument", f"there is no instrument {name[:80]!r}", hint)


def one(name: str, value: str | None) -> str:
    if not value:
        raise ApiError(400, "missing_parameter", f"{name} is missing", f"add ?{name}=…")
    return value


def whole(name: str, value: object, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    if value is None:
        return default
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise bad(name, value, f"a whole number from 1 to {most}")
    return number


def interval(value: str | None) -> BarSpec:
    """Any kind of bar."""
    try:
        return parse("1m" if value is None else value[:80])
    except UsageError as e:
        raise bad("interval", value, str(e)) from None


def step(value: object) -> float:
    """The width of a price bin."""
    if value is None:
        raise ApiError(400, "missing_parameter", "step is missing", "the width of a price bin, as in 0.5")
    try:
        number = float(str(value))
        step_of(number)
    except ValueError:
        raise bad("step", value, "a number above 0 of at most 12 decimal places: the width of a price bin") from None
    return number


def rows(value: object) -> int:
    return whole("rows", value, 200, MAX_ROWS)


def choice(name: str, value: str | None, choices: Iterable[str]) -> str:
    """One of `choices`; the first where nothing is said."""
    allowed = list(choices)
    if value is None:
        return allowed[0]
    if value not in allowed:
        raise bad(name, value, f"one of {', '.join(allowed)}")
    return value


def moment(name: str, value: str | None, default: int) -> int:
    """Nanoseconds of whole microseconds or of an ISO 8601 time. One that nanoseconds cannot tell (before 1970, after 2262) is the
    first or the last that they can.
    """
    if value is None:
        return default
    try:
        is_whole = value.isascii() and value.lstrip("-").isdigit()
        ns = int(value) * MICRO if is_whole else max(0, min(MAX_TIME, parse_iso(value)))
    except OverflowError:  # year 1 or 9999, off the calendar by its zone
        ns = 0 if value[:1] == "0" else MAX_TIME
    except ValueError:
        ns = -1
    if not 0 <= ns <= MAX_TIME:
        raise bad(name, value, "microseconds since 1970 or an ISO 8601 time such as 2026-11-20T09:00:00Z")
    return ns


def only(given: Mapping[str, object], allowed: Iterable[str]) -> None:
    """Raises ApiError on a parameter that means nothing here: a typing error must not pass for a default."""
    names = list(allowed)
    for name in given:
        if name not in names:
            raise ApiError(
                400, "unknown_parameter", f"{name[:80]!r} means nothing here", f"known: {', '.join(names) or 'none'}"
            )
