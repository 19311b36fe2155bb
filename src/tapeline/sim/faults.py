"""Everything that can go wrong, as data.

A fault is a typed record; armed, it acts where it belongs and counts its `hits`. Three families:

*   **message** faults change what a stream says (`Drop` … `Oversize`). `stream` is a glob over stream names
    (`btcusdt@depth*`), empty: the venue's book streams; `after` messages pass first, then every `every`-th is hit, `times` times
    (0: without end). Where a venue stamps each connection's messages, one hit is one message on one connection.
*   **connection** faults act on connections (`Silence` … `Refuse`); `delay` seconds after arming, again each `repeat` seconds.
*   **HTTP** faults act on requests (`HttpFail`, `LateSnapshot`, `StaleSnapshot`), `times` times; `path` is a glob.

As text (command line): `drop:stream=btcusdt@depth*,after=20,times=3`. As JSON (control address): `{"fault": "drop", …}`.
`venue` empty means every venue.
"""

from typing import Any, Literal, get_args

import msgspec

from tapeline.errors import UsageError


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="fault", forbid_unknown_fields=True):
    venue: str = ""


class MessageFault(Fault, frozen=True, kw_only=True):
    stream: str = ""
    after: int = 0
    every: int = 1
    times: int = 1


class Drop(MessageFault, frozen=True, kw_only=True, tag="drop"):
    """Never sent, though the ids went on: a gap. On trades: a hole in the trade ids."""


class Duplicate(MessageFault, frozen=True, kw_only=True, tag="duplicate"):
    """Sent `copies` times more. Many copies of a bookTicker make a burst."""

    copies: int = 1


class Reorder(MessageFault, frozen=True, kw_only=True, tag="reorder"):
    """Sent after its successor in the same stream."""


class Split(MessageFault, frozen=True, kw_only=True, tag="split"):
    """One diff sent as two that cover its ids in turn: legal, and a client must take it."""


class Malformed(MessageFault, frozen=True, kw_only=True, tag="malformed"):
    how: Literal[
        "truncated",
        "utf8",
        "nan",
        "exponent",
        "zero_exponent",
        "minus_zero",
        "negative",
        "zero_price",
        "huge_id",
        "epoch",
        "year_one",
        "wrong_type",
        "empty",
        "not_json",
    ] = "truncated"


class Crossed(MessageFault, frozen=True, kw_only=True, tag="crossed"):
    """A diff gets a bid above its asks, which no later diff removes."""


class Checksum(MessageFault, frozen=True, kw_only=True, tag="checksum"):
    """A book message with a wrong checksum, where the venue sends one."""


class Skew(MessageFault, frozen=True, kw_only=True, tag="skew"):
    """The venue's times moved by `ms`; negative runs its clock backwards."""

    stream: str = "*"
    ms: int = -5_000


class Fragment(MessageFault, frozen=True, kw_only=True, tag="fragment"):
    """Sent as `parts` WebSocket frames with a ping between them: legal."""

    parts: int = 3


class Oversize(MessageFault, frozen=True, kw_only=True, tag="oversize"):
    """The message grows to `megabytes` by an unknown key: legal, and large."""

    megabytes: float = 10.0


class Stall(MessageFault, frozen=True, kw_only=True, tag="stall"):
    """`count` messages are held back, then come all at once."""

    count: int = 100


class ActionFault(Fault, frozen=True, kw_only=True):
    delay: float = 0.0
    repeat: float = 0.0


class Silence(ActionFault, frozen=True, kw_only=True, tag="silence"):
    """Connections stay open and say nothing for `seconds`; without `pings` not even those. What was due is lost."""

    seconds: float = 30.0
    pings: bool = True


class Close(ActionFault, frozen=True, kw_only=True, tag="close"):
    """All connections closed: 1006 without a word, 1005 with an empty close frame."""

    code: int = 1006
    reason: str = ""


class Shutdown(ActionFault, frozen=True, kw_only=True, tag="shutdown"):
    """The venue announces its shutdown and closes the connections that it had then, `grace` seconds later."""

    grace: float = 5.0


class Reset(ActionFault, frozen=True, kw_only=True, tag="reset"):
    """Update ids begin anew after `last`, in the market itself; `symbol` empty means all."""

    symbol: str = ""
    last: int = 0


class Resnapshot(ActionFault, frozen=True, kw_only=True, tag="resnapshot"):
    """A book snapshot in the middle of the stream (glob, empty: books), where they begin on the socket: legal."""

    stream: str = ""


class Halt(ActionFault, frozen=True, kw_only=True, tag="halt"):
    """Trading ends and the book empties, `symbol` empty: everywhere; after `seconds` it opens again (0: delisted)."""

    symbol: str = ""
    seconds: float = 0.0


class Burst(ActionFault, frozen=True, kw_only=True, tag="burst"):
    """The whole market is `factor` times as busy for `seconds`."""

    factor: float = 30.0
    seconds: float = 2.0


class NeverAck(Fault, frozen=True, kw_only=True, tag="never_ack"):
    """The next `times` control messages are obeyed, but not acknowledged; snapshots and data come."""

    times: int = 1


class LateAck(Fault, frozen=True, kw_only=True, tag="late_ack"):
    """The next `times` control messages are acknowledged `seconds` later: after the first data."""

    times: int = 1
    seconds: float = 0.5


class SwapAcks(Fault, frozen=True, kw_only=True, tag="swap_acks"):
    """The next `times` acknowledgements of a connection come all at once, the last first."""

    times: int = 2


class AckError(Fault, frozen=True, kw_only=True, tag="ack_error"):
    """The next `times` control messages are answered with an error and not obeyed. `one`: only the first of their topics is
    refused, where the venue judges them one by one.
    """

    times: int = 1
    code: int = 2
    msg: str = "Invalid request: simulated"
    one: bool = False


class Refuse(Fault, frozen=True, kw_only=True, tag="refuse"):
    """The next `times` WebSocket handshakes (0: all) are answered with `status`."""

    times: int = 1
    status: int = 429
    retry_after: float | None = None


class HttpFail(Fault, frozen=True, kw_only=True, tag="http"):
    """The next `times` HTTP requests (0: all) to `path` are answered with `status`."""

    times: int = 1
    path: str = "*"
    status: int = 503
    retry_after: float | None = None


class LateSnapshot(Fault, frozen=True, kw_only=True, tag="late_snapshot"):
    """Book answers wait `seconds`; `fresh`: and are taken only then, otherwise taken at once and old on arrival."""

    times: int = 1
    seconds: float = 2.0
    fresh: bool = False


class StaleSnapshot(Fault, frozen=True, kw_only=True, tag="stale_snapshot"):
    """Book answers show the book as it stood when the fault was armed: older than any later buffer."""

    times: int = 1


AnyFault = (
    Drop
    | Duplicate
    | Reorder
    | Split
    | Malformed
    | Crossed
    | Checksum
    | Skew
    | Fragment
    | Oversize
    | Stall
    | Silence
    | Close
    | Shutdown
    | Reset
    | Resnapshot
    | Halt
    | Burst
    | NeverAck
    | LateAck
    | SwapAcks
    | AckError
    | Refuse
    | HttpFail
    | LateSnapshot
    | StaleSnapshot
)
NAMES: tuple[str, ...] = tuple(str(kind.__struct_config__.tag) for kind in get_args(AnyFault))


def convert(record: Any) -> AnyFault:
    """From a mapping, numbers in text allowed. UsageError names what is wrong."""
    try:
        fault: AnyFault = msgspec.convert(record, AnyFault, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{record!r} is no fault: {error}; known are {', '.join(NAMES)}") from None
    return fault


def parse(text: str) -> AnyFault:
    """`name:key=value,key=value`. UsageError on anything else."""
    name, _, rest = text.partition(":")
    record: dict[str, Any] = {"fault": name}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"{part!r} in fault {text!r} is not key=value")
        record[key] = value
    return convert(record)
