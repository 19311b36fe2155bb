"""Books kept twice, where two connections carry the same stream (`--redundant`).

Two streams of one book cannot be merged message by message: snapshots come on each, some venues number nothing, and a checksum
holds for one stream's order only. So each connection keeps a book of its own. One of them, the leader's, is shown; what happens to
the others makes no events. When the leader's book breaks, or its connection is lost, a spare one takes its place at once, where it
stands proved: with a Status, and the whole book as a snapshot. Where updates are numbered a spare must have reached the update that
was shown last, so that no book goes back in time; until then the broken one stands, and if it mends itself first, it leads on.
"""

from collections.abc import Callable
from typing import Protocol

from tapeline.clock import SECOND
from tapeline.events import Event
from tapeline.market.sync import BookSync, State
from tapeline.venues.base import BookMessage

MOST_SPARES = 3
PATIENCE = 5 * SECOND  # how long a spare waits for the snapshot that its stream begins with before it asks


class Shows(Protocol):
    """Whoever has the book that is shown."""

    sync: BookSync


class Spares:
    """The books of one instrument beside the one that is shown. `make(connection)` gives an empty book whose requests name it."""

    def __init__(self, owner: Shows, leader: int, make: Callable[[int], BookSync]) -> None:
        self.leader = leader
        self.books: dict[int, BookSync] = {}
        self.taken_over = 0
        self._owner, self._make = owner, make
        self._since: dict[int, int] = {}
        self._reached: int | None = None  # the last update shown before the book broke; None while it stands
        self._orphaned = False  # the leader's connection is gone

    def add(self, connection: int, ts_recv: int) -> None:
        if connection == self.leader:
            self._orphaned = False
        elif connection not in self.books and len(self.books) < MOST_SPARES:
            self.books[connection], self._since[connection] = self._make(connection), ts_recv

    def take(self, m: BookMessage, connection: int, ts_recv: int, out: list[Event]) -> None:
        """One message of one connection."""
        if connection == self.leader:
            self._lead(m, ts_recv, out)
        elif (spare := self.books.get(connection)) is not None:
            if not spare.has(m):
                spare.on_message(m, ts_recv, [])
            self._promote(ts_recv, out)

    def _lead(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        shown = self._owner.sync
        if shown.has(m):  # a successor of the leader's connection repeats what it said
            return
        stood, at = shown.state is State.SYNCED, shown.book.seq
        shown.on_message(m, ts_recv, out)
        if shown.state is State.SYNCED:
            self._reached = None
        elif stood:
            self._broke(at, ts_recv, out)

    def _broke(self, at: int | None, ts_recv: int, out: list[Event]) -> None:
        self._reached = -1 if at is None else at
        self._promote(ts_recv, out)

    def lost(self, connection: int, reason: str, ts_recv: int, out: list[Event]) -> None:
        """A connection is gone, or carries this book no more, and with it what it kept."""
        if connection != self.leader:
            self.books.pop(connection, None)
            return
        self._orphaned = True
        self._broke(self._owner.sync.book.seq, ts_recv, out)
        if self._orphaned and not any(spare.state is State.SYNCED for spare in self.books.values()):
            self._owner.sync.on_lost(reason, ts_recv, out)

    def renamed(self, old: int, new: int) -> None:
        """A planned successor goes on with what its predecessor kept."""
        if old == self.leader:
            self.leader = new
        elif old in self.books:
            self.books[new], self._since[new] = self.books.pop(old), self._since.pop(old)

    def _promote(self, ts_recv: int, out: list[Event]) -> None:
        """Show a spare book that stands where the broken one stood, or further, if there is one."""
        reached, former = self._reached, self._owner.sync
        if reached is None:
            return
        fit = (n for n, b in self.books.items() if b.state is State.SYNCED and (b.book.seq is None or b.book.seq >= reached))
        if (connection := next(fit, None)) is None:
            return
        old, spare = self.leader, self.books.pop(connection)
        if not self._orphaned:
            self.books[old], self._since[old] = former, ts_recv
        spare.carry(former)
        self.leader, self._owner.sync, self._reached, self._orphaned = connection, spare, None, False
        self.taken_over += 1
        spare.show(f"taken over from connection {old} by the redundant connection {connection}", ts_recv, out)

    def fetched(self, m: BookMessage, ts_recv: int) -> None:
        """A snapshot over HTTP is for every book that waits for one."""
        for spare in self.books.values():
            if spare.state in {State.EMPTY, State.BUFFERING}:
                spare.on_message(m, ts_recv, [])

    def refused(self, reason: str, ts_recv: int) -> None:
        for spare in self.books.values():
            spare.on_refused(reason, ts_recv, [])

    def tend(self, ts_recv: int, out: list[Event]) -> None:
        """Once a second: a spare that waits for its snapshot may ask again; one that got there may be needed."""
        for connection, spare in self.books.items():
            spare.retry(ts_recv, [])
            if ts_recv - self._since[connection] >= PATIENCE:
                spare.begin(ts_recv, [])
        self._promote(ts_recv, out)

    def damage(self, connection: int, reason: str, ts_recv: int, out: list[Event]) -> None:
        """Something that this connection should have said is missing."""
        if connection != self.leader:
            if (spare := self.books.get(connection)) is not None:
                spare.damage(reason, ts_recv, [])
            return
        shown = self._owner.sync
        stood, at = shown.state is State.SYNCED, shown.book.seq
        shown.damage(reason, ts_recv, out)
        if stood:
            self._broke(at, ts_recv, out)
