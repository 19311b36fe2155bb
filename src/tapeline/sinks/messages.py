"""Events as messages of a durable log: what the sinks `kafka`, `nats` and `redis` share. Nothing here knows a server.

One message is one event. Its body is the event's JSON (`events.to_json`), beside it stand

    type      the kind of event: trade, quote, book, …
    session   the session that recorded it
    n         its number in the session, counted over all kinds from 0: (session, n) names one event, and gives the order
    seq       the frame up to which the commit went that brought it: what is published up to now, not part of the event

It belongs to a place, `venue:symbol`: the instrument, or `venue:_` for what is said of a whole connection. Within a place and a
session messages are in order. The same tape gives the same events and so the same numbers: that is what makes a repeated commit
recognisable.

A body larger than the server takes is cut into parts; all have the same `n`, and `part` and `parts` count them from 1. A part 1
that comes when another was awaited begins the event anew.

How far a session has come is a `Reached`, kept on the server in the same step as the messages, or found again from them.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Event, to_json
from tapeline.sinks.hold import Hold
from tapeline.sinks.storable import storable

FOLDER = "publish"
WHOLE_CONNECTION = "_"


class Message(NamedTuple):
    kind: str
    place: str
    n: int
    body: bytes


class Reached(msgspec.Struct, frozen=True, omit_defaults=True):
    """`n` events of the frames up to `seq` are out, and `ahead` events of the frames after it: a commit that was cut short."""

    seq: int = -1
    n: int = 0
    ahead: int = 0
    finished: bool = False

    def past(self, seq: int, count: int) -> Self:
        """After a commit of `count` events up to `seq`. It may be shorter than one that was cut short before it."""
        return msgspec.structs.replace(self, seq=seq, n=self.n + count, ahead=max(0, self.ahead - count))

    def advanced(self, count: int) -> Self:
        """Within a commit, of which `count` more events are out."""
        return msgspec.structs.replace(self, ahead=self.ahead + count)


_LONG = re.compile(rb"\d{20}|9[2-9]\d{17}").search
"""Finds every integer that is past int64, and a few that are not."""
_reached = msgspec.json.Decoder(Reached).decode


def encode(reached: Reached) -> bytes:
    return msgspec.json.encode(reached)


def decode(raw: bytes | None, where: str) -> Reached:
    """The inverse of `encode`; a new session where there is nothing. Raises IntegrityError on what we have not written."""
    if raw is None:
        return Reached()
    try:
        return _reached(raw)
    except msgspec.DecodeError as e:
        raise IntegrityError(f"{where} holds {raw[:80]!r}, which is no position of ours ({e}): remove it") from e


def check_follows(sink: str, session: str, seq: int, reached: Reached) -> None:
    if seq <= reached.seq:
        raise IntegrityError(f"{sink}: frame {seq} of session {session} is not past the committed {reached.seq}")


def place(event: Event) -> str:
    if event.instrument:
        return event.instrument
    return f"{getattr(event, 'venue', '') or WHOLE_CONNECTION}:{WHOLE_CONNECTION}"


def messages(events: Sequence[Event], reached: Reached) -> Iterator[Message]:
    """The messages of a commit that begins where `reached` stands, without those that are out already."""
    for n, event in enumerate(events[reached.ahead :], reached.n + reached.ahead):
        yield message(event, n)


def message(event: Event, n: int) -> Message:
    """JSON has integers of any length, but most of its readers have not: what no int64 holds is treated as in every sink."""
    try:
        body = to_json(event)
        odd = _LONG(body) is not None
    except (OverflowError, UnicodeEncodeError):
        odd = True
    if odd:
        event = storable(event)
        body = to_json(event)
    return Message(str(event.__struct_config__.tag), place(event), n, body)


def portions(given: Iterator[Message], count: int, size: int) -> Iterator[list[Message]]:
    """At most `count` messages together, and no more once they have `size` bytes."""
    portion: list[Message] = []
    held = 0
    for each in given:
        portion.append(each)
        held += len(each.body)
        if len(portion) >= count or held >= size:
            yield portion
            portion, held = [], 0
    if portion:
        yield portion


def parts(body: bytes, most: int) -> list[bytes]:
    """The body, or its pieces of at most `most` bytes."""
    if len(body) <= most:
        return [body]
    return [body[i : i + most] for i in range(0, len(body), most)]


class Claim:
    """This data directory as a writer: who we are to a server, and that no other process is the same.

    The id is kept in the directory, not made from its path or the machine: a directory that moves stays the same writer.
    """

    def __init__(self, data: Path, sink: str) -> None:
        """Raises ConfigError where another process writes from this directory, or where it cannot be written."""
        folder = data / FOLDER
        self._hold = Hold(folder / f"{sink}.lock")
        try:
            self.writer = _id(folder / "writer")
        except (OSError, UnicodeDecodeError) as e:
            self._hold.release()
            raise ConfigError("data", str(folder), f"cannot be written ({e}); set a directory that can") from e

    def release(self) -> None:
        self._hold.release()


def _id(path: Path) -> str:
    if path.exists() and (kept := path.read_text().strip()):
        return kept
    made = secrets.token_hex(8)
    new = path.with_name(f"writer.{made}")
    new.write_text(made)
    try:
        path.hardlink_to(new)  # of several sinks that begin at once, one makes it
    except FileExistsError:
        return path.read_text().strip()
    finally:
        new.unlink()
    return made
