"""Bytes of a good message to bytes of a bad one. Pure, and as good as ignorant of venues.

All it takes for granted is that a message is JSON, that numbers stand in texts, the first of them a price and the second a
size, and that ids are integers under a handful of names. What needs more (splitting a diff, crossing a book) a wire file hands
to the fault box.
"""

import re
from collections.abc import Callable

import msgspec

_NUMBER = re.compile(rb'"-?\d+(?:\.\d+)?"')
_ID = re.compile(rb'"(u|t|a|lastUpdateId|seq|trade_id|sequence)":(\d+)')
_TIME = re.compile(rb'"(E|T)":(\d+)')


def _number(payload: bytes, nth: int, text: bytes) -> bytes:
    """The nth number in text replaced; the last where there are fewer."""
    found = list(_NUMBER.finditer(payload))
    if not found:
        return payload
    match = found[min(nth, len(found) - 1)]
    return payload[: match.start()] + text + payload[match.end() :]


_HOW: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda p: p[: len(p) // 2],
    "utf8": lambda p: p.replace(b'"s":"', b'"s":"\xff\xfe', 1) if b'"s":"' in p else p[:-1] + b',"x":"\xff"}',
    "nan": lambda p: _number(p, 0, b"NaN"),
    "exponent": lambda p: _number(p, 1, b'"1e-7"'),
    "negative": lambda p: _number(p, 1, b'"-1.00000000"'),
    "huge_id": lambda p: _ID.sub(rb'"\1":%d' % (2**63 + 5), p, count=1),
    "wrong_type": lambda p: _number(p, 0, b'{"not":["a","price"]}'),
    "empty": lambda _: b"",
    "not_json": lambda _: b"<html><body>502 Bad Gateway</body></html>",
}


def malform(payload: bytes, how: str) -> bytes:
    return _HOW[how](payload)


def skew(payload: bytes, ms: int) -> bytes:
    """Moves `E` and `T`, in the unit in which they stand."""

    def moved(match: re.Match[bytes]) -> bytes:
        unit = 1000 if len(match[2]) > 14 else 1
        return b'"%b":%d' % (match[1], int(match[2]) + ms * unit)

    return _TIME.sub(moved, payload)


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


def cross_binance(payload: bytes) -> bytes:
    """A bid one percent above the highest price in the diff."""
    diff = msgspec.json.decode(payload)
    prices = [level[0] for side in (diff.get("b"), diff.get("a")) if isinstance(side, list) for level in side]
    if not prices:
        return payload
    best = max(prices, key=float)
    decimals = len(best.partition(".")[2])
    diff["b"] = [*diff["b"], [f"{float(best) * 1.01:.{decimals}f}", "1.000"]]
    return msgspec.json.encode(diff)
