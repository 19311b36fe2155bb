"""Server-side WebSocket frames (RFC 6455), written by hand.

A test double must be able to say what no library would let it say: fragments with a ping between them, invalid UTF-8 in a text
frame, a close frame without a code. And one encoded frame serves every subscriber, which no library's `send` allows either.
Server frames are not masked, so encoding is a header and the payload.
"""

import struct
import zlib

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def encode(payload: bytes, opcode: int = TEXT, *, fin: bool = True, deflated: bool = False) -> bytes:
    size = len(payload)
    first = opcode | (0x80 if fin else 0) | (0x40 if deflated else 0)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """1005 means "no code": an empty close frame."""
    return encode(b"" if code == 1005 else struct.pack("!H", code) + reason.encode()[:123], CLOSE)


def fragments(payload: bytes, parts: int, between: bytes = b"") -> bytes:
    """`payload` as `parts` frames with `between` (a control frame) after the first."""
    parts = max(2, min(parts, len(payload)))
    cuts = [len(payload) * n // parts for n in range(parts + 1)]
    out = []
    for n in range(parts):
        out.append(encode(payload[cuts[n] : cuts[n + 1]], TEXT if n == 0 else 0, fin=n == parts - 1))
        if n == 0:
            out.append(between)
    return b"".join(out)


class Deflater:
    """permessage-deflate without context takeover: a sender may always forget, and a receiver never notices."""

    __slots__ = ("_bits",)

    def __init__(self, window_bits: int = 15) -> None:
        self._bits = window_bits

    def encode(self, payload: bytes) -> bytes:
        packer = zlib.compressobj(level=1, wbits=-self._bits)
        packed = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
        return encode(packed[:-4], deflated=True)
