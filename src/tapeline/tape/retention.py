"""Removing old tape on purpose, without hurting anybody who may still need it (docs/decisions/0014).

What may go are the first segments of a session, sealed, never one after a segment that stays. Let `C` be the last frame that
every sink which is on has committed. Then there are two ways:

* **A part**, where a sound state stands at frame `S` <= `C` + 1: the segments that end ahead of `S`. Every sink can still catch
  up: it needs the frames from `C` + 1 on, and the state knows what was before.
* **The whole session**, once it is closed and `C` is its last frame.

A sink that stands still, is being repaired or fails when it is asked holds `C` back, and so its segments stay.

Steps, each of which may be the last one before a crash:

    1. what must outlive the segments is written to `removed.tape.tmp`, durably     nothing has happened yet
    2. it is renamed to `removed.tape`                                              they are removed: readers pass over them
    3. the segments and the states ahead of `S` are deleted                         `finish` goes on with it the next time

`removed.tape` holds blocks like any segment: the SESSION frame, and of a part also the venues' lists of instruments and what opened
the connections that were open at its end (OPENED, SENT), each under its own seq. Its END block names the first frame that stays.
"""

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import zstandard

from tapeline.config import KeepSettings
from tapeline.errors import TapeError
from tapeline.frames import Frame, FrameKind, unpack_answer
from tapeline.tape import layout, states
from tapeline.tape.blocks import Block, Damage, SegmentFile
from tapeline.tape.format import Damaged, decode, encode, end_block
from tapeline.tape.reader import SegmentInfo, SessionInfo, sessions

EVERYTHING = 1 << 62
"""What `committed` may say of a session that every sink has finished."""
DAY, GB = 86_400 * 10**9, 10**9
MOST_SENT = 1000  # messages of ours kept a connection
_PAUSE_FRAMES = 4096
_TEMPORARY = "removed.tape.tmp"

Committed = Callable[[str], int]
"""The last frame of a session that every sink has; -1 where that cannot be told."""


class Removal(msgspec.Struct, frozen=True):
    """Segments of one session that were removed, or would be: their frames `first_seq`..`last_seq`. `whole`: nothing of the session
    is left but its head. `error`: why it was not done.
    """

    session: str
    first_seq: int
    last_seq: int
    segments: int
    bytes: int
    whole: bool
    error: str = ""


class _Session:
    """One session, and how many of its first segments may go."""

    def __init__(self, root: Path, info: SessionInfo, own: bool, stamp: bytes, committed: Committed) -> None:
        self.info, self.own = info, own
        self.directory = layout.tape_dir(root) / info.id
        self._stamp, self._committed = stamp, committed
        self._allowed: list[int] | None = None
        self.cut = 0

    @property
    def allowed(self) -> list[int]:
        """Numbers of segments that may go, rising. The sinks are asked once, and only where something is to go."""
        if self._allowed is None:
            self._allowed = self._find_allowed()
        return self._allowed

    def _find_allowed(self) -> list[int]:
        infos = self.info.segments
        sealed = next((i for i, s in enumerate(infos) if not s.sealed or s.damaged_bytes or not s.frames), len(infos))
        if not sealed or (self.info.live and not self.own):
            return []
        upto = self._committed(self.info.id)
        known = (s for s in reversed(states.states(self.directory)) if s.stamp == self._stamp and s.seq <= upto + 1)
        begin = next((s.seq for s in known if _sound(s)), 0)
        found = [k for k in range(1, sealed + 1) if infos[k - 1].last_seq < begin and (k < len(infos) or self.info.live)]
        if sealed == len(infos) and not self.info.live and upto >= self.info.last_seq:
            found.append(sealed)
        return found

    def want(self, number: int) -> None:
        """Cut no more than the first `number` segments."""
        if number > self.cut:
            self.cut = max([self.cut, *(k for k in self.allowed if k <= number)])

    def want_more(self) -> bool:
        further = next((k for k in self.allowed if k > self.cut), None)
        if further is None:
            return False
        self.cut = further
        return True

    @property
    def bytes(self) -> int:
        return sum(s.bytes for s in self.info.segments[: self.cut])

    @property
    def removal(self) -> Removal:
        gone = self.info.segments[: self.cut]
        whole = self.cut == len(self.info.segments) and not self.info.live
        return Removal(self.info.id, gone[0].first_seq, gone[-1].last_seq, self.cut, self.bytes, whole)


def plan(root: Path, keep: KeepSettings, now: int, committed: Committed, stamp: bytes, *, own: str = "") -> list[Removal]:
    """What `prune` would remove. Raises TapeError where a file cannot be read."""
    return [session.removal for session in _chosen(root, keep, now, committed, stamp, own)]


def prune(
    root: Path,
    keep: KeepSettings,
    now: int,
    committed: Committed,
    stamp: bytes,
    *,
    own: str = "",
    pause: float = 0.0,
) -> list[Removal]:
    """Remove what is older than `keep.tape_days` or past `keep.tape_gb`, oldest first, and finish what a crash left half done.

    `stamp`: of the states that this program can use. `own`: the session that this process is writing. `pause`: seconds to rest now
    and then. Raises TapeError where the tape cannot be looked at; what goes wrong with one session is told in its `Removal`.
    """
    for directory in (layout.tape_dir(root) / name for name in layout.session_ids(root)):
        if any((directory / name).exists() for name in (layout.REMOVED, _TEMPORARY)):
            with suppress(OSError), _held(directory, own) as mine:
                if mine:
                    finish(directory, closed=directory.name != own)
    done = []
    for session in _chosen(root, keep, now, committed, stamp, own):
        removal = session.removal
        error = "another process is at work there"
        try:
            with _held(session.directory, own) as mine:
                if mine:
                    _cut(session, removal.whole, pause)
                    error = ""
        except (OSError, TapeError) as e:
            error = str(e)
        done.append(msgspec.structs.replace(removal, error=error))
    return done


@contextmanager
def _held(directory: Path, own: str) -> Iterator[bool]:
    """The right to change a session: that of the process that writes it, or the lock."""
    if directory.name == own:
        yield True
        return
    with layout.SessionLock(directory) as lock:
        yield lock.take()


def _chosen(root: Path, keep: KeepSettings, now: int, committed: Committed, stamp: bytes, own: str) -> list[_Session]:
    found = [_Session(root, info, info.id == own, stamp, committed) for info in sessions(root, _aside) if info.segments]
    if keep.tape_days:
        oldest = now - int(keep.tape_days * DAY)
        for session in found:
            old = [s.last_ts < oldest for s in session.info.segments]
            session.want(old.index(False) if False in old else len(old))
    if keep.tape_gb:
        _shrink(found, _size(found) - round(keep.tape_gb * GB))
    return [session for session in found if session.cut]


def _sound(state: states.State) -> bool:
    """A damaged one is nothing to build on: nobody could replay what is left."""
    try:
        states.read(state)
    except TapeError:
        return False
    return True


def _aside(_: TapeError) -> None:
    """A session that cannot be looked at is left as it is; `tapeline tape ls` says why."""


def _size(found: Collection[_Session]) -> int:
    kept = sum(state.bytes for session in found for state in states.states(session.directory))
    return kept + sum(session.info.bytes for session in found)


def _shrink(found: Iterable[_Session], excess: int) -> None:
    excess -= sum(session.bytes for session in found)
    for session in found:
        while excess > 0:
            before = session.bytes
            if not session.want_more():
                break
            excess -= session.bytes - before


def _cut(session: _Session, whole: bool, pause: float) -> None:
    directory, segments = session.directory, session.info.segments[: session.cut]
    paths = [Path(s.path) for s in segments]
    if layout.removed(directory) >= 0:
        paths.insert(0, directory / layout.REMOVED)
    _write(directory, _kept(_frames(paths, pause), whole), segments[-1])
    finish(directory, closed=not session.own)


def _frames(paths: Iterable[Path], pause: float) -> Iterator[tuple[int, Frame]]:
    read = 0
    for path in paths:
        with SegmentFile(path) as file:
            for item in file.walk(lambda _: True):
                if isinstance(item, Damage):
                    raise TapeError(f"{item}; nothing is removed, `tapeline tape verify` shows all of it")
                yield from _of_block(path, item)
                read += item.header.frames
                if pause and read >= _PAUSE_FRAMES:
                    read = 0
                    time.sleep(pause)


def _of_block(path: Path, block: Block) -> Iterable[tuple[int, Frame]]:
    try:
        return enumerate(decode(block.header, block.raw or b""), block.header.first_seq)
    except Damaged as e:
        raise TapeError(f"{path} at {block.offset}: {e}; nothing is removed") from e


def _kept(frames: Iterable[tuple[int, Frame]], whole: bool) -> list[tuple[int, Frame]]:
    """Of these frames, what a replay of the rest begins with."""
    head: list[tuple[int, Frame]] = []
    lists: dict[tuple[str, str, bool], tuple[int, Frame]] = {}
    talks: dict[int, list[tuple[int, Frame]]] = {}
    for seq, frame in frames:
        match frame.kind:
            case FrameKind.SESSION:
                head = [(seq, frame)]
                if whole:
                    return head
            case FrameKind.HTTP:
                if (key := _listing(frame)) is not None:
                    lists[key] = seq, frame
            case FrameKind.OPENED:
                talks[frame.conn] = [(seq, frame)]
            case FrameKind.SENT if frame.conn in talks:
                talk = talks[frame.conn]
                if talk[-1][1].data != frame.data and len(talk) < MOST_SENT:
                    talk.append((seq, frame))
            case FrameKind.CLOSED:
                talks.pop(frame.conn, None)
            case FrameKind.LOST:
                talks.clear()
    return sorted([*head, *lists.values(), *(one for talk in talks.values() for one in talk)], key=lambda one: one[0])


def _listing(frame: Frame) -> tuple[str, str, bool] | None:
    """Which list of instruments this answer is; None where it is none."""
    try:
        answer, _ = unpack_answer(frame.data)
    except (msgspec.MsgspecError, ValueError):
        return None
    return (answer.venue, answer.url, answer.simulated) if answer.purpose == "instruments" and answer.status == 200 else None


def _write(directory: Path, kept: list[tuple[int, Frame]], last: SegmentInfo) -> None:
    compressor = zstandard.ZstdCompressor(level=1)
    temporary = directory / _TEMPORARY
    with temporary.open("wb") as file:
        for seq, frame in kept:
            file.write(encode(seq, [frame], compressor))
        file.write(end_block(last.last_seq + 1, last.last_ts))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(directory / layout.REMOVED)
    layout.sync_dir(directory)


def finish(directory: Path, *, closed: bool) -> None:
    """Delete what is removed already and still there. Raises OSError."""
    gone = layout.removed(directory)
    (directory / _TEMPORARY).unlink(missing_ok=True)
    if gone < 0:
        return
    whole = closed and not layout.segments(directory)
    for path in directory.iterdir():
        if _is_gone(path.name, gone, whole):
            path.unlink(missing_ok=True)
    layout.sync_dir(directory)


def _is_gone(name: str, gone: int, whole: bool) -> bool:
    number, dot, suffix = name.partition(".")
    if not number.isdecimal():
        return False
    if dot + suffix in {states.SUFFIX, states.TEMPORARY}:
        return whole or int(number) <= gone
    return dot + suffix in {layout.OPEN, layout.SEALED, layout.TEMPORARY} and int(number) <= gone
