"""Keeping one book right: snapshot and diffs joined, every diff verified, a broken chain mended.

    state        means                                                  the book is
    ─────────────────────────────────────────────────────────────────────────────────────────
    EMPTY        nothing heard yet, or the connection was lost          invalid
    BUFFERING    diffs are kept while a snapshot is asked for           invalid
    JOINING      a snapshot stands; no diff has continued it yet        shown, flagged BOOK_UNPROVEN
    SYNCED       every diff has continued the one before                right

A diff covers the ids (prev_seq, seq]. Against a book that stands at `id` it is OLD (seq <= id), NEXT (prev_seq <= id < seq)
or AHEAD (prev_seq > id: something is missing). Sizes are absolute, so a diff that overlaps the book's id is safe to apply.
That one rule serves Binance spot (prev_seq = U − 1; "U <= lastUpdateId + 1 <= u") and futures (prev_seq = pu;
"pu == previous u", "U <= lastUpdateId <= u or pu == lastUpdateId"): binance-spot-api-docs web-socket-streams.md "How to
manage a local order book correctly", and the USDⓈ-M document of the same name.

Exact chains (OKX), whose ids may stand still or go back, are judged by equality: see chain.py.

A snapshot older than the buffer is asked for again with backoff 0.5 s → 30 s, one request at a time, never one a frame.
A crossed book begins anew in the same way.
A book that stands is renewed before the market leaves what its snapshot told, see renewal.py.
Every step is a Status event with its reason and id range. What is only decided by ids is decided here; who fetches and when
the answer comes is not: the answer is one more message.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum

from tapeline.clock import MILLI, SECOND
from tapeline.config import PipelineSettings
from tapeline.events import Event, Flag, StatusKind
from tapeline.market import chain
from tapeline.market.book import Book
from tapeline.market.checksum import Digits
from tapeline.market.quality import far_back
from tapeline.market.renewal import Renewal
from tapeline.market.telling import Teller
from tapeline.venues.base import UNNUMBERED, Again, BookChecksum, BookMessage, Request

BACKOFF_FIRST_MS, BACKOFF_MOST_MS = 500, 30_000
AGAIN_PATIENCE = 10 * SECOND  # how long a stream that was begun anew has to give its snapshot
MOST_PASSED = 256
STABLE_NS = 60 * SECOND  # a book that held this long starts its backoff anew
OLD_RUN_IS_RESET = 50  # that many old diffs in a row are no duplicates: the venue restarted its numbers
JOIN_RUN_IS_RESET = 1000  # before the join they are normal: a stream may lag seconds behind the snapshot

# Plain integers: IntFlag's operators cost a microsecond each.
BOOK_UNPROVEN = int(Flag.BOOK_UNPROVEN)
SNAPSHOT = int(Flag.SNAPSHOT)


class State(Enum):
    EMPTY = "invalid"
    BUFFERING = "buffering"
    JOINING = "joining"
    SYNCED = "synced"


class Fit(Enum):
    OLD = 0
    NEXT = 1
    AHEAD = 2


Ask = Callable[[int, int], Request | Again | None]
"""(attempt, not_before ns) → how a snapshot is asked for: over HTTP, or by beginning the stream anew; None where it cannot be."""


class BookSync:
    """One instrument's book with its proof. Feed it messages; it appends events to `out` and requests to `requests`."""

    def __init__(
        self,
        instrument: str,
        venue: str,
        settings: PipelineSettings,
        ask: Ask,
        requests: list[Request | Again],
        flags: int = 0,
        checksum: BookChecksum | None = None,
    ) -> None:
        self.settings = settings
        self.book = Book(settings.book_levels)
        self.state = State.EMPTY
        self.buffer: deque[tuple[BookMessage, int]] = deque()
        self.gaps = self.resyncs = self.duplicates = 0
        self.renewal = Renewal(self._ask_again)
        self._ask, self._requests = ask, requests
        teller = Teller(instrument, venue, settings, flags)
        self._emit, self._status = teller.book, teller.status
        self._digits = Digits(checksum) if checksum is not None else None
        self._passed: deque[tuple[int, int]] = deque(maxlen=MOST_PASSED)  # (prev_seq, seq) of the last diffs of an exact chain
        self._again_at = 0  # when a stream that was begun anew and gave no snapshot is begun once more
        self._attempt = 0
        self._asked = False
        self._old_run = 0
        self._snapshot_seq = self._cut = 0
        self._synced_at = 0
        self._lost = False
        self._has_diffs = False
        self._is_whole = False  # it began on the socket with all levels there are: what it does not know, we have cut off
        self._at_edge = False
        self._on_diff = {
            (State.JOINING, Fit.OLD): self._ignore,
            (State.JOINING, Fit.NEXT): self._join,
            (State.JOINING, Fit.AHEAD): self._gap,
            (State.SYNCED, Fit.OLD): self._ignore,
            (State.SYNCED, Fit.NEXT): self._apply,
            (State.SYNCED, Fit.AHEAD): self._gap,
        }

    def on_message(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        if m.kind == "diff":
            self._has_diffs = True
            book_seq = self.book.seq
            if self.state is State.SYNCED and (
                m.prev_seq == book_seq if m.exact else book_seq is not None and m.prev_seq <= book_seq < m.seq
            ):
                self._apply(m, ts_recv, out)  # the way of nearly every message, spared the table
            elif m.seq == UNNUMBERED:
                self._unnumbered(m, ts_recv, out)
            elif self.state is State.EMPTY or self.state is State.BUFFERING:
                self._keep(m, ts_recv, out)
            else:
                self._on_diff[self.state, self._fit(m)](m, ts_recv, out)
        elif m.kind == "fetched":
            self._fetched(m, ts_recv, out)
        elif m.kind == "snapshot":
            self._snapshot(m, ts_recv, out)
        else:
            self._partial(m, ts_recv, out)

    def has(self, m: BookMessage) -> bool:
        """Whether the book, or the buffer, has what this diff says. Of one without a number nobody can know: it is applied again,
        which does no harm after the snapshot of its own stream.
        """
        if m.kind != "diff" or m.seq == UNNUMBERED:
            return False
        if self.state is State.BUFFERING:
            return chain.waits(m, self.buffer)
        at = -1 if self.book.seq is None else self.book.seq
        if m.exact:
            return (m.prev_seq, m.seq) in self._passed or m.prev_seq < m.seq <= self._snapshot_seq <= at
        return m.seq <= at

    def begin(self, ts_recv: int, out: list[Event]) -> None:
        """The stream is there and says nothing, as in a quiet market: show a snapshot, unproven until a diff continues it."""
        if self.state is State.EMPTY:
            self._request(ts_recv)
            if self._asked:
                self.state = State.BUFFERING
                self._status("resyncing", "book begins: no update came yet, a snapshot is asked for", ts_recv, out)

    def on_refused(self, reason: str, ts_recv: int, out: list[Event]) -> None:
        """The snapshot could not be had (HTTP error, no answer): ask again, later."""
        if self.state is State.BUFFERING:
            self._asked = False
            self._status("resyncing", f"no snapshot: {reason}", ts_recv, out)
            self._request(ts_recv)
        else:
            self.renewal.refused()

    def on_lost(self, reason: str, ts_recv: int, out: list[Event]) -> None:
        """The stream ended or cannot be trusted any more: the book is invalid until a new snapshot is joined. An empty `reason`
        is not told.
        """
        if self.state is not State.EMPTY and reason:
            self._status("resyncing", reason, ts_recv, out)
        self._flush_unproven(out)
        self.book.clear()
        self.renewal.stop()
        self.state, self._attempt, self._asked, self._lost = State.EMPTY, 0, False, True

    @property
    def awaits_stream(self) -> bool:
        """Whether its stream is to be begun anew."""
        return self.state is State.BUFFERING and self._asked and self._again_at > 0

    def damage(self, reason: str, ts_recv: int, out: list[Event]) -> None:
        """A message of this book could not be read: what it said is missing."""
        if self.state in (State.SYNCED, State.JOINING):
            self._resync(None, "gap", reason, ts_recv, out)

    def finish(self, out: list[Event]) -> None:
        """End of input: what still waits for a snapshot is given out, flagged."""
        self._flush_unproven(out)

    def _unnumbered(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        """The order of the wire is the only order: what follows the snapshot is applied, what comes before it is of no book."""
        if self.state is State.SYNCED:
            self._apply(m, ts_recv, out)
            return
        if self.state is State.EMPTY:
            self.state = State.BUFFERING
            self._status("resyncing", "book begins: an update came before the snapshot", ts_recv, out)
            self._request(ts_recv)
        self._emit(m, ts_recv, out, BOOK_UNPROVEN)

    def retry(self, ts_recv: int, out: list[Event]) -> None:
        """Called once a second: a stream that was begun anew and gave no snapshot in time is begun once more."""
        if self.state is State.BUFFERING and self._asked and 0 < self._again_at <= ts_recv:
            self._asked = False
            self._status("resyncing", "no snapshot came: the stream is begun anew once more", ts_recv, out)
            self._request(ts_recv)

    def _fit(self, m: BookMessage) -> Fit:
        at = self.book.seq if self.book.seq is not None else -1
        if m.exact and m.prev_seq == at:
            return Fit.NEXT
        if m.exact and self.state is State.SYNCED:
            return Fit.OLD if (m.prev_seq, m.seq) in self._passed else Fit.AHEAD
        if m.seq <= at:
            return Fit.OLD
        return Fit.NEXT if m.prev_seq <= at else Fit.AHEAD

    def _keep(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        if chain.waits(m, self.buffer):
            self._ignore(m, ts_recv, out)
            return
        self._old_run = 0
        if not chain.follows(m, self.buffer):
            self.gaps += 1
            last = self.buffer[-1][0].seq
            told = (last + 1, m.prev_seq) if m.prev_seq > last else (None, None)
            self._status("gap", "updates missing while a snapshot is awaited", ts_recv, out, *told)
            self._flush_unproven(out)
        if len(self.buffer) >= self.settings.buffer_updates:
            self._emit(*self.buffer.popleft(), out, BOOK_UNPROVEN)
        self.buffer.append((m, ts_recv))
        if self.state is State.EMPTY:
            self.state = State.BUFFERING
            self._status("resyncing", "book begins: a snapshot is asked for", ts_recv, out, m.prev_seq + 1, m.seq)
            self._request(ts_recv)

    def _fetched(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        self._asked = False
        if self.state in (State.SYNCED, State.JOINING):
            self._renew(self.renewal.answer(m, self.book), ts_recv, out)
            return
        if self.state is State.EMPTY and self._lost:
            return  # asked for on a connection that is gone
        waiting = chain.continuing(m, self.buffer)
        if waiting is None:
            self.state, first = State.BUFFERING, self.buffer[0][0].prev_seq
            if m.seq < first:
                reason = f"snapshot {m.seq} is older than the first buffered update {first + 1}"
                self._status("resyncing", reason, ts_recv, out, m.seq + 1, first)
            else:
                reason = f"snapshot {m.seq} is of no place in the buffer, in which the numbers began anew"
                self._status("resyncing", reason, ts_recv, out)
            self._request(ts_recv)
            return
        self.buffer.clear()
        self._begin(m, ts_recv, out, proven=bool(waiting))
        for d, t in waiting:
            self.on_message(d, t, out)

    def _snapshot(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        self.buffer.clear()
        self._asked = False
        if self._begin(m, ts_recv, out, proven=True):
            self._synced(0, ts_recv, out)

    def _partial(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        if self._has_diffs:
            return  # a top-N picture must not overwrite the full book it is part of
        if self.state is State.SYNCED and self.book.seq is not None and m.seq <= self.book.seq:
            self.duplicates += 1
            self._old_run += m.seq < self.book.seq
            if self._old_run < OLD_RUN_IS_RESET:
                return
        first = self.state is not State.SYNCED
        if not self._begin(m, ts_recv, out, proven=True):
            return
        if first:
            self._synced(0, ts_recv, out)

    def _begin(self, m: BookMessage, ts_recv: int, out: list[Event], *, proven: bool) -> bool:
        """Take a whole book; False where it is crossed, and so worth nothing."""
        limit = 1 if m.kind == "partial" else m.limit  # a partial book ends where it ends
        self.book.replace(m.bids, m.asks, limit, m.cut)
        self.book.seq = None if m.seq == UNNUMBERED else m.seq
        self._snapshot_seq, self._cut = m.seq, m.cut
        self._is_whole = m.kind == "snapshot" and not m.limit and not m.cut
        self._passed.clear()
        self.state = State.SYNCED if proven and m.kind != "fetched" else State.JOINING
        self._old_run = 0
        if (wrong := self._disproved(m)) is not None:
            self._emit(m, ts_recv, out, SNAPSHOT | BOOK_UNPROVEN)
            self._resync(None, "gap", wrong, ts_recv, out)
            return False
        if not self.book.crossed:
            self.renewal.begin(self.book)
            self._emit(m, ts_recv, out, SNAPSHOT if proven else SNAPSHOT | BOOK_UNPROVEN, touch=self.book)
            return True
        self._emit(m, ts_recv, out, SNAPSHOT | BOOK_UNPROVEN)
        if m.kind != "partial":
            self._resync(None, "crossed", self._crossing(), ts_recv, out)
        else:
            self._status("crossed", self._crossing(), ts_recv, out)
            self.book.clear()
            self.state = State.EMPTY  # the next one is on its way
        return False

    def _join(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        self.state = State.SYNCED
        self._synced(m.seq, ts_recv, out)
        self._apply(m, ts_recv, out)

    def _synced(self, seq: int, ts_recv: int, out: list[Event]) -> None:
        self._synced_at = ts_recv
        if self._snapshot_seq == UNNUMBERED:
            self._status("synced", "snapshot taken", ts_recv, out)
        else:
            self._status("synced", "snapshot joined", ts_recv, out, self._snapshot_seq, seq or self._snapshot_seq)

    def _apply(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        book = self.book
        if m.cut:
            book.apply_cut(m.bids, m.asks, m.cut)
        else:
            book.apply(m.bids, m.asks)
        if m.seq != UNNUMBERED:
            book.seq = m.seq
        self._old_run = 0
        if m.exact:
            self._passed.append((m.prev_seq, m.seq))
        if self._digits is not None and (wrong := self._disproved(m)) is not None:
            self._emit(m, ts_recv, out, BOOK_UNPROVEN)
            self._resync(None, "gap", wrong, ts_recv, out)
            return
        if book.crossed:
            self._emit(m, ts_recv, out, BOOK_UNPROVEN)
            self._resync(None, "crossed", self._crossing(), ts_recv, out)
            return
        self._emit(m, ts_recv, out, 0, touch=self.book)
        if (renewed := self.renewal.after(book, m, ts_recv)) is not None:
            self._renew(renewed, ts_recv, out)
        if self._at_edge:
            self._at_edge = False
            self._resync(None, "resyncing", "the market nears the edge of what the book knows", ts_recv, out)

    def _disproved(self, m: BookMessage) -> str | None:
        """What is wrong with the book by the checksum of the message just applied; None where it is right, or cannot be told."""
        if self._digits is None:
            return None
        self._digits.take(m)  # also where it bears none: the next one may
        if m.checksum is None or (found := self._digits.of(self.book)) in {m.checksum, None}:
            return None
        return f"checksum {found} instead of {m.checksum}: an update is missing or wrong"

    def _ask_again(self, not_before: int) -> bool:
        request = self._ask(0, not_before)
        if not isinstance(request, Request):
            self._at_edge = self._is_whole  # a venue that sends so many levels and no more keeps them around the market itself
            return False
        self._requests.append(request)
        return True

    def _renew(self, renewed: Book | None, ts_recv: int, out: list[Event]) -> None:
        """Let a renewed book take the old one's place. Both stand at the same update, so their touches must be the same."""
        if renewed is None or renewed.seq is None:
            return
        old, new = self.book.touch(), renewed.touch()
        self.book = renewed
        self.renewal.begin(renewed)
        if old == new:
            self._status("synced", "renewed by a snapshot nearer to the market", ts_recv, out, renewed.seq, renewed.seq)
        else:
            self.resyncs += 1
            self._status("resyncing", f"a new snapshot tells another touch, {new} instead of {old}: it is taken", ts_recv, out)
        self._whole(ts_recv, out)

    def show(self, reason: str, ts_recv: int, out: list[Event]) -> None:
        """Give out the book as it stands, in place of another one that was shown until now."""
        seq = self.book.seq
        self._status("synced", reason, ts_recv, out, seq, seq)
        self._whole(ts_recv, out)

    def carry(self, former: "BookSync") -> None:
        """Go on with what was counted of this instrument before this book was shown."""
        self.gaps, self.resyncs, self.duplicates = former.gaps, former.resyncs, former.duplicates

    def _whole(self, ts_recv: int, out: list[Event]) -> None:
        book = self.book
        bids, asks = book.depth(book.max_levels)
        seq = UNNUMBERED if book.seq is None else book.seq
        whole = BookMessage("", book.ts_event, 0, "snapshot", bids, asks, seq, -1, cut=self._cut)
        self._emit(whole, ts_recv, out, SNAPSHOT, touch=self.book)

    def _crossing(self) -> str:
        bid, _, ask, _ = self.book.touch()
        return f"best bid {bid} at or above best ask {ask}"

    def _ignore(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        self.duplicates += 1
        self._old_run += 1
        at = self.book.seq if self.book.seq is not None else self.buffer[-1][0].seq
        if self._old_run >= (JOIN_RUN_IS_RESET if self.state is State.JOINING else OLD_RUN_IS_RESET) or far_back(m.seq, at):
            reason = f"update ids went back from {at} to {m.seq}: the venue restarted its numbers"
            self._flush_unproven(out)
            self._resync((m, ts_recv), "gap", reason, ts_recv, out)

    def _gap(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        last = self.book.seq if self.book.seq is not None else -1
        if m.prev_seq > last:
            self._resync((m, ts_recv), "gap", "updates missing", ts_recv, out, last + 1, m.prev_seq)
        else:
            reason = f"updates missing: one that follows {m.prev_seq} came after {last}"
            self._resync((m, ts_recv), "gap", reason, ts_recv, out)

    def _resync(
        self,
        first: tuple[BookMessage, int] | None,
        kind: StatusKind,
        reason: str,
        ts_recv: int,
        out: list[Event],
        from_seq: int | None = None,
        to_seq: int | None = None,
    ) -> None:
        self.gaps += kind == "gap"
        self.resyncs += 1
        self._status(kind, reason, ts_recv, out, from_seq, to_seq)
        self.buffer.clear()
        if first is not None:
            self.buffer.append(first)
        self.book.clear()
        self.renewal.stop()
        self.state, self._old_run = State.BUFFERING, 0
        if ts_recv - self._synced_at > STABLE_NS:
            self._attempt = 0
        self._status("resyncing", "a new snapshot is asked for", ts_recv, out)
        self._request(ts_recv)

    def _request(self, ts_recv: int) -> None:
        if self._asked:
            return
        wait = 0 if self._attempt == 0 else min(BACKOFF_FIRST_MS << (self._attempt - 1), BACKOFF_MOST_MS)
        request = self._ask(self._attempt, ts_recv + wait * MILLI)
        self._attempt = min(self._attempt + 1, 16)
        if request is not None:
            self._asked = True
            self._again_at = request.not_before + AGAIN_PATIENCE if isinstance(request, Again) else 0
            self._requests.append(request)

    def _flush_unproven(self, out: list[Event]) -> None:
        while self.buffer:
            self._emit(*self.buffer.popleft(), out, BOOK_UNPROVEN)
