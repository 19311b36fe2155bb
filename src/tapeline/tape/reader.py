"""Reading the tape: what is there, the frames of a session from any place on, and what a crash left.

Damage. A torn tail of an open segment is what `kill -9` or a power cut leaves: reading simply ends there (`recover` says how
much it was). Everything else that is no block is damage: reading raises TapeError with segment and offset, or, where
`on_damage` is given, tells it and goes on with the next good block. Frames that are missing (lost to a full disk, to damage, to
a removed file) show as a jump in seq; that raises nothing, since the tape says so itself. No other exception comes out of here,
UsageError for an unknown session apart.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tapeline.errors import TapeError
from tapeline.frames import Frame, FrameKind, Session, unpack_session
from tapeline.tape import layout
from tapeline.tape.blocks import Block, Damage, SegmentFile
from tapeline.tape.checking import Finding, verify
from tapeline.tape.format import Damaged, Header, decode
from tapeline.tape.sealing import Sealed, seal

__all__ = [
    "Damage",
    "Finding",
    "Recovery",
    "Sealed",
    "SegmentInfo",
    "SessionInfo",
    "head",
    "read",
    "read_batches",
    "recover",
    "removed",
    "seal",
    "sessions",
    "verify",
]

OnDamage = Callable[[Damage], None]
OnUnreadable = Callable[[TapeError], None]


class SegmentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`last_seq` is -1 and times are 0 where there is no frame. `damaged_bytes`: what the headers alone show."""

    path: str
    first_seq: int
    last_seq: int
    first_ts: int
    last_ts: int
    frames: int
    bytes: int
    sealed: bool
    torn_bytes: int
    damaged_bytes: int


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`live`: a process is writing it. `holes`: seqs `(from, to)`, both included, that are not on the tape. `removed`: the last
    frame that was removed on purpose, with all before it, -1 where none was; those are no hole, and not counted.
    """

    id: str
    live: bool
    segments: list[SegmentInfo]
    first_ts: int
    last_ts: int
    last_seq: int
    frames: int
    bytes: int
    torn_bytes: int
    holes: list[tuple[int, int]]
    removed: int = -1


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """What a crash left of one segment: `last_seq` is the last frame kept (-1: none), `torn_bytes` what is dropped."""

    session: str
    segment: str
    last_seq: int
    torn_bytes: int


def sessions(root: Path, on_unreadable: OnUnreadable | None = None) -> list[SessionInfo]:
    """All sessions, oldest first, from the block headers alone. A file that cannot be read raises TapeError, or is told to
    `on_unreadable` and its session left out.
    """
    found: list[SessionInfo] = []
    for name in layout.session_ids(root):
        with _telling(on_unreadable):
            found.append(_session_info(layout.tape_dir(root) / name))
    return found


@contextmanager
def _telling(on_unreadable: OnUnreadable | None) -> Iterator[None]:
    try:
        yield
    except TapeError as e:
        if on_unreadable is None:
            raise
        on_unreadable(e)


def _session_info(directory: Path) -> SessionInfo:
    while True:
        removed = layout.removed(directory)
        try:
            return _looked_at(directory, removed)
        except TapeError:
            if layout.removed(directory) == removed:
                raise  # else it was removed under our eyes


def _looked_at(directory: Path, removed: int) -> SessionInfo:
    holes: list[tuple[int, int]] = []
    infos: list[SegmentInfo] = []
    next_seq = removed + 1
    for first, path in layout.segments(directory):
        info, next_seq = _segment_info(first, path, next_seq, holes)
        infos.append(info)
    filled = [i for i in infos if i.frames]
    return SessionInfo(
        id=directory.name,
        live=layout.is_live(directory),
        segments=infos,
        first_ts=filled[0].first_ts if filled else 0,
        last_ts=filled[-1].last_ts if filled else 0,
        last_seq=filled[-1].last_seq if filled else removed,
        frames=sum(i.frames for i in infos),
        bytes=sum(i.bytes for i in infos),
        torn_bytes=sum(i.torn_bytes for i in infos),
        holes=holes,
        removed=removed,
    )


def _segment_info(first: int, path: Path, next_seq: int, holes: list[tuple[int, int]]) -> tuple[SegmentInfo, int]:
    first_ts = last_ts = frames = size = torn = damaged = 0
    last_seq = -1
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: False):
            if isinstance(item, Damage):
                torn, damaged = torn + item.size * item.torn, damaged + item.size * (not item.torn)
                continue
            h = item.header
            if h.first_seq > next_seq:
                holes.append((next_seq, h.first_seq - 1))
            first_ts, last_ts = first_ts or h.first_ts, h.last_ts
            last_seq, frames, size = h.last_seq, frames + h.frames, item.offset + item.size
            next_seq = h.last_seq + 1
        sealed, name = file.sealed, str(file.path)
    info = SegmentInfo(
        path=name,
        first_seq=first,
        last_seq=last_seq,
        first_ts=first_ts,
        last_ts=last_ts,
        frames=frames,
        bytes=size + torn,
        sealed=sealed,
        torn_bytes=torn,
        damaged_bytes=damaged,
    )
    return info, next_seq


def head(root: Path, session: str) -> Session:
    """The session's SESSION frame. Raises TapeError where the tape does not begin with one."""
    for _, frame in read(root, session):
        if frame.kind == FrameKind.SESSION:
            try:
                return unpack_session(frame.data)
            except msgspec.MsgspecError as e:
                raise TapeError(f"the head of session {session} cannot be read: {e}") from e
        break
    raise TapeError(f"the tape of session {session} does not begin with its SESSION frame; `tapeline tape verify` says more")


def read(
    root: Path,
    session: str,
    *,
    after: int = -1,
    start_ns: int | None = None,
    end_ns: int | None = None,
    on_damage: OnDamage | None = None,
) -> Iterator[tuple[int, Frame]]:
    """`(seq, frame)` in order, of the frames past seq `after` with start_ns <= ts_recv < end_ns."""
    for first, frames in read_batches(root, session, after=after, start_ns=start_ns, end_ns=end_ns, on_damage=on_damage):
        yield from enumerate(frames, first)


def read_batches(
    root: Path,
    session: str,
    *,
    after: int = -1,
    start_ns: int | None = None,
    end_ns: int | None = None,
    on_damage: OnDamage | None = None,
) -> Iterator[tuple[int, list[Frame]]]:
    """`(seq of the first, frames)`, a block at a time, never empty; the fast way to replay.

    Blocks before the place asked for are skipped by their headers, segments before it are not opened. Where the beginning was
    removed on purpose, what is left of it comes first: the SESSION frame, and what opened the connections that were open at its end.
    """
    directory = layout.session_dir(root, session)

    def wanted(h: Header) -> bool:
        return h.last_seq > after and (start_ns is None or h.last_ts >= start_ns) and (end_ns is None or h.first_ts < end_ns)

    paths = _chosen(layout.segments(directory), after, start_ns)
    if layout.removed(directory) > max(after, -1):
        paths.insert(0, directory / layout.REMOVED)
    for path in paths:
        with SegmentFile(path) as file:
            for item in file.walk(wanted):
                if isinstance(item, Damage):
                    _tell(item, on_damage)
                elif item.raw is None:
                    if end_ns is not None and item.header.first_ts >= end_ns:
                        return
                else:
                    first, frames = _cut(item.header.first_seq, _frames(file, item, on_damage), after, start_ns, end_ns)
                    if frames:
                        yield first, frames


def _chosen(segments: Sequence[tuple[int, Path]], after: int, start_ns: int | None) -> list[Path]:
    """The segments that may hold frames past `after` and from `start_ns` on."""
    begin = max(0, bisect_right([first for first, _ in segments], after + 1) - 1)
    paths = [path for _, path in segments[begin:]]
    while start_ns is not None and len(paths) > 1 and 0 < _first_ts(paths[1]) < start_ns:
        del paths[0]
    return paths


def _first_ts(path: Path) -> int:
    """0 where the segment does not begin with a good header."""
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: False):
            return item.header.first_ts if isinstance(item, Block) else 0
    return 0


def _frames(file: SegmentFile, block: Block, on_damage: OnDamage | None) -> list[Frame]:
    try:
        return decode(block.header, block.raw or b"")
    except Damaged as e:
        _tell(Damage(str(file.path), block.offset, block.size, str(e), torn=False), on_damage)
        return []


def _tell(damage: Damage, on_damage: OnDamage | None) -> None:
    if damage.torn:
        return
    if on_damage is None:
        raise TapeError(f"the tape is damaged: {damage}; `tapeline tape verify` shows all of it")
    on_damage(damage)


def _cut(first: int, frames: list[Frame], after: int, start_ns: int | None, end_ns: int | None) -> tuple[int, list[Frame]]:
    begin, end = max(0, after + 1 - first), len(frames)
    if start_ns is not None:
        begin = max(begin, bisect_left(frames, start_ns, key=_ts))
    if end_ns is not None:
        end = bisect_left(frames, end_ns, key=_ts)
    if begin == 0 and end == len(frames):
        return first, frames
    return first + begin, frames[begin:end]


def _ts(frame: Frame) -> int:
    return frame.ts_recv


def removed(root: Path, session: str) -> int:
    """The last frame that was removed on purpose, with every one before it; -1 where none was."""
    return layout.removed(layout.session_dir(root, session))


def recover(root: Path, on_unreadable: OnUnreadable | None = None) -> list[Recovery]:
    """Unsealed segments that earlier sessions left, their blocks proved one by one. Changes nothing. A file that cannot be read
    raises TapeError, or is told; damage in the middle raises nothing here, it is for `verify`.
    """
    left: list[Recovery] = []
    for name in layout.session_ids(root):
        directory = layout.tape_dir(root) / name
        if layout.is_live(directory):
            continue
        for _, path in layout.segments(directory):
            if path.suffix == layout.OPEN:
                with _telling(on_unreadable):
                    left.append(_recovery(name, path))
    return left


def _recovery(session: str, path: Path) -> Recovery:
    last, torn = -1, 0
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: True):
            if isinstance(item, Block):
                last = item.header.last_seq
            elif item.torn:
                torn = item.size
    return Recovery(session=session, segment=str(path), last_seq=last, torn_bytes=torn)
