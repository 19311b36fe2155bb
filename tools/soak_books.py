"""Which books a soak follows, and whether they are the simulator's: one venue's symbols, or what every simulated venue lists."""

import math
import os
from collections.abc import Mapping

from tapeline.config import VenueSettings
from tapeline.engine.connections import label_of
from tapeline.engine.source import BookView
from tapeline.sim.registry import simulated, wire_class
from tapeline.sim.wire import SimBook
from tapeline.venues.registry import venue_class

BINANCE = ("binance", "binance-usdm")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
KEY = "a-key-of-the-soak"
LEAST = 10  # levels that a side must have


class Feeds:
    """What is asked of which venues. `instruments`: as the collector wants them; `books`: id in the simulated market → where it is.

    `venues`: the two of the soak with faults, or more; those that need a key get one.
    """

    def __init__(self, venues: tuple[str, ...] = BINANCE) -> None:
        self.venues = venues
        self.calm = venues != BINANCE
        self.instruments: list[str] = []
        self.books: dict[str, tuple[str, str]] = {}
        for name in venues:
            kind = venue_class(name)
            if kind.secret:
                os.environ.setdefault(f"{kind.secret.upper()}_API_KEY", KEY)
            for native in self._natives(name):
                symbol = kind().derive(native, name).symbol
                self.instruments.append(f"{name}:{symbol}")
                if "book" in kind.channels:
                    self.books[f"{label_of(name, simulated=True)}:{symbol}"] = (name, native)

    def _natives(self, name: str) -> tuple[str, ...]:
        if self.calm:
            return wire_class(name).default
        return SYMBOLS if name == "binance" else SYMBOLS[:1]

    @property
    def symbols(self) -> list[str]:
        """For `tapeline simulate`; none: what each venue lists."""
        return [] if self.calm else sorted({native for _, native in self.books.values()})

    def settings(self, address: str) -> dict[str, VenueSettings]:
        found = {}
        for name in self.venues:
            place = f"{address}/{name}" if wire_class(name).prefixed else address
            found[name] = VenueSettings(ws_url=place.replace("http", "ws", 1), http_url=place)
        return found

    def difference(self, name: str, view: BookView | None, truth: SimBook) -> str:
        """Where the two part, within what the venue tells of its book; empty where they are one."""
        if view is None or view.state != "synced":
            return f"{name} {view.state if view else 'has no book'}"
        if self.books[name][0].startswith("binance") and view.seq != truth.last_update_id:
            return f"{name} is at {view.seq}, the simulator's at {truth.last_update_id}"
        floor, ceiling = view.bid_floor or 0.0, view.ask_ceiling or math.inf
        bids, asks = [x for x in truth.bids if x[0] >= floor], [x for x in truth.asks if x[0] <= ceiling]
        return "" if _same(view.bids, bids) and _same(view.asks, asks) else f"{name} differs"

    def differences(self, views: Mapping[str, BookView | None], truths: Mapping[str, SimBook]) -> list[str]:
        return [how for name in self.books if (how := self.difference(name, views[name], truths[name]))]


def every() -> Feeds:
    return Feeds(tuple(simulated()))


def _same(ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> bool:
    """Best levels, as many as the venue tells; contracts that became coins differ in their last bit."""
    if not min(LEAST, len(theirs)) <= len(ours) <= len(theirs):
        return False
    pairs = zip(ours, theirs, strict=False)
    return all(math.isclose(a, b, rel_tol=1e-9) for mine, true in pairs for a, b in zip(mine, true, strict=True))
