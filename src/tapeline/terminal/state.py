"""What `tapeline top` knows, made of the WebSocket's messages alone, and what it says about itself. No terminal, no clock here:
times are the loop's seconds, handed in.

What the screen says of itself, the first that holds:

    CONNECTING     never reached a server yet
    RECONNECTING   the socket is closed, or silent for SILENT_SECONDS (the status comes each second), or no venue is connected
    PAUSED         the user holds the picture
    REPLAY, SIMULATED, LIVE     what the server says of its market; LIVE tells how many instruments are not

In the first two nothing shown is live, and after LOST_SECONDS without a word every number is drawn dim with the time it is of.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

SILENT_SECONDS = 3.0
TRADES = 500
"""Of the chosen instrument, the newest; older ones are forgotten."""
BARS = 60
Link = Literal["connecting", "open", "closed"]
Row = dict[str, Any]


class Health(msgspec.Struct, frozen=True):
    """`dead`: what is on the screen may be old. `kind` is one of live, simulated, replay, paused, connecting, reconnecting."""

    kind: str
    detail: str
    dead: bool

    @property
    def label(self) -> str:
        return self.kind.upper()


class Screen:
    """All that is shown. `put` takes each message; `chosen` is the instrument whose book and trades are shown."""

    def __init__(self) -> None:
        self.link: Link = "connecting"
        self.error = ""
        self.ever = False
        self.heard = 0.0
        self.paused = False
        self.status: Row = {}
        self.status_at = 0.0
        self.chosen = ""
        self.quotes: dict[str, Row] = {}
        self.bars: dict[str, dict[int, float]] = {}
        self.book: Row | None = None
        self.trades: deque[Row] = deque(maxlen=TRADES)
        self.missed = 0

    def linked(self, link: Link, now: float, error: str = "") -> None:
        self.link, self.error = link, error
        if link == "open":
            self.ever, self.heard = True, now

    def choose(self, instrument: str) -> None:
        if instrument != self.chosen:
            self.chosen, self.book, self.missed = instrument, None, 0
            self.trades.clear()

    def put(self, message: Mapping[str, Any], now: float) -> None:
        self.heard = now
        handler = getattr(self, f"_{message.get('channel', '')}", None)
        if handler is not None and not self.paused:
            handler(message, now)

    def _status(self, message: Mapping[str, Any], now: float) -> None:
        status = message["data"]["status"]
        if self.status and self.status["session"] != status["session"]:  # another start: nothing that was known holds
            self.quotes.clear()
            self.bars.clear()
            self.book, self.missed = None, 0
            self.trades.clear()
        self.status, self.status_at = status, now
        known = self.instruments()
        if self.chosen not in known and known:
            self.choose(known[0])

    def _quotes(self, message: Mapping[str, Any], _: float) -> None:
        for quote in message["data"]:
            if quote["origin"] == "book" or self.quotes.get(quote["instrument"], quote)["origin"] != "book":
                self.quotes[quote["instrument"]] = quote

    def _bars(self, message: Mapping[str, Any], _: float) -> None:
        for bar in message["data"]:
            closes = self.bars.setdefault(bar["instrument"], {})
            if bar["close"] is not None:
                closes[bar["ts_open"]] = bar["close"]
            while len(closes) > BARS:
                del closes[min(closes)]

    def _book(self, message: Mapping[str, Any], _: float) -> None:
        for book in message["data"]:
            if book["instrument"] == self.chosen:
                self.book = book

    def _trades(self, message: Mapping[str, Any], _: float) -> None:
        mine = [t for t in message["data"] if t["instrument"] == self.chosen]
        if message["type"] == "snapshot":
            self.trades.clear()
        self.trades.extend(mine)
        self.missed += message["missed"]

    # What it means

    def instruments(self) -> list[str]:
        return [row["id"] for row in self.status.get("instruments", ())]

    def instrument(self, name: str) -> Row:
        """Its line of the status; empty where there is none."""
        return next((row for row in self.status.get("instruments", ()) if row["id"] == name), {})

    def silent(self, now: float) -> float:
        return now - self.heard

    def server_now(self, now: float) -> int:
        """The server's clock, microseconds: its last word and what has passed since. A replay's stands between words."""
        if not self.status:
            return 0
        passed = 0.0 if self.status["mode"] == "replay" else now - self.status_at
        return int(self.status["now"] + passed * 1e6)

    def closes(self, name: str) -> list[float]:
        """Of its minutes, oldest first."""
        return [close for _, close in sorted(self.bars.get(name, {}).items())]

    def mid(self, name: str) -> float | None:
        quote = self.quotes.get(name)
        if quote is None or quote["bid"] is None or quote["ask"] is None:
            last: float | None = self.instrument(name).get("last_price")
            return last
        return float(quote["bid"] + quote["ask"]) / 2

    def health(self, now: float) -> Health:
        if self.link != "open" or self.silent(now) > SILENT_SECONDS or not self.status:
            return self._lost(now)
        connections = self.status["connections"]
        up = sum(c["state"] == "up" for c in connections)
        if connections and not up and self.status["mode"] != "replay":
            error = next((c["last_error"] for c in connections if c.get("last_error")), "")
            return Health("reconnecting", f"no venue is connected{f': {error}' if error else ''}", dead=True)
        if self.paused:
            return Health("paused", "press p to go on", dead=False)
        return Health(self.status["mode"], self._about(up, len(connections)), dead=False)

    def _lost(self, now: float) -> Health:
        if not self.ever:
            return Health("connecting", self.error or "no answer yet", dead=True)
        why = self.error if self.link != "open" else "the server says nothing"
        return Health("reconnecting", f"{why or 'the server is gone'} · last word {self.silent(now):.0f} s ago", dead=True)

    def _about(self, up: int, connections: int) -> str:
        if self.status["mode"] == "replay":
            return (
                "the recording has ended"
                if self.status.get("finished")
                else f"speed {self.status['speed'] or 'as fast as it goes'}"
            )
        rows = self.status["instruments"]
        off = [row["id"] for row in rows if row["state"] not in ("live", "closed")]
        parts = [f"{up}/{connections} connections"]
        if off:
            parts.append(f"{len(off)} of {len(rows)} instruments not live: {', '.join(off[:3])}")
        return " · ".join(parts)
