"""What the pipeline knows of venues' feeds and of each open connection; the take-over from one connection to its successor.

A planned reconnect opens the successor before the old connection closes. While both are up, the successor's frames are held back
(bounded; the old one speaks for both); when the old one closes they are played, and what it had said already is dropped by its
id or time, then and for a few seconds more, as the successor may lag. So nothing is lost and nothing comes twice, whatever order
the two connections deliver in.

A connection's streams are those it was opened with, and what our own messages began and ended since. A stream ends the moment
that we say so: what it still sends is dropped, so that it makes no difference when, or whether, the venue answers.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings, VenueSettings
from tapeline.events import Bar, Event, Flag, Liquidation, Quote, Status, Ticker, Trade
from tapeline.frames import Closed, Frame, Opened
from tapeline.instruments import Registry
from tapeline.market.quality import NEVER, Silence
from tapeline.venues.base import Ack, Asked, BookMessage, Channel, Decode, Decoder, Filled, Past, Record, Skipped, Venue
from tapeline.venues.registry import venue_class

MOST_HELD = 50_000  # frames of a successor; past that the oldest go, and the ids show what is missing
LONGEST_REASON = 1000  # characters: a venue's words and names are in it
ACK_PATIENCE = 10 * SECOND
BOOK_PATIENCE = 5 * SECOND
"""How long an acknowledged book stream may say nothing before its book is begun from a snapshot alone."""


_CHANNEL_OF: dict[type, Channel] = {
    Trade: "trades", Skipped: "trades", Filled: "trades", Past: "trades", BookMessage: "book",
    Quote: "quotes", Bar: "bars", Ticker: "ticker", Liquidation: "liquidations",
}  # fmt: skip


def label_of(protocol: str, *, simulated: bool) -> str:
    """What stands before the colon of an instrument's id. A simulated market says so whatever it speaks: `sim` where it speaks
    Binance's protocols, whose names never collide, and `sim-kraken` and the like where it speaks another's.
    """
    if not simulated:
        return protocol
    return "sim" if protocol.startswith("binance") else f"sim-{protocol}"


def is_simulated(label: str) -> bool:
    return label == "sim" or label.startswith("sim-")


def real_name(shown: str) -> str:
    """What the venue calls an instrument of a simulated market: `sim-kraken:BTC-USD` → `kraken:BTC-USD`."""
    label, _, symbol = shown.partition(":")
    if label != "sim":
        return f"{label.removeprefix('sim-')}:{symbol}"
    futures = "binance-coinm" if "-USD-" in symbol else "binance-usdm"
    return f"{futures if symbol.endswith('-PERP') else 'binance'}:{symbol}"


class Feed:
    """One venue under one label: its decoder and instruments."""

    def __init__(self, protocol: str, simulated: bool, settings: VenueSettings | None = None) -> None:
        self.venue: Venue = venue_class(protocol)(settings)
        self.label = label_of(protocol, simulated=simulated)
        self.flags = int(Flag.SIMULATED) if simulated else 0
        self.polling: str | None = None  # see polling.py
        self.registry = Registry(self.label)
        self.decoder: Decoder = self.venue.decoder(self.registry, simulated=simulated)


class Pending(NamedTuple):
    """One control message that was not answered yet; `left` are the streams of it that no answer has named."""

    since: int
    names: tuple[str, ...]
    left: set[str]


class Connection:
    def __init__(self, number: int, feed: Feed, opened: Opened, ts: int) -> None:
        self.number, self.feed, self.opened, self.since = number, feed, opened, ts
        self._decode = feed.decoder.of_connection(opened.url)
        self.decode = self._decode
        self.counted: int | None = None  # the number of its next message, where the venue counts them
        self.counted_ahead: set[int] = set()  # of acknowledgements that were heard while the others were held
        self.streams: dict[str, tuple[Channel, str]] = {}  # native name → channel, instrument id
        self.refused: dict[str, str] = {}  # of the streams: what the venue said
        self._ended: dict[str, dict[Channel, int]] = {}  # by instrument: until when a channel is not to be heard
        for name in opened.streams:
            if (found := self.means(name)) is not None:
                self.streams[name] = found
        self.held: deque[Frame] | None = None  # not None while a predecessor still speaks
        self.replaces = opened.replaces  # passed on to its own successor, should it die before its turn
        self.overlap_until = 0  # our clock: until then it may repeat what its predecessor has said
        self.pending: dict[int | str, Pending] = {}
        self._unnamed = 0
        self.silences: dict[str, Silence] = {}
        self.given_up = False
        self.latency_ms: float | None = None  # the venue's clock to ours, a running mean

    def observe(self, around: Callable[[Decode], Decode]) -> None:
        """Let somebody see what each message holds, who changes nothing and is no part of the state that is kept."""
        self._unobserved = self._decode
        self._decode = self.decode = around(self._decode)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        if (plain := state.pop("_unobserved", None)) is not None:
            if state["decode"] is state["_decode"]:
                state["decode"] = plain
            state["_decode"] = plain
        return state

    def by_instrument(self) -> dict[str, set[Channel]]:
        found: dict[str, set[Channel]] = {}
        for channel, instrument in self.streams.values():
            found.setdefault(instrument, set()).add(channel)
        return found

    def means(self, name: str) -> tuple[Channel, str] | None:
        """The channel and the instrument of a native stream name."""
        known = self.feed.venue.stream(name)
        return None if known is None else (known[0], self.feed.decoder.instrument(known[1]))

    def begin(self, name: str, ts: int, settings: PipelineSettings) -> tuple[Channel, str] | None:
        """A stream is asked for; what it is, None where that is not known or it is carried already."""
        if name in self.streams or (found := self.means(name)) is None:
            return None
        channel, instrument = self.streams[name] = found
        self.refused.pop(name, None)
        self.silences[name] = silence_of(self, name, channel, ts, settings)
        if channel in (ended := self._ended.get(instrument, {})):
            ended[channel] = ts  # what is held still may be older
            if self.held is None:
                self.caught_up()
        return found

    def skip(self, channel: Channel, instrument: str, ts: int) -> None:
        """The connection that speaks ended this: what is held of before now, it has said. A book needs all of it to begin."""
        if self.held is not None and channel != "book" and (channel, instrument) in self.streams.values():
            self._ended.setdefault(instrument, {}).setdefault(channel, ts)
            self._ended[instrument][channel] = max(self._ended[instrument][channel], ts)
            self.decode = self._sifted

    def caught_up(self) -> None:
        """Nothing is held any more: what began again is as if it had never ended."""
        for instrument, ended in list(self._ended.items()):
            left = {channel: until for channel, until in ended.items() if until == NEVER}
            if left:
                self._ended[instrument] = left
            else:
                del self._ended[instrument]
        self.decode = self._sifted if self._ended else self._decode

    def end(self, name: str) -> tuple[Channel, str] | None:
        """A stream is asked for no more; what it was, None where it was not carried."""
        if (found := self.streams.pop(name, None)) is None:
            return None
        self.silences.pop(name, None)
        self.refused.pop(name, None)
        channel, instrument = found
        self._ended.setdefault(instrument, {})[channel] = NEVER
        self.decode = self._sifted
        return found

    def _sifted(self, data: bytes, ts_recv: int) -> Sequence[Record]:
        """What a message says, less what belongs to streams that ended."""
        return [r for r in self._decode(data, ts_recv) if not self._is_over(r, ts_recv)]

    def _is_over(self, record: Any, ts_recv: int) -> bool:
        if (channel := _CHANNEL_OF.get(type(record))) is None:
            return False
        if channel == "book":
            instrument = self.feed.decoder.instrument(record.native) if record.native else ""
        else:
            instrument = (record.trade if isinstance(record, Filled) else record).instrument
        if (ended := self._ended.get(instrument)) is None:
            return False
        if channel in ended:
            return ts_recv < ended[channel]
        return all(i != instrument for _, i in self.streams.values())

    def begin_hold(self, ts: int, settings: PipelineSettings) -> None:
        self.held = deque()
        self.silences = expected(self, ts, settings)

    def hold(self, frame: Frame) -> None:
        if self.held is not None:
            if len(self.held) >= MOST_HELD:
                self.held.popleft()
            self.held.append(frame)

    def asks(self, asked: Asked, ts: int) -> None:
        """Remember what an answer will be about. The venue's answer names our id, or the streams, or neither."""
        if not asked.acked:
            return
        key = asked.id
        if key is None:
            self._unnamed += 1
            key = f"#{self._unnamed}"
        self.pending[key] = Pending(ts, asked.names, set(asked.names))

    def acknowledged(self, ack: Ack, ts: int, out: list[Event]) -> None:
        names = ack.names or self._answered(ack.id)
        self._settle(ack, names)
        if ack.error:
            what = ", ".join(names) or (f"message {str(ack.id)[:40]}" if ack.id is not None else "something")
            out.append(self.status("rejected", f"{self.feed.label} refused {what}: {ack.error}", ts, max(len(names), 1)))
            self.refused.update({name: ack.error for name in names if name in self.streams})
            return
        for name in names:
            if name in self.silences:
                self.silences[name].acked = True

    def _answered(self, number: int | str | None) -> tuple[str, ...]:
        """The streams that an answer without names is about: those of its message, or of all that wait where it bears no id."""
        if number is not None:
            return self.pending[number].names if number in self.pending else ()
        return tuple(name for pending in self.pending.values() for name in pending.names if name in pending.left)

    def _settle(self, ack: Ack, names: tuple[str, ...]) -> None:
        """Forget the questions that are answered now: those of which no stream is left."""
        if not ack.names and ack.id is not None:
            self.pending.pop(ack.id, None)
            return
        for key, pending in list(self.pending.items()):
            pending.left.difference_update(names)
            if not pending.left:
                del self.pending[key]

    def check_acks(self, now: int, out: list[Event]) -> None:
        for number, pending in list(self.pending.items()):
            if now - pending.since >= ACK_PATIENCE:
                del self.pending[number]
                missing = len(pending.left) or len(pending.names)
                reason = f"no acknowledgement of {missing} streams within {ACK_PATIENCE // SECOND} s"
                out.append(self.status("stale", reason, now, missing))

    def is_mute(self) -> bool:
        """Whether each stream that should speak was called stale without ever having spoken; said once. Where the venue allows one
        connection, a new one would cost what is said meanwhile, and be no other.
        """
        if self.feed.venue.one_connection:
            return False
        due = [s for s in self.silences.values() if s.channel != "liquidations"]
        if self.given_up or not due or not all(s.stale and s.heard <= s.since for s in due):
            return False
        self.given_up = True
        return True

    def status(self, kind: str, reason: str, ts: int, count: int | None = None) -> Status:
        said = reason[:LONGEST_REASON]
        return Status("", ts, ts, self.feed.flags, kind, self.feed.label, "", said, None, None, count)  # type: ignore[arg-type]

    def opened_status(self, ts: int) -> Status:
        o = self.opened
        again = f", attempt {o.attempt}" if o.attempt else ""
        taking_over = f", taking over from connection {o.replaces}" if o.replaces else ""
        reason = f"connection {self.number} to {o.url} with {len(o.streams)} streams{again}{taking_over}"
        return self.status("connected", reason, ts, self.number)

    def closed_status(self, closed: Closed, ts: int) -> Status:
        how = "planned" if closed.planned else "lost"
        why = f": {closed.reason}" if closed.reason else ""
        return self.status("disconnected", f"connection {self.number} {how}, code {closed.code}{why}", ts, self.number)


def expected(connection: Connection, ts: int, settings: PipelineSettings) -> dict[str, Silence]:
    """The silence watch of each stream of a connection."""
    return {name: silence_of(connection, name, channel, ts, settings) for name, (channel, _) in connection.streams.items()}


def silence_of(connection: Connection, name: str, channel: Channel, ts: int, settings: PipelineSettings) -> Silence:
    return Silence(name, channel, ts, settings, connection.feed.venue.heard_as(name))
