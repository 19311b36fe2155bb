"""All rules over the stream of events: what is raised, what is resolved, and when it wants to look again.

    engine = Engine([Rule.of(name="wide", text="spread_bps > 5 for 10s")])
    alerts = engine.feed(events)        # in the order of the bus
    alerts = engine.advance(now)        # when `engine.due` has come and nothing did

No I/O and no clock: time is the receive time of events, and what `advance` says. What falls due before an event happens before it is
looked at, at the very time that it was due, so the same events make the same alerts, live, replayed and in whatever batches; the one
condition is that `advance` is never told a time that a later event comes before.

An event costs a look at the fields that somebody reads, and only rules that read one that changed are asked. Bounded: MOST_BINDINGS
pairs of a rule and an instrument, `refused` counts those past it.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any

import msgspec

from tapeline.alerts import fields
from tapeline.alerts.binding import Binding
from tapeline.alerts.board import BREAKS, SIMULATED, Board, breaks_all
from tapeline.alerts.compiling import Compiled
from tapeline.alerts.rule import Rule
from tapeline.alerts.standing import NEVER
from tapeline.alerts.values import Cell
from tapeline.alerts.watched import Watched
from tapeline.alerts.watchers import Now
from tapeline.clock import SECOND
from tapeline.engine.connections import is_simulated, label_of, real_name
from tapeline.errors import UsageError
from tapeline.events import Alert, Event, Status

MOST_BINDINGS = 200_000


class Needs(msgspec.Struct, frozen=True):
    """What rules read that has to be switched on: full names of metrics."""

    metrics: tuple[str, ...]


class Engine:
    def __init__(self, rules: Iterable[Rule] = (), *, quiet_until: int = 0) -> None:
        """`quiet_until`: nothing is raised before (ns); what is true then, is raised then."""
        self.rules: dict[str, Watched] = {}
        self.due = NEVER
        self.refused = 0
        self.quiet_until = quiet_until
        self._now = Now()
        self._boards: dict[str, Board] = {}
        self._met: set[str] = set()  # instruments that had an event, with their rules bound
        self._named: dict[str, list[Watched]] = {}  # rules by the instruments they name
        self._open: list[Watched] = []  # those of every instrument, or of a wildcard
        self._timers: list[tuple[int, int, Binding]] = []
        self._bindings = self._made = self._stamp = 0
        for rule in rules:
            self.add(rule)

    # Rules

    def add(self, rule: Rule, state: bytes | None = None, *, muted: bool = False) -> None:
        """From now on. `state`: as `states` gave it. Raises RuleError, and UsageError where the name is taken."""
        if rule.name in self.rules:
            raise UsageError(f"there is a rule {rule.name} already")
        watched = Watched(rule, muted=muted, quiet_until=self.quiet_until)
        if state is not None:
            watched.restore(state)
        self.rules[rule.name] = watched
        if watched.own and (not (scope := watched.checked.sentence.scope) or any(s.endswith("*") for s in scope)):
            self._open.append(watched)
        else:
            for name in self._keys(watched):
                self._named.setdefault(name, []).append(watched)
                self._named.setdefault(shown(name), []).append(watched)
        for name in sorted(self._met):
            self._bind(watched, name)
        self._soon(watched)

    def _soon(self, watched: Watched) -> None:
        """Look at it before anything else comes: what holds already may change nothing more."""
        for binding in watched.bindings.values():
            self._wake(binding, self._now.at)

    def remove(self, name: str) -> None:
        """It is watched no more. Raises UsageError where there is none."""
        watched = self.rules.pop(name, None)
        if watched is None:
            raise UsageError(f"there is no rule {name}; there are {', '.join(self.rules) or 'none'}")
        gone = set(watched.bindings.values())
        self._open = [w for w in self._open if w is not watched]
        self._named = {key: left for key, ws in self._named.items() if (left := [w for w in ws if w is not watched])}
        self._bindings -= len(gone)
        for binding in gone:
            binding.due = NEVER
        for board in self._boards.values():
            for cell in (board.status, *board.cells.values()):
                cell.readers[:] = [b for b in cell.readers if b not in gone]

    def replace(self, rule: Rule, state: bytes | None = None, *, muted: bool = False) -> None:
        """Add it, in place of another one of its name, if there is one. The same rule goes on from where it is; one that was to be
        raised once may be raised again once it is muted no more.
        """
        known = self.rules.get(rule.name)
        if known is not None and known.rule == rule:
            if known.muted and not muted:
                known.rearm()
            known.muted = muted
            self._soon(known)
            return
        if known is not None:
            self.remove(rule.name)
        self.add(rule, state, muted=muted)

    def needs(self) -> Needs:
        metrics = [fields.find(name.field).metric for watched in self.rules.values() for name in watched.names]
        return Needs(tuple(dict.fromkeys(metric for metric in metrics if metric)))

    def states(self, *, changed: bool = False) -> dict[str, bytes]:
        """What of each rule survives a restart; with `changed` of those alone that changed since they were asked last."""
        found = {name: w for name, w in self.rules.items() if w.changed or not changed}
        for watched in found.values():
            watched.changed = False
        return {name: watched.state() for name, watched in found.items()}

    def rows(self) -> dict[str, dict[str, Any]]:
        """Of each rule: `state` ("raised", "armed", "spent", "muted", or "waiting" while nothing came that it is of), `since` (ns)
        and `value` of its latest alert, `raised`, how often it was; `warming`: seconds until its windows are whole.
        """
        warming = self.warming()
        return {name: watched.row() | {"warming": warming.get(name, 0) / SECOND} for name, watched in self.rules.items()}

    def warming(self) -> dict[str, int]:
        """Rules that have a window that is not whole yet, and how many ns are left at most, as far as is known."""
        left = {
            name: max((window.left() for b in w.bindings.values() for window in b.windows), default=0)
            for name, w in self.rules.items()
            if not w.rule.incomplete
        }
        return {name: ns for name, ns in left.items() if ns}

    # Events

    def feed(self, events: Iterable[Event]) -> list[Alert]:
        """What they raise and resolve, in order."""
        out: list[Alert] = []
        now, boards = self._now, self._boards
        for e in events:
            ts = e.ts_recv
            if ts >= self.due:
                self._fire(ts, out)
            if ts > now.at:
                now.at = ts
            name = e.instrument
            if name not in self._met:
                if not name:
                    if type(e) is Status:
                        self._of_venue(e, out)
                    continue
                self._meet(name, e)
            take = boards[name].takes.get(type(e))
            if take is not None and (changed := take(e)):
                self._look(changed, out)
        return out

    def advance(self, now: int) -> list[Alert]:
        """Time has passed, and nothing has come up to now."""
        out: list[Alert] = []
        self._fire(now, out)
        self._now.at = max(self._now.at, now)
        return out

    def _look(self, changed: list[Cell], out: list[Alert]) -> None:
        now = self._now.at
        if len(changed) == 1:
            for binding in changed[0].readers:
                self._wake(binding, binding.look(now, out))
            return
        self._stamp += 1
        stamp = self._stamp
        for cell in changed:
            for binding in cell.readers:
                if binding.stamp != stamp:
                    binding.stamp = stamp
                    self._wake(binding, binding.look(now, out))

    def _wake(self, binding: Binding, due: int) -> None:
        if due < binding.due:
            binding.due = due
            heappush(self._timers, (due, binding.number, binding))
            self.due = min(self.due, due)

    def _fire(self, until: int, out: list[Alert]) -> None:
        """Look at what fell due, in the order of time; of equal times at what was bound first."""
        timers, now = self._timers, self._now
        while timers and timers[0][0] <= until:
            due, _, binding = heappop(timers)
            if due == binding.due:
                now.at = max(now.at, due)
                binding.due = NEVER
                self._wake(binding, binding.look(now.at, out))
        self.due = timers[0][0] if timers else NEVER

    def _of_venue(self, e: Status, out: list[Alert]) -> None:
        """Of connections: it may be a rule's own concern, and may leave in doubt what every instrument of the venue last said."""
        name = f"{e.venue}:"
        if name not in self._met:
            self._meet(name, e)
        changed = []
        if e.kind in BREAKS and breaks_all(e):
            for board in list(self._boards.values()):
                if board.instrument != name and (not e.venue or board.instrument.startswith(name)):
                    changed += board.lose("")
        changed += self._board(name).takes[Status](e)
        self._look(changed, out)

    # Instruments

    def _meet(self, name: str, e: Event) -> None:
        """The first event of an instrument: now the rules that are of it begin."""
        self._met.add(name)
        board = self._board(name)
        board.simulated = bool(e.flags & SIMULATED)
        for watched in [*self._named.get(name, ()), *self._open]:
            self._bind(watched, name)

    def _board(self, name: str) -> Board:
        board = self._boards.get(name)
        if board is None:
            board = self._boards[name] = Board(name)
        return board

    @staticmethod
    def _keys(watched: Watched) -> list[str]:
        """The instruments whose first event lets a rule begin."""
        scope = watched.checked.sentence.scope
        return list(scope) if watched.own else list(dict.fromkeys(name.instrument for name in watched.names))

    def _bind(self, watched: Watched, name: str) -> None:
        """Begin to look at a rule for an instrument, if it is of it."""
        simulated = is_simulated(name.partition(":")[0])
        if not watched.own:
            keys = self._keys(watched)
            if name not in keys and name not in map(shown, keys):
                return
            key = instrument = shown(keys[0]) if simulated else keys[0]
        else:
            if not _within(watched.checked.sentence.scope, name) or (name.endswith(":") and not watched.of_status):
                return
            if name.startswith("group:") and not watched.checked.sentence.scope and not watched.of_group:
                return
            key, instrument = name, "" if name.endswith(":") else name
        if key in watched.bindings:
            return
        if self._bindings >= MOST_BINDINGS:
            self.refused += 1
            return
        self._make(watched, key, instrument, name, simulated=simulated)

    def _make(self, watched: Watched, key: str, instrument: str, name: str, *, simulated: bool) -> None:
        def board_of(written: str) -> Board:
            return self._board((shown(written) if simulated else written) if written else name)

        def venue_of(written: str) -> Board:
            of = board_of(written).instrument
            return self._board(f"{of.partition(':')[0]}:")

        scope = watched.checked.sentence.scope
        explicit = not watched.own or _named(scope, name)
        made = Compiled(
            board_of,
            self._now,
            watched.checked.hysteresis,
            lenient=watched.rule.incomplete,
            with_venue=venue_of if explicit else None,
        )
        self._bindings, self._made = self._bindings + 1, self._made + 1
        board = self._board(name)
        binding = Binding(watched, key, instrument, self._made, made, board)
        binding.reads(made.cells)
        watched.bind(binding)


def shown(name: str) -> str:
    """What a simulated market calls it: `binance:BTC-USDT` → `sim:BTC-USDT`."""
    label, _, symbol = name.partition(":")
    return name if is_simulated(label) or label == "group" else f"{label_of(label, simulated=True)}:{symbol}"


def _real(name: str) -> str:
    return real_name(name) if is_simulated(name.partition(":")[0]) else name


def _named(scope: tuple[str, ...], name: str) -> bool:
    """By its name, and not by a wildcard."""
    return name in scope or any(shown(one) == name for one in scope if not one.endswith("*"))


def _within(scope: tuple[str, ...], name: str) -> bool:
    if not scope or _named(scope, name):
        return True
    both = (name, _real(name))
    return any(one.endswith("*") and text.startswith(one[:-1]) for one in scope for text in both)
