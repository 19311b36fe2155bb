"""The block: the tape's unit of writing, of checking and of compression (docs/tape-format.md).

A segment is blocks, one after the other, nothing between them. A block stands for itself: its header says which frames of the
session it holds, so a reader that has lost its way finds the next good one, and a hole between two of them shows in the
numbers. The header has its own CRC: whoever only skips from header to header may trust the lengths it reads, and a venue
that sends something looking like a block cannot be taken for one as long as the header around it is sound.

The payload is laid out in columns (all times, all connections, all lengths, all kinds, then all data): in Python a column
costs one `struct` call a block instead of one a frame, and blocks of the open segment can be merged when it is sealed by
joining slices, without touching single frames.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple
from zlib import crc32

import zstandard

from tapeline.frames import Frame

MAGIC = b"TLB1"
VERSION = 1
COMPRESSED = 1
END = 2

BLOCK_FRAMES = 256
"""Most frames in a block, and so the most that `kill -9` can take in default mode."""
BLOCK_BYTES = 4 << 20
"""Data after which a block is written even if it is not full; one frame may exceed it."""
COLUMNS = 17
"""Bytes a frame takes beside its data: time 8, connection 4, length 4, kind 1."""

_HEAD = struct.Struct("<4sBBHQqqIII")
_CRC = struct.Struct("<I")
HEADER_SIZE = _HEAD.size + _CRC.size


class Damaged(Exception):
    """These bytes are no block. The text says what is wrong; the caller knows where."""


class Header(NamedTuple):
    """`raw` and `stored`: the payload's length before and after compression. `crc`: of the stored payload."""

    flags: int
    frames: int
    first_seq: int
    first_ts: int
    last_ts: int
    raw: int
    stored: int
    crc: int

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.frames - 1

    @property
    def is_end(self) -> bool:
        return bool(self.flags & END)


@lru_cache(maxsize=BLOCK_FRAMES + 1)
def _columns(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}q{count}I{count}I{count}s")


def encode(first_seq: int, frames: Sequence[Frame], compressor: zstandard.ZstdCompressor | None = None) -> bytes:
    """One block, at most BLOCK_FRAMES frames, at least one."""
    data = [f.data for f in frames]
    columns = _columns(len(frames)).pack(
        *[f.ts_recv for f in frames],
        *[f.conn for f in frames],
        *[len(d) for d in data],
        bytes([f.kind for f in frames]),
    )
    return wrap(b"".join([columns, *data]), len(frames), first_seq, frames[0].ts_recv, frames[-1].ts_recv, compressor)


def wrap(
    raw: bytes, count: int, first_seq: int, first_ts: int, last_ts: int, compressor: zstandard.ZstdCompressor | None = None
) -> bytes:
    """Header and payload; compressed where a compressor is given and it helps."""
    stored = raw if compressor is None else compressor.compress(raw)
    flags = COMPRESSED if len(stored) < len(raw) else 0
    if not flags:
        stored = raw
    return _header(Header(flags, count, first_seq, first_ts, last_ts, len(raw), len(stored), crc32(stored))) + stored


def end_block(next_seq: int, last_ts: int) -> bytes:
    """What closes a sealed segment: without it, a file cut off between two blocks would look whole."""
    return _header(Header(END, 0, next_seq, last_ts, last_ts, 0, 0, 0))


def _header(h: Header) -> bytes:
    head = _HEAD.pack(MAGIC, VERSION, h.flags, h.frames, h.first_seq, h.first_ts, h.last_ts, h.raw, h.stored, h.crc)
    return head + _CRC.pack(crc32(head))


def read_header(data: bytes) -> Header:
    """Of HEADER_SIZE bytes. Raises Damaged."""
    if len(data) < HEADER_SIZE:
        raise Damaged(f"header cut off after {len(data)} of {HEADER_SIZE} bytes")
    magic, version, *fields = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise Damaged("no block begins here")
    if _CRC.unpack_from(data, _HEAD.size)[0] != crc32(data[: _HEAD.size]):
        raise Damaged("header's checksum is wrong")
    if version != VERSION:
        raise Damaged(f"block of version {version}, this program reads {VERSION}")
    return Header(*fields)


def read_payload(h: Header, stored: bytes) -> bytes:
    """The raw payload, its checksum proved. Raises Damaged."""
    if len(stored) < h.stored:
        raise Damaged(f"block cut off after {len(stored)} of {h.stored} bytes")
    if crc32(stored) != h.crc:
        raise Damaged("block's checksum is wrong")
    raw = stored
    if h.flags & COMPRESSED:
        try:
            raw = zstandard.ZstdDecompressor().decompress(stored, max_output_size=h.raw)
        except zstandard.ZstdError as e:
            raise Damaged(f"block cannot be inflated: {e}") from e
    if len(raw) != h.raw or h.raw < h.frames * COLUMNS:
        raise Damaged(f"block holds {len(raw)} bytes, its header says {h.raw} for {h.frames} frames")
    return raw


def decode(h: Header, raw: bytes) -> list[Frame]:
    """The frames of a payload from `read_payload`. Raises Damaged."""
    n = h.frames
    try:
        *numbers, kinds = _columns(n).unpack_from(raw)
    except struct.error as e:
        raise Damaged(f"block's columns cannot be read: {e}") from e
    ends = list(accumulate(numbers[2 * n :], initial=n * COLUMNS))
    if ends[-1] != len(raw):
        raise Damaged(f"frames of {ends[-1]} bytes in a block of {len(raw)}")
    return list(map(Frame, numbers, kinds, numbers[n : 2 * n], [raw[a:b] for a, b in pairwise(ends)]))


def merge(parts: Sequence[tuple[int, bytes]]) -> bytes:
    """One payload of several `(count, raw)` that follow each other."""
    if len(parts) == 1:
        return parts[0][1]
    columns = [raw[a * n : b * n] for a, b in ((0, 8), (8, 12), (12, 16), (16, COLUMNS)) for n, raw in parts]
    return b"".join([*columns, *[raw[n * COLUMNS :] for n, raw in parts]])


def split(frames: Sequence[Frame]) -> Iterator[Sequence[Frame]]:
    """Frames cut into runs that fit a block each: BLOCK_FRAMES, and no more once BLOCK_BYTES are reached."""
    start = size = 0
    for i, frame in enumerate(frames):
        size += len(frame.data)
        if i + 1 - start == BLOCK_FRAMES or size >= BLOCK_BYTES:
            yield frames[start : i + 1]
            start, size = i + 1, 0
    if start < len(frames):
        yield frames[start:]
