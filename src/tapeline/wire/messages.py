"""WebSocket frames into messages (RFC 6455 §5.4, RFC 7692). Pure.

picows hands out frames as they are on the wire. Here fragments are joined and compressed messages inflated, both bounded by the
largest message accepted: a few kilobytes can inflate to gigabytes. Text is not checked for being UTF-8: the bytes belong on the
tape whatever they are, and the decoder rejects what it cannot read.

We offer permessage-deflate and never compress what we send, which the RFC allows; so only the server's two parameters matter,
and of those only `server_no_context_takeover`: a 15-bit window inflates what any smaller one deflated.
"""

import zlib

from tapeline.errors import VenueError

OFFER = "permessage-deflate"
TEXT, BINARY, CONTINUATION = 1, 2, 0
_TAIL = b"\x00\x00\xff\xff"
_PARAMETERS = frozenset(
    {"server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits"}
)


class ProtocolFault(VenueError):
    """The peer broke the protocol, or a limit of ours; `code` is what the connection is closed with."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(f"{code} {reason}")


class Inflater:
    """One direction's decompression. `takeover` false: each message stands alone."""

    def __init__(self, *, takeover: bool, most: int) -> None:
        self._takeover, self._most = takeover, most
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)

    def inflate(self, data: bytes) -> bytes:
        stream = self._stream
        try:
            out = stream.decompress(data + _TAIL, self._most + 1)
        except zlib.error as error:
            raise ProtocolFault(1007, f"compressed message cannot be inflated: {error}") from error
        if len(out) > self._most:
            raise ProtocolFault(
                1009, f"message of {len(data)} bytes inflates past the {self._most} accepted (wire.max_frame_mb)"
            )
        if stream.eof or not self._takeover:
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        return out


def negotiated(extensions: str | None, most: int) -> Inflater | None:
    """What the server's `Sec-WebSocket-Extensions` made of our offer. Raises ProtocolFault on what we did not offer."""
    if not extensions or not extensions.strip():
        return None
    name, *parameters = (part.strip().lower() for part in extensions.split(";"))
    names = {p.partition("=")[0].strip() for p in parameters}
    if name != OFFER or not names <= _PARAMETERS:
        raise ProtocolFault(1010, f"the server insists on an extension that was not offered: {extensions}")
    return Inflater(takeover="server_no_context_takeover" not in names, most=most)


class Assembler:
    """Feeds on data frames, gives whole messages. Control frames may come between fragments and do not belong here."""

    def __init__(self, most: int, inflater: Inflater | None) -> None:
        self._most, self._inflater = most, inflater
        self._parts: list[bytes] = []
        self._size = 0
        self._opcode = CONTINUATION
        self._compressed = False

    @property
    def joining(self) -> bool:
        """A message has begun and not ended."""
        return self._opcode != CONTINUATION

    def feed(self, opcode: int, payload: bytes, *, fin: bool, rsv1: bool) -> tuple[int, bytes] | None:
        """`(TEXT or BINARY, message)` once whole, None before. Raises ProtocolFault."""
        if opcode == CONTINUATION:
            if not self.joining or rsv1:
                raise ProtocolFault(1002, "a continuation frame that continues nothing")
        elif self.joining:
            raise ProtocolFault(1002, "a new message began inside a fragmented one")
        elif rsv1 and self._inflater is None:
            raise ProtocolFault(1002, "a compressed message, though no compression was agreed on")
        else:
            self._opcode, self._compressed = opcode, rsv1
        self._size += len(payload)
        if self._size > self._most:
            raise ProtocolFault(1009, f"message of over {self._size} bytes, {self._most} accepted (wire.max_frame_mb)")
        self._parts.append(payload)
        return self._whole() if fin else None

    def _whole(self) -> tuple[int, bytes]:
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        opcode, compressed = self._opcode, self._compressed
        self._parts, self._size, self._opcode = [], 0, CONTINUATION
        if compressed and self._inflater is not None:
            data = self._inflater.inflate(data)
        return opcode, data
