"""The layer between market and wire where armed faults act.

Every message passes `messages`, every HTTP request `http` and `snapshot`, every handshake `refuse`, every control message
`control`. Each returns what is to happen and counts a hit. A fault that has hit as often as it should is *spent*; it stays
listed, so that a test can ask how often it acted.
"""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tapeline.sim import faults as f
from tapeline.sim import spoil

if TYPE_CHECKING:
    from tapeline.sim.wire import Wire

Message = tuple[bytes, int]
"""Body, and the number of WebSocket fragments to send it in (0: whole)."""
F = TypeVar("F", bound=f.Fault)
Where = tuple[str, str, int]
"""Venue, stream, and the connection's number where each connection has messages of its own, else 0."""
Control = f.NeverAck | f.LateAck | f.SwapAcks | f.AckError


class Armed:
    """One fault at work. `held` are messages kept back; `frozen` the books of a stale snapshot."""

    def __init__(self, fault: f.AnyFault) -> None:
        self.fault = fault
        self.seen = self.hits = 0
        self.held: dict[Where, list[Message]] = {}
        self.frozen: dict[str, Any] = {}

    @property
    def spent(self) -> bool:
        times = getattr(self.fault, "times", 0)
        return bool(times) and self.hits >= times

    def report(self) -> dict[str, Any]:
        return {**msgspec.to_builtins(self.fault), "hits": self.hits, "spent": self.spent}


class FaultBox:
    def __init__(self) -> None:
        self.armed: list[Armed] = []
        self.watching = False
        self.wires: dict[str, Wire] = {}  # by venue: what each can spoil by itself

    def arm(self, fault: f.AnyFault) -> Armed:
        armed = Armed(fault)
        self.armed.append(armed)
        self._watch()
        return armed

    def clear(self) -> None:
        """Disarm everything; messages held back are lost."""
        self.armed.clear()
        self._watch()

    def _watch(self) -> None:
        """Streams pay for faults only while a message fault can still act or holds something back."""
        self.watching = any(isinstance(a.fault, f.MessageFault) and (not a.spent or any(a.held.values())) for a in self.armed)

    def _next(self, kind: type[F] | tuple[type[F], ...], venue: str) -> tuple[Armed, F] | None:
        for armed in self.armed:
            fault = armed.fault
            if isinstance(fault, kind) and fault.venue in {"", venue} and not armed.spent:
                return armed, fault
        return None

    def messages(self, venue: str, stream: str, payload: bytes, conn: int = 0) -> list[Message]:
        """What is sent instead of `payload`."""
        out: list[Message] = [(payload, 0)]
        for armed in self.armed:
            fault = armed.fault
            if not isinstance(fault, f.MessageFault) or fault.venue not in {"", venue}:
                continue
            if fnmatchcase(stream, fault.stream or self.wires[venue].book_streams):
                out = [sent for message in out for sent in self._one(armed, fault, (venue, stream, conn), message)]
        self._watch()
        return out

    def _one(self, armed: Armed, fault: f.MessageFault, place: Where, message: Message) -> list[Message]:
        held = armed.held.get(place)
        if held and isinstance(fault, f.Reorder):
            return [message, *armed.held.pop(place)]
        if held and isinstance(fault, f.Stall):
            held.append(message)
            return armed.held.pop(place) if len(held) >= fault.count else []
        if armed.spent:
            return [message]
        armed.seen += 1
        if armed.seen <= fault.after or (armed.seen - fault.after - 1) % max(1, fault.every):
            return [message]
        armed.hits += 1
        return self._spoil(armed, fault, place, message)

    def _spoil(self, armed: Armed, fault: f.MessageFault, place: Where, message: Message) -> list[Message]:
        body, parts = message
        wire = self.wires[place[0]]
        match fault:
            case f.Drop():
                return []
            case f.Duplicate():
                return [message] * (1 + fault.copies)
            case f.Reorder() | f.Stall():
                armed.held[place] = [message]
                return []
            case f.Split():
                return [(part, parts) for part in wire.split(body)]
            case f.Malformed():
                return [(wire.malform(body, fault.how), parts)]
            case f.Crossed():
                return [(wire.cross(body), parts)]
            case f.Checksum():
                return [(wire.corrupt(body), parts)]
            case f.Skew():
                return [(wire.skew(body, fault.ms), parts)]
            case f.Fragment():
                return [(body, fault.parts)]
            case f.Oversize():
                return [(spoil.oversize(body, fault.megabytes), parts)]
        return [message]

    def _hit(self, kind: type[F], venue: str) -> tuple[Armed, F] | None:
        found = self._next(kind, venue)
        if found:
            found[0].hits += 1
        return found

    def refuse(self, venue: str) -> f.Refuse | None:
        found = self._hit(f.Refuse, venue)
        return found[1] if found else None

    def control(self, venue: str) -> Control | None:
        kinds: tuple[type[Control], ...] = (f.NeverAck, f.LateAck, f.SwapAcks, f.AckError)
        for kind in kinds:
            found = self._hit(kind, venue)
            if found:
                return found[1]
        return None

    def http(self, venue: str, path: str) -> f.HttpFail | None:
        for armed in self.armed:
            fault = armed.fault
            if (
                isinstance(fault, f.HttpFail)
                and not armed.spent
                and fault.venue in {"", venue}
                and fnmatchcase(path, fault.path)
            ):
                armed.hits += 1
                return fault
        return None

    def late(self, venue: str) -> f.LateSnapshot | None:
        found = self._hit(f.LateSnapshot, venue)
        return found[1] if found else None

    def stale(self, venue: str) -> dict[str, Any] | None:
        """Books by `venue:native` as they stood when the fault was armed."""
        found = self._hit(f.StaleSnapshot, venue)
        return found[0].frozen if found else None
