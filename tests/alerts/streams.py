"""Events for the tests of rules, by hand."""

from collections.abc import Iterable

from tapeline.alerts.engine import Engine
from tapeline.alerts.rule import Rule
from tapeline.clock import SECOND
from tapeline.events import Alert, Bar, Event, Flag, Metrics, Quote, Status, Trade

BTC, SIM, USD = "binance:BTC-USDT", "sim:BTC-USDT", "coinbase:BTC-USD"
SIMULATED = int(Flag.SIMULATED)


def ns(seconds: float) -> int:
    return round(seconds * SECOND)


def mid(at: float, value: float, instrument: str = BTC, *, flags: int = 0, origin: str = "book", half: float = 0.5) -> Quote:
    t = ns(at)
    return Quote(instrument, t, t, flags, value - half, 1.0, value + half, 1.0, None, origin)


def trade(at: float, price: float, instrument: str = BTC, *, size: float = 1.0, flags: int = 0, side: str = "buy") -> Trade:
    t = ns(at)
    return Trade(instrument, t, t, flags, price, size, side, "")


def status(
    at: float, kind: str, channel: str = "book", instrument: str = BTC, *, reason: str = "why", venue: str = "binance"
) -> Status:
    t = ns(at)
    return Status(instrument, t, t, 0, kind, venue, channel, reason, None, None, None)


def sample(at: float, instrument: str = BTC, incomplete: str | None = None, **values: float) -> Metrics:
    t = ns(at)
    return Metrics(instrument, t, t, 0, None, None, None, None, None, None, values, incomplete)


def bar(at: float, close: float, instrument: str = BTC, *, complete: bool = True, revision: int = 0, origin: str = "trades"):
    t = ns(at)
    return Bar(
        instrument,
        t,
        t,
        0,
        "1m",
        t - 60 * SECOND,
        close,
        close,
        close,
        close,
        1.0,
        0.5,
        close,
        close,
        1,
        complete,
        revision,
        origin,
    )


def engine(text: str, **options: object) -> Engine:
    return Engine([Rule.of(name="r", text=text, **options)])


def told(alerts: Iterable[Alert]) -> list[tuple[float, str]]:
    """When, in seconds, and what."""
    return [(a.ts_event / SECOND, a.state) for a in alerts]


def run(text: str, events: Iterable[Event], until: float = 0.0, **options: object) -> list[tuple[float, str]]:
    made = engine(text, **options)
    alerts = made.feed(events)
    return told(alerts + (made.advance(ns(until)) if until else []))
