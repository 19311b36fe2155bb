"""Bytes of a good message to bytes of a bad one. Pure, and as good as ignorant of venues.

All it takes for granted is that a message is JSON, that prices, sizes, ids and times stand under one of the names that venues
use, a price before its size, and that books are lists of levels. What needs more (splitting a diff) a wire does itself.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

_NAMED = re.compile(
    rb'"(?:(?:p|px|price|price_level|q|v|qty|sz|size|new_quantity|last)":("-?\d+(?:\.\d+)?"|-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)'
    rb'|(?:bp1|b|B|a|A)":("-?\d+(?:\.\d+)?"|-?\d+\.\d+))'
)
_LISTED = re.compile(rb'(?<=[\[,])("-?\d+(?:\.\d+)?"|-?\d+\.\d+)')
"""A price or size, in a text or as such: under one of the names that venues use; in a list where there are none of those."""
_ID = re.compile(rb'"(u|t|a|lastUpdateId|seq|seqId|tradeId|trade_id|sequence|sequence_num|i)":("?)\d+("?)')
_TIME = re.compile(rb'"(E|T|ts|cts|t|time)":("?)(\d{13,19})("?)')
_ISO = re.compile(rb'"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?)(Z|\+00:00)"')
_CHECKSUM = re.compile(rb'"checksum":(-?\d+)')


def _number(payload: bytes, nth: int, text: bytes) -> bytes:
    """The nth price or size replaced; the last where there are fewer."""
    found = list(_NAMED.finditer(payload)) or list(_LISTED.finditer(payload))
    if not found:
        return payload
    match = found[min(nth, len(found) - 1)]
    start, end = match.span(match.lastindex or 0)
    return payload[:start] + text + payload[end:]


def _times(payload: bytes, millis: int, iso: bytes) -> bytes:
    def ago(match: re.Match[bytes]) -> bytes:
        return b'"%b":%b%d%b' % (match[1], match[2], millis, match[4])

    return _ISO.sub(iso, _TIME.sub(ago, payload))


_HOW: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda p: p[: len(p) // 2],
    "utf8": lambda p: p.replace(b'"s":"', b'"s":"\xff\xfe', 1) if b'"s":"' in p else p[:-1] + b',"x":"\xff"}',
    "nan": lambda p: _number(p, 0, b"NaN"),
    "exponent": lambda p: _number(p, 1, b'"1e-7"'),
    "zero_exponent": lambda p: _number(p, 1, b'"0E-8"'),
    "minus_zero": lambda p: _number(p, 1, b'"-0"'),
    "negative": lambda p: _number(p, 1, b'"-1.00000000"'),
    "zero_price": lambda p: _number(p, 0, b'"0"'),
    "huge_id": lambda p: _ID.sub(rb'"\1":\g<2>%d\3' % (2**63 + 5), p, count=1),
    "epoch": lambda p: _times(p, 0, b'"1970-01-01T00:00:00Z"'),
    "year_one": lambda p: _times(p, -62_135_596_800_000, b'"0001-01-01T00:00:00.000000Z"'),
    "wrong_type": lambda p: _number(p, 0, b'{"not":["a","price"]}'),
    "empty": lambda _: b"",
    "not_json": lambda _: b"<html><body>502 Bad Gateway</body></html>",
}


def malform(payload: bytes, how: str) -> bytes:
    return _HOW[how](payload)


def skew(payload: bytes, ms: int) -> bytes:
    """Moves times: milliseconds, microseconds or nanoseconds since 1970 under their usual names, and ISO 8601 texts."""

    def moved(match: re.Match[bytes]) -> bytes:
        unit = 1000 ** ((len(match[3]) - 13) // 3)
        return b'"%b":%b%d%b' % (match[1], match[2], int(match[3]) + ms * unit, match[4])

    def moved_text(match: re.Match[bytes]) -> bytes:
        whole, _, fraction = match[1].decode().partition(".")
        micros = int(f"{fraction:0<6}"[:6])
        time = datetime.fromisoformat(whole) + timedelta(milliseconds=ms, microseconds=micros)
        return b'"%b%b"' % (time.isoformat(timespec="microseconds").encode(), match[2])

    return _ISO.sub(moved_text, _TIME.sub(moved, payload))


def corrupt(payload: bytes) -> bytes:
    """Another number under `checksum`; a message without one is left as it is."""
    return _CHECKSUM.sub(lambda match: b'"checksum":%d' % (int(match[1]) ^ 1), payload)


def oversize(payload: bytes, megabytes: float) -> bytes:
    """Still the same message: a key that nobody knows comes first."""
    return b'{"padding":"' + b"x" * int(megabytes * 1_000_000) + b'",' + payload[1:]


def split_binance(payload: bytes) -> list[bytes]:
    """A depthUpdate over two ids or more as two: what leaves the book first, so that it is never crossed in between."""
    diff = msgspec.json.decode(payload)
    if diff.get("e") != "depthUpdate" or diff["u"] <= diff["U"]:
        return [payload]
    middle = (diff["U"] + diff["u"]) // 2
    leaving, rest = (
        {side: [level for level in diff[side] if bool(level[1].strip("0.")) is stays] for side in "ba"}
        for stays in (False, True)
    )
    first, second = {**diff, "u": middle, **leaving}, {**diff, "U": middle + 1, **rest}
    if "pu" in diff:
        second["pu"] = middle
    return [msgspec.json.encode(first), msgspec.json.encode(second)]


def cross(payload: bytes) -> bytes:
    """A book message with a bid one percent above its highest price; anything else as it is.

    Known are `b` and `a`, `bids` and `asks` (lists of [price, size, …] or of objects), wherever they stand in the message, and
    Coinbase's lists `changes` ([side, price, size]) and `updates` (objects with `side` and `price_level`).
    """
    message = msgspec.json.decode(payload)
    return msgspec.json.encode(message) if _cross(message) else payload


def _cross(node: Any) -> bool:
    if isinstance(node, list):
        return any(_cross(one) for one in node)
    if not isinstance(node, dict):
        return False
    for bids, asks, bid in (
        ("b", "a", None),
        ("bids", "asks", None),
        ("changes", "changes", "buy"),
        ("updates", "updates", "bid"),
    ):
        if isinstance(node.get(bids), list) and isinstance(node.get(asks), list) and (node[bids] or node[asks]):
            best = max(node[bids] + node[asks], key=lambda level: float(level[_price_at(level)]))
            node[bids].append(_above(best, bid))
            return True
    return any(_cross(one) for one in node.values())


def _price_at(level: Any) -> Any:
    if isinstance(level, dict):
        return next(key for key in ("price", "price_level", "px") if key in level)
    return 1 if level[0] in {"buy", "sell"} else 0


def _above(level: Any, side: str | None) -> Any:
    """A bid like `level`, one percent higher and not empty."""
    at = _price_at(level)
    text = isinstance(level[at], str)
    price = f"{float(level[at]) * 1.01:.{len(str(level[at]).partition('.')[2])}f}"
    size = next(key for key in ("qty", "new_quantity", "size") if key in level) if isinstance(level, dict) else at + 1
    new = level.copy()
    new[at], new[size] = (price, "1.000") if text else (float(price), 1.0)
    if side is not None:
        new["side" if isinstance(level, dict) else 0] = side
    return new
