"""Frames: what crossed the wire, and nothing else. They are the pipeline's only input.

A session's first frame is SESSION; every connection lives between its OPENED and its CLOSED frame. Frames are numbered
from 0 within a session; that number, the *seq*, is the tape position that sinks commit with their data.

Layout of `data` by kind:

    RECV, BINARY   the message's bytes as received (text, binary), fragments joined, inflated
    SENT           the message's bytes as sent; secrets masked
    PING, PONG     the control frame's payload (PING: the peer's or ours, PONG: the peer's answer)
    HTTP           `HttpAnswer` as JSON, one newline, then the body's bytes
    OPENED         `Opened` as JSON
    CLOSED         `Closed` as JSON
    TICK           empty: time passed and timers fell due while no frame came (docs/decisions/0001)
    SESSION        `Session` as JSON
    LOST           `Lost` as JSON: the tape could not be written for a while; books and bars begin anew from here, live
                   and replayed alike, because the replay lacks what came in between
    END            empty: the session was ended on purpose. Bars that are still open are given out, as incomplete
    GONE           `Gone` as JSON: streams that are wanted no more, and of which no message could tell the venue
    ALERT          an `Alert` event as JSON (`events.to_json`): a rule that came true, or false again (docs/decisions/0017)
    SWITCHED       `Switched` as JSON: metrics or bars that are wanted from here on, beside those of the session's head
"""

from enum import IntEnum
from typing import Any

import msgspec


class FrameKind(IntEnum):
    RECV = 1
    BINARY = 2
    SENT = 3
    HTTP = 4
    OPENED = 5
    CLOSED = 6
    PING = 7
    PONG = 8
    TICK = 9
    SESSION = 10
    LOST = 11
    END = 12
    GONE = 13
    ALERT = 14
    SWITCHED = 15


class Frame(msgspec.Struct, frozen=True, gc=False):
    """`ts_recv`: our clock, ns UTC, never decreasing within a session. `conn`: connection number, 0 where there is none."""

    ts_recv: int
    kind: int
    conn: int
    data: bytes


class Opened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A connection that is up. `venue` is the protocol it speaks; `simulated` says that no real venue is behind it.

    `replaces` names the connection that this one takes over from (a planned reconnect); 0 is none.
    `streams` are the venue-native stream names asked for on it.
    """

    venue: str
    url: str
    streams: list[str] = []
    replaces: int = 0
    simulated: bool = False
    attempt: int = 0


class Closed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code`: WebSocket close code, 1006 where the peer said nothing. `planned`: we closed it, having a successor or no more use."""

    code: int
    reason: str = ""
    planned: bool = False


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one of our requests. `status` 0: there was no answer, `error` says why.

    `purpose` ("book", "instruments", "probe") and `native` (the venue's symbol) say what was asked for;
    `simulated` as in `Opened`. `headers` holds the few that matter (weights, Retry-After).
    """

    venue: str
    purpose: str
    url: str
    status: int
    native: str = ""
    attempt: int = 0
    error: str = ""
    headers: dict[str, str] = {}
    simulated: bool = False


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an imported session was made from. `digest`: SHA-256 of the unpacked bytes, by which a second import is known."""

    name: str
    digest: str
    bytes: int
    format: str


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The head of a session: which program wrote it, and every setting that shapes the events made from it: the pipeline's, and of
    `venues` those few that do. `sources`: of a session that was not streamed but imported (engine/importing.py).
    """

    id: str
    version: str
    pipeline: dict[str, Any] = {}
    venues: dict[str, dict[str, Any]] = {}
    note: str = ""
    sources: list[Source] = []


class Lost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`frames` frames since `since` (ns) were handled but not recorded."""

    frames: int
    since: int
    reason: str


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """Streams of a venue that a connection carried, and that its successors will not. Another connection may."""

    venue: str
    streams: list[str]


class Switched(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings of the pipeline that were added while it ran; what is on already stays as it is."""

    metrics: list[str] = []
    bars: list[str] = []
    groups: list[str] = []


_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(HttpAnswer).decode
_decode_opened = msgspec.json.Decoder(Opened).decode
_decode_closed = msgspec.json.Decoder(Closed).decode
_decode_gone = msgspec.json.Decoder(Gone).decode
_decode_lost = msgspec.json.Decoder(Lost).decode
_decode_switched = msgspec.json.Decoder(Switched).decode
_decode_session = msgspec.json.Decoder(Session).decode


def pack(head: Opened | Closed | Session | Lost | Gone | Switched) -> bytes:
    return _encode(head)


def pack_answer(answer: HttpAnswer, body: bytes) -> bytes:
    return _encode(answer) + b"\n" + body


def unpack_answer(data: bytes) -> tuple[HttpAnswer, bytes]:
    """Raises msgspec.DecodeError or ValueError where `data` is none."""
    head, _, body = data.partition(b"\n")
    return _decode_answer(head), body


def unpack_opened(data: bytes) -> Opened:
    return _decode_opened(data)


def unpack_closed(data: bytes) -> Closed:
    return _decode_closed(data)


def unpack_session(data: bytes) -> Session:
    return _decode_session(data)


def unpack_lost(data: bytes) -> Lost:
    return _decode_lost(data)


def unpack_gone(data: bytes) -> Gone:
    return _decode_gone(data)


def unpack_switched(data: bytes) -> Switched:
    return _decode_switched(data)
