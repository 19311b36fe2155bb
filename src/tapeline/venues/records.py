"""What a venue's message becomes, beside events: the records that a decoder gives and the market and the engine understand.

A decoder keeps no books and judges no gaps: it says what a message tells, and the floors above prove it.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from tapeline.events import Event, Status, Trade

BookKind = Literal["diff", "fetched", "snapshot", "partial"]
UNNUMBERED = -1
Texts = Sequence[tuple[str, str]]
"""(price, size) of levels as the wire prints them, or what `Venue.book_checksum` needs of that (Kraken: the digits alone)."""


class BookMessage(msgspec.Struct, frozen=True, gc=False):
    """A book message before it is proved. `kind` says what it is:

    "diff"      changed levels, covering the update ids (`prev_seq`, `seq`]
    "fetched"   a whole book asked for over HTTP, standing at `seq`; `limit` levels a side were asked for
    "snapshot"  a whole book inside the stream, in order with the diffs
    "partial"   the best levels only, whole each time and without continuity

    `seq` UNNUMBERED: the venue numbers nothing (Coinbase Exchange, Kraken). Such diffs follow a snapshot of the same stream in the
    order of the wire, and what proves them is a checksum, or nothing but TCP.

    `exact`: `prev_seq` is the very `seq` of the message before, whatever the numbers do: they may stand still (nothing changed) or
    go back (the venue began anew) and the chain still holds (OKX). Otherwise ids only grow.

    `limit` of a "snapshot" or "partial" is as of a "fetched" book: a side that has so many levels was cut there.
    `cut`: after this message each side keeps its best `cut` levels and forgets the others, because the venue will not say when
    they go (Kraken). 0: nothing is cut.

    `checksum`: what `Venue.book_checksum` must give for the book after this message, None where the message bears none.
    `bid_texts`, `ask_texts` are the levels' wire texts, in the order of `bids` and `asks`, in every message of a stream that bears
    checksums: the next one is made of them, too.
    """

    native: str
    ts_event: int
    flags: int
    kind: BookKind
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    seq: int
    prev_seq: int
    limit: int = 0
    exact: bool = False
    cut: int = 0
    checksum: int | None = None
    bid_texts: Texts = ()
    ask_texts: Texts = ()


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The venue's answer to one of our control messages. `error` empty: accepted. `names`: the streams it spoke of, if it says.

    `id` is the message's own where the venue repeats it, else None. With neither, all that is unanswered counts as answered.
    """

    id: int | str | None
    error: str = ""
    names: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What one of our control messages asks for. `id` None: the venue repeats none, so an answer is known by its stream names.

    `gone`: it ends these streams instead of beginning them. `acked`: whether the venue will answer at all.
    """

    id: int | str | None
    names: tuple[str, ...]
    gone: bool = False
    acked: bool = True


class Skipped(msgspec.Struct, frozen=True, gc=False):
    """A trade that is no part of the market (insurance fund, zero price): not given out, but its id was seen."""

    instrument: str
    id: int
    aggregated: bool
    reason: str


class Filled(msgspec.Struct, frozen=True, gc=False):
    """A trade that stands for several: it bears the last of the ids `first` … `int(trade.id)` (OKX `trades`)."""

    trade: Trade
    first: int


class Past(msgspec.Struct, frozen=True, gc=False):
    """Trades of before now, oldest first: given out only where they fill a hole, flagged RECOVERED. Two sources:

    the answer to a `trades_request` (`asked` True), and what a venue repeats when a stream begins (Coinbase `last_match`, the
    snapshots of Kraken and Coinbase Advanced). `last_id`: the venue's newest trade id, where only that is told (a heartbeat's
    `last_trade_id`): if it is past what came, trades are missing.
    """

    instrument: str
    trades: Sequence[Trade] = ()
    asked: bool = False
    last_id: int | None = None


class Counted(msgspec.Struct, frozen=True, gc=False):
    """This message is number `seq` of its connection, over all streams (Coinbase Advanced): a number left out is a message lost,
    and whatever this connection carries may lack it.
    """

    seq: int


class Notice(msgspec.Struct, frozen=True, gc=False):
    """The venue will close this connection soon: open its successor at once."""

    reason: str


Record = Event | BookMessage | Ack | Skipped | Filled | Past | Counted | Notice


def rejected(venue: str, instrument: str, ts_recv: int, channel: str, reason: str, flags: int = 0) -> Status:
    return Status(instrument, ts_recv, ts_recv, flags, "rejected", venue, channel, reason, None, None, 1)
