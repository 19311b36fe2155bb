"""Yahoo's wire format written by hand, from the protobuf specification: nothing here is shared with Tapeline or with the library."""

import base64
import json
import struct
from typing import Any

NUMBERS = {
    "id": 1, "price": 2, "time": 3, "currency": 4, "exchange": 5, "quote_type": 6, "market_hours": 7, "change_percent": 8,
    "day_volume": 9, "day_high": 10, "day_low": 11, "open_price": 15, "open_interest": 19, "last_size": 22, "bid": 23,
    "bid_size": 24, "ask": 25, "ask_size": 26, "price_hint": 27, "vol_24hr": 28, "circulating_supply": 32,
}  # fmt: skip
PLAIN = {"quote_type", "market_hours"}  # int32; the other integers are zig-zag


def varint(n: int) -> bytes:
    out = b""
    n &= (1 << 64) - 1
    while n > 0x7F:
        out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
    return out + bytes([n])


def message(**fields: Any) -> bytes:
    out = b""
    for name, value in fields.items():
        number = NUMBERS[name]
        if isinstance(value, str):
            out += varint(number << 3 | 2) + varint(len(value.encode())) + value.encode()
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            out += varint(number << 3) + varint(value if name in PLAIN else (value << 1) ^ (value >> 63))
    return out


def bare(**fields: Any) -> bytes:
    return base64.b64encode(message(**fields))


def framed(**fields: Any) -> bytes:
    return json.dumps({"type": "pricing", "message": bare(**fields).decode()}).encode()
