"""Books kept twice, where two connections carry the same stream (`--redundant`).

Two streams of one book cannot be merged message by message: snapshots come on each, some venues number nothing, and a checksum
holds for one stream's order only. So each connection keeps a book of its own. One of them, the leader's, is shown; what happens to
the others makes no events. When the leader's book breaks, or its connection is lost, a spare one takes its place at once, where it
stands proved: with a Status, and the whole book as a snapshot. A spare must have reached what was shown last, by update ids or,
where nothing is numbered, by the venue's time, so that no book goes back; until then the broken one stands, and if it mends itself
first, it leads on. A leader that falls `LAG` behind a spare is replaced as well.
"""

from collections.abc import Callable
from typing import Protocol

from tapeline.clock import SECOND
from tapeline.events import Event
from tapeline.market.sync import BookSync, State
from tapeline.venues.base import BookMessage

MOST_SPARES = 3
PATIENCE = 5 * SECOND
"""How long a spare waits for the snapshot that its stream begins with before it asks, and is waited for where the leader is gone."""
LAG = 5 * SECOND
ANYWHERE = (-1, 0)


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
        self._reached: tuple[int, int] | None = (
            None  # (id, venue time) of the last update shown before it broke; None: it stands
        )
        self._orphaned = False  # the leader's connection is gone
        self._orphaned_at = 0

    def add(self, connection: int, ts_recv: int) -> None:
        if connection == self.leader:
            self._orphaned = False
        elif connection not in self.books and len(self.books) < MOST_SPARES:
            self.books[connection], self._since[connection] = self._make(connection), ts_recv

    def take(self, m: BookMessage, connection: int, ts_recv: int, out: list[Event]) -> None:
        """One message of one connection."""
        if connection == self.leader:
            self._orphaned = False
            self._lead(m, ts_recv, out)
        elif (spare := self.books.get(connection)) is not None:
            if not spare.has(m):
                spare.on_message(m, ts_recv, [])
            self._promote(ts_recv, out)

    def _lead(self, m: BookMessage, ts_recv: int, out: list[Event]) -> None:
        shown = self._owner.sync
        if shown.has(m):  # a successor of the leader's connection repeats what it said
            return
        stood, at = shown.state is State.SYNCED, _place(shown)
        shown.on_message(m, ts_recv, out)
        if shown.state is State.SYNCED:
            self._reached = None
        elif stood:
            self._broke(at, ts_recv, out)

    def _broke(self, at: tuple[int, int], ts_recv: int, out: list[Event]) -> None:
        self._reached = at
        self._promote(ts_recv, out)

    def lost(self, connection: int, reason: str, ts_recv: int, out: list[Event]) -> None:
        """A connection is gone, or carries this book no more, and with it what it kept."""
        if connection != self.leader:
            self.books.pop(connection, None)
        elif not self._orphaned:
            self._orphaned, self._orphaned_at = True, ts_recv
            self._broke(_place(self._owner.sync), ts_recv, out)
        if self._orphaned and not any(spare.state is State.SYNCED for spare in self.books.values()):
            self._give_up(reason, ts_recv, out)

    def _give_up(self, reason: str, ts_recv: int, out: list[Event]) -> None:
        """Nothing will continue the book that is shown: the next one that is proved takes its place."""
        if self._reached != ANYWHERE:
            self._owner.sync.on_lost(reason, ts_recv, out)
            self._reached = ANYWHERE

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
        fit = (n for n, b in self.books.items() if b.state is State.SYNCED and _is_there(b, reached))
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
        if self._orphaned and ts_recv - self._orphaned_at >= PATIENCE:
            self._give_up("no redundant connection reached where the lost one stood", ts_recv, out)
        if self._reached is None:
            self._outrun()
        self._promote(ts_recv, out)

    def _outrun(self) -> None:
        shown = self._owner.sync
        place = _place(shown)
        synced = (spare for spare in self.books.values() if spare.state is State.SYNCED)
        if shown.state is State.SYNCED and any(_is_there(s, place) and s.book.ts_event - place[1] >= LAG for s in synced):
            self._reached = place

    def damage(self, connection: int, reason: str, ts_recv: int, out: list[Event]) -> None:
        """Something that this connection should have said is missing."""
        if connection != self.leader:
            if (spare := self.books.get(connection)) is not None:
                spare.damage(reason, ts_recv, [])
            return
        shown = self._owner.sync
        stood, at = shown.state is State.SYNCED, _place(shown)
        shown.damage(reason, ts_recv, out)
        if stood:
            self._broke(at, ts_recv, out)


def _place(sync: BookSync) -> tuple[int, int]:
    """(id, venue time) of the update that a book stands at; id -1 where none is numbered, or there is no book."""
    return (-1 if sync.book.seq is None else sync.book.seq), sync.book.ts_event


def _is_there(spare: BookSync, reached: tuple[int, int]) -> bool:
    seq, ts_event = _place(spare)
    return seq >= reached[0] and (seq >= 0 or ts_event >= reached[1])
