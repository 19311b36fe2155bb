"""How a session lies in time, from block headers alone: what lists and timelines are drawn from, without a frame being read.

A sealed segment is told by its first header and its end; only where its *shape* is asked for are all its headers walked, once: what
is sealed never changes. What is kept of it is bounded: neighbouring blocks become one cell where there are more than `MOST_CELLS`.
"""

from collections import OrderedDict
from pathlib import Path

import msgspec

from tapeline.errors import TapeError
from tapeline.tape import layout
from tapeline.tape.blocks import Damage, SegmentFile
from tapeline.tape.format import HEADER_SIZE, Damaged, read_header

MOST_CELLS = 2048
MOST_KEPT = 256
"""Segments whose shapes are remembered."""
Cell = tuple[int, int, int]
"""First and last receive time (ns) of a run of frames, and how many they are."""


class Brief(msgspec.Struct, frozen=True):
    """Of a session or a segment; times are 0 where there is no frame."""

    first_ts: int = 0
    last_ts: int = 0
    frames: int = 0
    bytes: int = 0


class Hole(msgspec.Struct, frozen=True):
    """Frames `first` to `last` are not on the tape; between these times, ns."""

    first: int
    last: int
    since: int
    until: int


class Shape(msgspec.Struct, frozen=True):
    cells: list[Cell]
    first_seq: int
    next_seq: int
    holes: list[Hole]


def brief(directory: Path) -> Brief:
    """A session's. Raises TapeError."""
    found = [b for _, path in layout.segments(directory) if (b := _brief(path)).frames]
    if not found:
        return Brief()
    return Brief(found[0].first_ts, found[-1].last_ts, sum(b.frames for b in found), sum(b.bytes for b in found))


def _brief(path: Path) -> Brief:
    if path.suffix == layout.SEALED and (told := _sealed(path)) is not None:
        return told
    shape = _shape(path)
    if not shape.cells:
        return Brief()
    return Brief(shape.cells[0][0], shape.cells[-1][1], sum(cell[2] for cell in shape.cells), _size(path))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # sealed meanwhile, or removed


def _sealed(path: Path) -> Brief | None:
    """None where its two ends do not tell."""
    try:
        with path.open("rb") as file:
            first = read_header(file.read(HEADER_SIZE))
            size = file.seek(-HEADER_SIZE, 2) + HEADER_SIZE
            end = read_header(file.read(HEADER_SIZE))
    except (OSError, Damaged):
        return None
    if first.is_end or not end.is_end:
        return None
    return Brief(first.first_ts, end.last_ts, end.first_seq - first.first_seq, size)


def _shape(path: Path) -> Shape:
    cells: list[Cell] = []
    holes: list[Hole] = []
    first = following = -1
    with SegmentFile(path) as file:
        for item in file.walk(lambda _: False):
            if isinstance(item, Damage):
                continue
            h = item.header
            if first < 0:
                first = following = h.first_seq
            if h.first_seq > following:
                holes.append(Hole(following, h.first_seq - 1, cells[-1][1] if cells else h.first_ts, h.first_ts))
            following = h.last_seq + 1
            cells.append((h.first_ts, h.last_ts, h.frames))
            if len(cells) > 2 * MOST_CELLS:
                cells = _halved(cells)
    return Shape(_halved(cells) if len(cells) > MOST_CELLS else cells, max(first, 0), max(following, 0), holes)


def _halved(cells: list[Cell]) -> list[Cell]:
    pairs = zip(cells[::2], cells[1::2], strict=False)
    return [(a[0], b[1], a[2] + b[2]) for a, b in pairs] + (cells[-1:] if len(cells) % 2 else [])


class Outlines:
    """Shapes of sessions; those of sealed segments are remembered. Not for the event loop: it reads the disk."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, Shape] = OrderedDict()

    def of(self, directory: Path) -> Shape:
        """A session's. Raises TapeError."""
        cells: list[Cell] = []
        holes: list[Hole] = []
        following = layout.removed(directory) + 1
        for _, path in layout.segments(directory):
            shape = self._segment(path)
            if shape is None or not shape.cells:
                continue
            if shape.first_seq > following:
                since = cells[-1][1] if cells else shape.cells[0][0]
                holes.append(Hole(following, shape.first_seq - 1, since, shape.cells[0][0]))
            cells += shape.cells
            holes += shape.holes
            following = shape.next_seq
        return Shape(cells, 0, following, holes)

    def _segment(self, path: Path) -> Shape | None:
        if (known := self._kept.get(path)) is not None:
            return known
        try:
            shape = _shape(path)
        except TapeError:
            if path.exists():
                raise
            return None  # removed under our eyes
        if path.suffix == layout.SEALED:
            self._kept[path] = shape
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return shape
