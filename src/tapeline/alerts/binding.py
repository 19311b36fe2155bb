"""One rule looked at for one instrument: raised once when it becomes true, resolved when it is false again.

    idle ──holds, and nothing stands in the way──▶ raised ──stays is false, or until is true──▶ idle

In the way are: the cool-down since it was raised last, the schedule, that it is muted, that it was to be raised once and was. What
holds when the last of them is out of the way is raised then. What is not known neither raises nor resolves. An alert that `until`
ended while the condition still held is raised again only once that was false in between.
"""

from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from tapeline.alerts.board import Board
from tapeline.alerts.compiling import Compiled
from tapeline.alerts.standing import NEVER
from tapeline.alerts.syntax import Is, Node, children
from tapeline.alerts.values import Cell
from tapeline.alerts.watchers import Crossing
from tapeline.alerts.windows import Happenings, Window
from tapeline.events import Alert, Flag

if TYPE_CHECKING:
    from tapeline.alerts.watched import Watched

SIMULATED = int(Flag.SIMULATED)


class Kept(msgspec.Struct, omit_defaults=True):
    """What survives a restart. `alert`: the id while it is raised; `last`: when it was raised last; `armed`: of its crossings;
    `ended`: by `until`, and the condition was not false since.
    """

    alert: str = ""
    last: int = 0
    armed: list[int] = []
    ended: bool = False


class Binding:
    __slots__ = (
        "_board", "_crossings", "_ended", "_holds", "_lead", "_same", "_stays", "_until", "_watchers", "alert", "due", "instrument",
        "key", "last", "number", "stamp", "value", "watched", "windows",
    )  # fmt: skip

    def __init__(self, watched: "Watched", key: str, instrument: str, number: int, made: Compiled, board: Board) -> None:
        """`key`: what tells it from the rule's others; `instrument`: of its alerts, `board` its own."""
        said = watched.checked
        self.watched, self.key, self.instrument, self.number = watched, key, instrument, number
        self._holds = made.condition(said.sentence.condition)
        self._stays = made.condition(said.sentence.condition, int(said.hysteresis is not None), staying=True)
        self._until = None if said.until is None else made.condition(said.until)
        self._lead, self._board = made.lead(said.sentence.condition), board
        self._watchers = tuple(made.watchers)
        self._crossings = [w for w in self._watchers if isinstance(w, Crossing)]
        self.windows = [w for w in self._watchers if isinstance(w, Window | Happenings)]
        self.alert, self.last, self.due, self.stamp = "", 0, NEVER, 0
        self._ended, self._same = False, 0
        self.value: float | None = None

    def reads(self, cells: dict[Cell, None]) -> None:
        for cell in cells:
            cell.readers.append(self)

    # What survives a restart

    def kept(self) -> Kept | None:
        armed = [c.armed for c in self._crossings]
        return Kept(self.alert, self.last, armed, self._ended) if self.alert or self.last or any(armed) else None

    def restore(self, kept: Kept) -> None:
        self.alert, self.last, self._ended = kept.alert, kept.last, kept.ended
        for crossing, armed in zip(self._crossings, kept.armed, strict=False):
            crossing.armed = armed

    # Looking

    def look(self, now: int, out: list[Alert]) -> int:
        """Something that it reads has changed, or its time has come. When it wants to look again at the latest."""
        due = NEVER
        for watcher in self._watchers:
            watcher.observe(now)
        if not self.alert:
            holds = self._holds()
            if holds and not self._ended:
                due = self._raise(now, out)
            elif holds is False:
                self._ended = False
        elif self._until() is True if self._until is not None else self._stays() is False:
            self._resolve(now, out)
        for watcher in self._watchers:
            if (at := watcher.wake(now)) < due:
                due = at
        return due

    def _raise(self, now: int, out: list[Alert]) -> int:
        """Raise it, or say when it may be."""
        watched = self.watched
        allowed = watched.allowed(now, self.last)
        if allowed > now:
            return allowed
        self._same = self._same + 1 if now == self.last else 0  # of one message with several trades, say
        self.last = now
        self.alert = f"{watched.rule.name}/{self.key}/{now}" + (f".{self._same}" if self._same else "")
        watched.was_raised(now)
        out.append(self._told("raised", now))
        return NEVER

    def _resolve(self, now: int, out: list[Alert]) -> None:
        out.append(self._told("resolved", now))
        self.alert = ""
        self._ended = self._until is not None
        self.watched.was_changed()
        for crossing in self._crossings:
            crossing.disarm()
            crossing.observe(now)

    def _told(self, state: str, now: int) -> Alert:
        value = self._lead()
        self.value = value if isfinite(value) else None
        watched = self.watched
        flags = SIMULATED if self._board.simulated else 0
        text = self._text(state)
        return Alert(
            self.instrument, now, now, flags, watched.rule.name, state, self.value, text, watched.rule.severity, self.alert
        )

    def _text(self, state: str) -> str:
        watched = self.watched
        of = f"{self.instrument or self.key} " if watched.own else ""
        detail = f": {watched.subject} is {self.value:.10g}" if self.value is not None and watched.subject else ""
        if not detail and state == "raised" and watched.of_status and (reason := self._board.standing.reason):
            detail = f": {reason}"
        ended = "no longer " if state == "resolved" else ""
        mark = " (simulated)" if self._board.simulated else ""
        return f"{ended}{of}{watched.said}{detail}{mark}"


def of_status(node: Node) -> bool:
    return (isinstance(node, Is) and node.what.field == "status") or any(of_status(child) for child in children(node))
