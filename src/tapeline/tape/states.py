"""States: what a pipeline knew at one place of a session, so that a replay need not begin at its first frame.

    DATA/tape/SESSION/000000412160.state      what every frame up to 412159 made of the pipeline: it is to be fed 412160 next

The payload is the engine's business; here it is bytes behind a header with checksums and a *stamp*, which names the very code that
made them. A state is a cache: one that is damaged, or of another stamp, is passed over, and the replay begins earlier. It is written
only once the frames before it are on the disk.

Of a session the newest two are kept, and the first one of each segment: from that one a replay can go on when the tape before it was
removed (docs/decisions/0014). Others are kept for whoever seeks, evenly spread, as long as all that are beside a tape take no more
than a twentieth of what it takes, and there are at most `MOST`: the one with the closest neighbours goes first.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec
import zstandard

from tapeline.errors import TapeError
from tapeline.tape import layout

SUFFIX, TEMPORARY = ".state", ".state.tmp"
MAGIC, VERSION = b"TLS1", 1
STAMP_SIZE = 32
KEPT = 2
SHARE = 20
MOST = 256
OPEN_RATIO = 8
_HEAD = struct.Struct("<4sB3xQq32sIII")
_CRC = struct.Struct("<I")
HEADER_SIZE = _HEAD.size + _CRC.size
_LEVEL = 1
_MOST_RAW = 1 << 31


class State(msgspec.Struct, frozen=True):
    """`seq`: of the next frame; `ts`: receive time of the last one it has seen, ns. `bytes`: of the file."""

    path: Path
    seq: int
    ts: int
    stamp: bytes
    raw: int
    stored: int
    crc: int

    @property
    def bytes(self) -> int:
        return HEADER_SIZE + self.stored


def write(directory: Path, seq: int, ts: int, stamp: bytes, raw: bytes) -> Path:
    """Compress and keep one state, whole or not at all. Raises OSError."""
    stored = zstandard.ZstdCompressor(level=_LEVEL).compress(raw)
    head = _HEAD.pack(MAGIC, VERSION, seq, ts, stamp, len(raw), len(stored), crc32(stored))
    path, temporary = (directory / f"{seq:012d}{suffix}" for suffix in (SUFFIX, TEMPORARY))
    try:
        with temporary.open("wb") as file:
            file.write(head + _CRC.pack(crc32(head)) + stored)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    layout.sync_dir(directory)
    return path


def states(directory: Path) -> list[State]:
    """What is there, by seq; files that are no state are passed over."""
    found = [state for path in _files(directory) if (state := _read_head(path)) is not None]
    return sorted(found, key=lambda state: state.seq)


def _files(directory: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from directory.glob(f"*{SUFFIX}")


def _read_head(path: Path) -> State | None:
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_SIZE)
    except OSError:
        return None
    if len(head) < HEADER_SIZE or _CRC.unpack_from(head, _HEAD.size)[0] != crc32(head[: _HEAD.size]):
        return None
    magic, version, *fields = _HEAD.unpack_from(head)
    return State(path, *fields) if magic == MAGIC and version == VERSION else None


def read(state: State) -> bytes:
    """The payload. Raises TapeError where the file is not what its header says."""
    try:
        with state.path.open("rb") as file:
            file.seek(HEADER_SIZE)
            stored = file.read(state.stored + 1)
    except OSError as e:
        raise TapeError(f"cannot read {state.path}: {e.strerror}") from e
    if len(stored) != state.stored or crc32(stored) != state.crc or state.raw > _MOST_RAW:
        raise TapeError(f"{state.path}: its checksum is wrong")
    try:
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=state.raw)
    except zstandard.ZstdError as e:
        raise TapeError(f"{state.path} cannot be inflated: {e}") from e


def tidy(directory: Path, stamp: bytes) -> None:
    """Remove the states that are of no more use. Raises OSError."""
    found = [state for state in states(directory) if state.stamp == stamp]
    firsts = [first for first, _ in layout.segments(directory)]
    kept = {state.seq for state in found[-KEPT:]}
    for first in firsts:
        kept.update([state.seq for state in found if state.seq >= first][:1])
    room = sum(_sealed_size(path) for _, path in layout.segments(directory)) // SHARE
    while len(found) > MOST or sum(state.bytes for state in found) > room:
        spare = [i for i, state in enumerate(found) if state.seq not in kept]
        if not spare:
            return
        closest = min(spare, key=lambda i: _alone(found, i))
        found.pop(closest).path.unlink(missing_ok=True)


def _sealed_size(path: Path) -> int:
    """Of a segment that is still open, about what it will be."""
    return path.stat().st_size // (1 if path.suffix == layout.SEALED else OPEN_RATIO)


def _alone(found: list[State], i: int) -> int:
    """How many frames would lie between its neighbours without it."""
    return found[min(i + 1, len(found) - 1)].seq - (found[i - 1].seq if i else 0)
