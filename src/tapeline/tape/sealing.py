"""Sealing: an open segment that nobody writes any more becomes a compressed one.

The order of steps makes it safe to be killed anywhere: write a temporary file, fsync, read it back and compare with what went
in, rename, fsync the directory, and only then remove the open segment. Small blocks are merged up to BLOCK_FRAMES, never
across a hole. A torn tail is dropped and reported; a segment damaged in its middle is left as it is, for a person to look at.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from zlib import crc32

import msgspec
import zstandard

from tapeline.errors import TapeError
from tapeline.tape import layout
from tapeline.tape.blocks import Block, Damage, SegmentFile
from tapeline.tape.format import BLOCK_BYTES, BLOCK_FRAMES, Header, end_block, merge, wrap

_LEVEL = 1
_PAUSE_BYTES = 1 << 18


class Sealed(msgspec.Struct, frozen=True):
    """`path` is the sealed segment, or the open one where `error` says why it stays so. Sizes in bytes."""

    session: str
    path: str
    frames: int = 0
    before: int = 0
    after: int = 0
    torn_bytes: int = 0
    error: str = ""


class _Group:
    """Blocks to become one."""

    def __init__(self, block: Block) -> None:
        self.blocks = [block]
        self.frames, self.raw = block.header.frames, block.header.raw

    def take(self, block: Block) -> bool:
        """False where the two do not fit together: then nothing is taken."""
        h = block.header
        if h.first_seq != self.blocks[-1].header.last_seq + 1:
            return False
        if self.frames + h.frames > BLOCK_FRAMES or self.raw + h.raw > BLOCK_BYTES:
            return False
        self.blocks.append(block)
        self.frames += h.frames
        self.raw += h.raw
        return True

    def joined(self) -> tuple[Header, bytes]:
        first, last = self.blocks[0].header, self.blocks[-1].header
        raw = merge([(b.header.frames, b.raw or b"") for b in self.blocks])
        return Header(0, self.frames, first.first_seq, first.first_ts, last.last_ts, len(raw), len(raw), crc32(raw)), raw


class _Stopped(Exception):
    pass


def seal_segment(path: Path, *, stop: Event | None = None, pause: float = 0) -> Sealed | None:
    """Seal one open segment. None: `stop` was set before it was done. Raises OSError; TapeError where it is damaged.

    `pause`: seconds to rest after each 256 KiB, so that a live feed keeps the processor.
    """
    target, temporary = path.with_suffix(layout.SEALED), path.with_suffix(layout.TEMPORARY)
    if target.exists():  # an earlier run was killed between its last two steps
        path.unlink()
        return Sealed(path.parent.name, str(target), after=target.stat().st_size)
    before = path.stat().st_size
    torn: list[int] = []
    try:
        proofs = _write(temporary, _grouped(_sound_blocks(path, torn, stop, pause)))
        _prove(temporary, proofs)
    except _Stopped:
        temporary.unlink(missing_ok=True)
        return None
    except (OSError, TapeError):
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if proofs:
        temporary.replace(target)
    else:
        temporary.unlink()
    layout.sync_dir(path.parent)
    path.unlink()
    after = target.stat().st_size if proofs else 0
    return Sealed(path.parent.name, str(target), sum(p[1] for p in proofs), before, after, sum(torn))


def _sound_blocks(path: Path, torn: list[int], stop: Event | None, pause: float) -> Iterator[Block]:
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: True):
            if stop is not None and stop.is_set():
                raise _Stopped
            if isinstance(item, Block):
                yield item
            elif item.torn:
                torn.append(item.size)
            else:
                raise TapeError(f"{item}; it stays unsealed, `tapeline tape verify` shows all of it")
            if pause and item.offset // _PAUSE_BYTES != (item.offset + item.size) // _PAUSE_BYTES:
                time.sleep(pause)


def _grouped(blocks: Iterable[Block]) -> Iterator[tuple[Header, bytes]]:
    group: _Group | None = None
    for block in blocks:
        if group is not None:
            if group.take(block):
                continue
            yield group.joined()
        group = _Group(block)
    if group is not None:
        yield group.joined()


_Proof = tuple[int, int, int]
"""First seq, count and CRC of the raw payload of one block."""


def _write(path: Path, blocks: Iterable[tuple[Header, bytes]]) -> list[_Proof]:
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    proofs: list[_Proof] = []
    with path.open("wb") as out:
        next_seq = last_ts = 0
        for h, raw in blocks:
            out.write(wrap(raw, h.frames, h.first_seq, h.first_ts, h.last_ts, compressor))
            proofs.append((h.first_seq, h.frames, h.crc))
            next_seq, last_ts = h.last_seq + 1, h.last_ts
        out.write(end_block(next_seq, last_ts))
        out.flush()
        os.fsync(out.fileno())
    return proofs


def _prove(path: Path, proofs: list[_Proof]) -> None:
    found: list[_Proof] = []
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: True):
            if isinstance(item, Damage):
                raise TapeError(f"the sealed copy cannot be read back: {item}; the open segment stays")
            found.append((item.header.first_seq, item.header.frames, crc32(item.raw or b"")))
    if found != proofs:
        raise TapeError(f"the sealed copy of {path} differs from the open segment, which stays")


def seal(root: Path, session: str | None = None, *, stop: Event | None = None, pause: float = 0) -> list[Sealed]:
    """Seal what is open in `session`, or in all sessions; sessions that a process is writing are left alone.

    Reports each segment, those that could not be sealed with their `error`. Raises UsageError for an unknown session.
    """
    done: list[Sealed] = []
    for name in [session] if session is not None else layout.session_ids(root):
        directory = layout.session_dir(root, name)
        if not any(directory.glob(f"*{layout.OPEN}")) and not any(directory.glob(f"*{layout.TEMPORARY}")):
            continue
        try:
            with layout.SessionLock(directory) as lock:
                if lock.take():
                    done += _seal_session(directory, stop, pause)
        except OSError as e:
            done.append(Sealed(name, str(directory), error=e.strerror or str(e)))
    return done


def _seal_session(directory: Path, stop: Event | None, pause: float) -> Iterator[Sealed]:
    for path in directory.glob(f"*{layout.TEMPORARY}"):
        path.unlink()
    for path in sorted(directory.glob(f"*{layout.OPEN}")):
        try:
            sealed = seal_segment(path, stop=stop, pause=pause)
        except (OSError, TapeError) as e:
            sealed = Sealed(directory.name, str(path), error=str(e))
        if sealed is None:
            return
        yield sealed
