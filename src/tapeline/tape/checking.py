"""Proving the tape: every checksum, every column, the order of seqs and times, holes, torn tails.

What is on the tape must be provable later by somebody else, so this trusts no header: it reads every byte. A hole is a finding
even where a LOST frame admits it: the frames are missing all the same. It says so, then.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tapeline.frames import Frame, FrameKind, unpack_lost
from tapeline.tape import layout
from tapeline.tape.blocks import Block, Damage, SegmentFile
from tapeline.tape.format import Damaged, decode

Kind = Literal["damage", "torn", "hole", "order", "head"]


class Finding(msgspec.Struct, frozen=True):
    """`damage`: bytes that are no block; `torn`: a tail that a crash left; `hole`: frames that are missing;
    `order`: seq or receive time running back; `head`: the session does not begin with its SESSION frame. `admitted`: a LOST frame
    tells of the hole.
    """

    kind: Kind
    session: str
    segment: str
    offset: int
    text: str
    admitted: bool = False

    @property
    def noted(self) -> bool:
        """Whether the tape itself tells of it: nobody who reads the rest is misled."""
        return self.kind == "torn" or self.admitted

    def __str__(self) -> str:
        return f"{self.kind} {self.segment} at {self.offset}: {self.text}"


class _Place(msgspec.Struct):
    """How far the check of a session has come."""

    session: str
    live: bool
    next_seq: int = 0
    last_ts: int = 0


def verify(root: Path) -> list[Finding]:
    """Everything that does not hold together; an empty list is a sound tape. Raises TapeError where a file cannot be read.

    The tail of a session that is being written now is not judged.
    """
    findings: list[Finding] = []
    for name in layout.session_ids(root):
        directory = layout.tape_dir(root) / name
        place = _Place(name, layout.is_live(directory))
        if (gone := layout.removed(directory)) >= 0 or (directory / layout.REMOVED).exists():
            findings += _remains(directory / layout.REMOVED, name)
            place.next_seq = gone + 1
        for _, path in layout.segments(directory):
            findings += _segment(path, place)
    return findings


def _remains(path: Path, session: str) -> Iterator[Finding]:
    """What is left of removed segments: its holes are meant."""
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: True):
            if isinstance(item, Damage):
                yield Finding("damage", session, str(path), item.offset, f"{item.size} bytes: {item.text}")
            elif not item.offset and decode(item.header, item.raw or b"")[0].kind != FrameKind.SESSION:
                yield Finding("head", session, str(path), 0, "frame 0 is not the SESSION frame")


def _segment(path: Path, place: _Place) -> Iterator[Finding]:
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: True):
            if isinstance(item, Block):
                if not item.offset and item.header.first_seq != int(path.stem):
                    text = f"the file is named after frame {int(path.stem)} and begins with {item.header.first_seq}"
                    yield Finding("order", place.session, str(file.path), 0, text)
                for kind, text, admitted in _block(item, place):
                    yield Finding(kind, place.session, str(file.path), item.offset, text, admitted)
            elif not (item.torn and place.live):
                yield _damage(item, place)


def _damage(item: Damage, place: _Place) -> Finding:
    if item.torn:
        text = f"{item.size} bytes that a crash left, `tapeline tape seal` drops them: {item.text}"
        return Finding("torn", place.session, item.segment, item.offset, text)
    return Finding("damage", place.session, item.segment, item.offset, f"{item.size} bytes: {item.text}")


def _block(block: Block, place: _Place) -> Iterator[tuple[Kind, str, bool]]:
    h = block.header
    frames, damage = [], ""
    try:
        frames = decode(h, block.raw or b"")
    except Damaged as e:
        damage = str(e)
    if h.first_seq > place.next_seq:
        told = _told(frames, h.first_seq - place.next_seq)
        yield "hole", f"frames {place.next_seq} to {h.first_seq - 1} are missing{told}", bool(told)
    elif h.first_seq < place.next_seq:
        yield "order", f"frame {h.first_seq} comes after frame {place.next_seq - 1}", False
    if damage:
        yield "damage", damage, False
        return
    if h.first_seq == 0 and frames[0].kind != FrameKind.SESSION:
        yield "head", "frame 0 is not the SESSION frame", False
    back = _running_back(h.first_seq, frames, place)
    if back:
        yield "order", back, False
    if (h.first_ts, h.last_ts) != (frames[0].ts_recv, frames[-1].ts_recv):
        yield "damage", "the header's times are not those of its frames", False
    place.next_seq = max(place.next_seq, h.last_seq + 1)


def _told(frames: Sequence[Frame], missing: int) -> str:
    """What the LOST frame behind a hole says, where it tells of all that is missing."""
    if not frames or frames[0].kind != FrameKind.LOST:
        return ""
    lost = unpack_lost(frames[0].data)
    return f", as a LOST frame says: {lost.reason}" if lost.frames >= missing else ""


def _running_back(first_seq: int, frames: Sequence[Frame], place: _Place) -> str:
    """The first frame of a block that was received before one ahead of it, in words."""
    text = ""
    for seq, frame in enumerate(frames, first_seq):
        if frame.ts_recv < place.last_ts and not text:
            text = f"frame {seq} was received {place.last_ts - frame.ts_recv} ns before one ahead of it"
        place.last_ts = max(place.last_ts, frame.ts_recv)
    return text
