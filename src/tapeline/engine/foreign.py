"""Other programs' raw recordings, a line at a time: what each line says, and when it was received.

    lines        `<time> <raw message>` or the raw message alone: Tapeline's own (`tape cat --raw`), and what people write
    hftbacktest  the same with a time in front of every line; its collector writes one .gz a symbol and day
    tardis       `2019-06-01T00:03:03.1238784Z <raw message>`, the data feeds of Tardis.dev; an empty line is where its connection
                 was lost. Or, from tardis-machine and the clients, `{"localTimestamp": "…", "message": <raw message>}`
    cryptofeed   `<seconds>.<fraction>: <raw message>`, and beside messages `<address> <-> <time>` (connected), `<address> <- <time>:
                 <sent>`, `<address> -> <time>: <HTTP answer>` and `configuration: …`. What was no text stands as Python writes bytes

Sources: docs.tardis.dev (data feeds; tardis-machine, "replaying historical data"), the files that cryptofeed's raw data collection
writes, those of hftbacktest's collector.

Times never pass through a float: the digits that a line has are the digits that are kept, nine of the fraction at most. Integer
times are told apart by their size (older collectors wrote microseconds): seconds, ms, µs and ns since 1970 differ by a factor of a
thousand, and each stays within three digits from 1973 to 5138.
"""

import ast
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Literal, NamedTuple

import msgspec

from tapeline.clock import MICRO, MILLI, SECOND, parse_iso
from tapeline.errors import UsageError

Format = Literal["lines", "hftbacktest", "tardis", "cryptofeed"]
FORMATS: tuple[Format, ...] = ("lines", "hftbacktest", "tardis", "cryptofeed")
LATEST = 1 << 63
LOOKED_AT = 50
"""Lines that are looked at to tell a format."""


class What(Enum):
    MESSAGE = "message"
    SENT = "sent"
    ANSWER = "answer"
    OPENED = "opened"
    LOST = "lost"
    NOTHING = "nothing"
    BAD = "bad"


class Said(NamedTuple):
    """One line. `ts` in ns, None where it tells none. `data`: the message, the answer's body, or of a BAD line all of it;
    `note`: the address it is of, or what is wrong.
    """

    what: What
    ts: int | None
    data: bytes
    note: str = ""


Parser = Callable[[bytes], Said]

NOTHING = Said(What.NOTHING, None, b"")
_UNITS = ((10**17, 1), (10**14, MICRO), (10**11, MILLI), (10**8, SECOND))
_EPOCH = re.compile(rb"(\d{9,11})(?:\.(\d+))?: ?")
_ADDRESSED = re.compile(rb"((?:https?|wss?)://\S+) (<->|<-|->) (\d{9,11})(?:\.(\d+))?(?:: ?|$)")
_ISO = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(?:Z|\+00:00)? ")
_BYTES = re.compile(rb"b(['\"]).*\1$", re.DOTALL)


def integer_time(digits: bytes) -> int | None:
    """Nanoseconds of an integer time, whatever its unit; None where it can be none."""
    if not digits.isdigit() or len(digits) > 19 or (n := int(digits)) >= LATEST:
        return None
    return next((n * unit for least, unit in _UNITS if n >= least), None)


def _nanoseconds(seconds: bytes, fraction: bytes | None) -> int:
    return int(seconds) * SECOND + int((fraction or b"").ljust(9, b"0")[:9])


def lines(line: bytes) -> Said:
    """A message with its time in front of it, or without."""
    if not line:
        return NOTHING
    head, space, rest = line.partition(b" ")
    if space and (ts := integer_time(head)) is not None:
        return Said(What.MESSAGE, ts, rest)
    return Said(What.MESSAGE, None, line)


def hftbacktest(line: bytes) -> Said:
    said = lines(line)
    if said.what is What.MESSAGE and said.ts is None:
        return Said(What.BAD, None, line, "it does not begin with a receive time")
    return said


class _Wrapped(msgspec.Struct):
    localTimestamp: str  # noqa: N815 - Tardis' name
    message: msgspec.Raw


_unwrap = msgspec.json.Decoder(_Wrapped).decode


class Tardis:
    """Both ways that Tardis gives raw messages."""

    def __init__(self) -> None:
        self._second, self._at = b"", 0

    def __call__(self, line: bytes) -> Said:
        if not line:
            return Said(What.LOST, None, b"", "the recording marks a lost connection")
        try:
            if line.startswith(b"{"):
                wrapped = _unwrap(line)
                return Said(What.MESSAGE, parse_iso(wrapped.localTimestamp), bytes(wrapped.message))
            if (found := _ISO.match(line)) is None:
                return Said(What.BAD, None, line, "it does not begin with an ISO time")
            return Said(What.MESSAGE, self._time(found[1], found[2]), line[found.end() :])
        except (ValueError, msgspec.MsgspecError, RecursionError) as e:
            return Said(What.BAD, None, line, f"it is no message of Tardis: {e}")

    def _time(self, second: bytes, fraction: bytes | None) -> int:
        if second != self._second:
            self._second, self._at = second, parse_iso(second.decode())
        return self._at + int((fraction or b"").ljust(9, b"0"))


def cryptofeed(line: bytes) -> Said:
    if not line or line.startswith(b"configuration:"):
        return NOTHING
    if (found := _EPOCH.match(line)) is not None:
        return _unquoted(What.MESSAGE, _nanoseconds(found[1], found[2]), line[found.end() :], line)
    if (found := _ADDRESSED.match(line)) is None:
        return Said(What.BAD, None, line, "it is no line of cryptofeed's raw data collection")
    what = {b"<->": What.OPENED, b"<-": What.SENT, b"->": What.ANSWER}[found[2]]
    said = _unquoted(what, _nanoseconds(found[3], found[4]), line[found.end() :], line)
    return said if said.what is What.BAD else said._replace(note=found[1].decode("utf-8", "replace"))


def _unquoted(what: What, ts: int, data: bytes, line: bytes) -> Said:
    if not _BYTES.match(data):
        return Said(what, ts, data)
    try:
        value = ast.literal_eval(data.decode("ascii"))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as e:
        return Said(What.BAD, ts, line, f"its bytes cannot be read: {e}")
    return Said(what, ts, value if isinstance(value, bytes) else data)


def parser(name: Format) -> Parser:
    """A reader of lines without their line ends; what it gives depends on nothing but the line."""
    made: dict[Format, Callable[[], Parser]] = {
        "lines": lambda: lines,
        "hftbacktest": lambda: hftbacktest,
        "tardis": Tardis,
        "cryptofeed": lambda: cryptofeed,
    }
    return made[name]()


def told(sample: Iterable[bytes], source: str) -> Format:
    """Which format lines are in, by the first that can be of one only. UsageError where none can."""
    for line in sample:
        if line.startswith(b'{"localTimestamp"') or _ISO.match(line):
            return "tardis"
        if line.startswith(b"configuration:") or _EPOCH.match(line) or _ADDRESSED.match(line):
            return "cryptofeed"
        if line[:1] in (b"{", b"[") or (b" " in line and integer_time(line.partition(b" ")[0]) is not None):
            return "lines"
    raise UsageError(f"{source}: its first lines are of no known raw recording; --format names one of {', '.join(FORMATS)}")
