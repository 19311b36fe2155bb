"""Everything that can go wrong, as data.

A fault is a typed record; armed, it acts where it belongs and counts its `hits`. Three families:

*   **message** faults change what a stream says (`Drop` … `Oversize`). `stream` is a glob over stream names
    (`btcusdt@depth*`), `after` messages pass first, then every `every`-th is hit, `times` times (0: without end).
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
    stream: str = "*@depth*"
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
    how: Literal["truncated", "utf8", "nan", "exponent", "negative", "huge_id", "wrong_type", "empty", "not_json"] = "truncated"


class Crossed(MessageFault, frozen=True, kw_only=True, tag="crossed"):
    """A diff gets a bid above its asks, which no later diff removes."""


class Skew(MessageFault, frozen=True, kw_only=True, tag="skew"):
    """`E` and `T` moved by `ms`; negative runs the venue's clock backwards."""

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


class NeverAck(Fault, frozen=True, kw_only=True, tag="never_ack"):
    """The next `times` control messages are obeyed, but not answered."""

    times: int = 1


class AckError(Fault, frozen=True, kw_only=True, tag="ack_error"):
    """The next `times` control messages are answered with an error and not obeyed."""

    times: int = 1
    code: int = 2
    msg: str = "Invalid request: simulated"


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
    """Depth answers wait `seconds`; `fresh`: and are taken only then, otherwise taken at once and old on arrival."""

    times: int = 1
    seconds: float = 2.0
    fresh: bool = False


class StaleSnapshot(Fault, frozen=True, kw_only=True, tag="stale_snapshot"):
    """Depth answers show the book as it stood when the fault was armed: older than any later buffer."""

    times: int = 1


AnyFault = (
    Drop
    | Duplicate
    | Reorder
    | Split
    | Malformed
    | Crossed
    | Skew
    | Fragment
    | Oversize
    | Stall
    | Silence
    | Close
    | Shutdown
    | Reset
    | NeverAck
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
