"""What venues' messages held, counted where they are decoded, before anything is dropped.

A trade can be left out at two places: the decoder skips what is no part of the market (a price or size of zero, an insurance fund's
fill) and the pipeline drops doubles. So how many trades were doubles is what was decoded less what was given out. What was
fetched over HTTP to fill a hole (RECOVERED) is no message and is left out here.

It observes and changes nothing; one tally may watch every connection of a session.
"""

from collections import Counter
from collections.abc import Sequence

from tapeline.engine.connections import Connection
from tapeline.errors import MalformedFrame
from tapeline.events import Bar, Flag, Liquidation, Quote, Status, Ticker, Trade
from tapeline.venues.base import Ack, BookMessage, Counted, Decode, Filled, Notice, Past, Record, Skipped

RECOVERED = int(Flag.RECOVERED)
_KINDS: dict[type, str] = {
    Trade: "trade", Skipped: "trade", Filled: "trade", Past: "past trades", BookMessage: "book", Quote: "quote", Bar: "bar",
    Ticker: "ticker", Liquidation: "liquidation", Ack: "control", Notice: "control", Counted: "control", Status: "status",
}  # fmt: skip


class Tally:
    """`messages`: by what they held first; `other` of what nothing is made, `malformed` of what could not be read. By instrument:
    `trades` decoded, trades `skipped` by (instrument, reason), values `rejected`.
    """

    def __init__(self) -> None:
        self.messages: Counter[str] = Counter()
        self.trades: Counter[str] = Counter()
        self.skipped: Counter[tuple[str, str]] = Counter()
        self.rejected: Counter[str] = Counter()

    def watch(self, connection: Connection) -> None:
        connection.observe(self._around)

    def _around(self, decode: Decode) -> Decode:
        def decoded(data: bytes, ts_recv: int) -> Sequence[Record]:
            try:
                records = decode(data, ts_recv)
            except MalformedFrame:
                self.messages["malformed"] += 1
                raise
            records = list(records)  # a decoder may give them one by one
            self._count(records)
            return records

        return decoded

    def _count(self, records: Sequence[Record]) -> None:
        kind = "other"
        for record in records:
            match record:
                case Trade(instrument=instrument, flags=flags) if not flags & RECOVERED:
                    self.trades[instrument] += 1
                case Filled(trade=trade) if not trade.flags & RECOVERED:
                    self.trades[trade.instrument] += 1
                case Skipped(instrument=instrument, reason=reason):
                    self.skipped[instrument, reason] += 1
                case Status(kind="rejected", instrument=instrument, count=count):
                    self.rejected[instrument] += count or 1
                case _:
                    pass
            if kind in ("other", "control"):
                kind = _KINDS.get(type(record), kind)
        self.messages[kind] += 1
