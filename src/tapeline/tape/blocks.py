"""The way through one segment file that may be damaged.

At each offset stands a whole good block, or damage. After damage the next good block is searched, at every place that looks
like a block's beginning: from where the damaged block's header says that it ends, if that header is sound (only the payload is
damaged then, and whatever in it looks like a block is none), else from the next byte. If none follows, the rest is a *torn
tail*: in an open segment that is what a crash leaves and no fault; in a sealed one it is damage.
"""

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from tapeline.errors import TapeError
from tapeline.tape.format import HEADER_SIZE, MAGIC, Damaged, Header, read_header, read_payload
from tapeline.tape.layout import OPEN, SEALED

_WINDOW = 1 << 20


class Damage(msgspec.Struct, frozen=True):
    """`size` bytes from `offset` of `segment` are no blocks. `torn`: nothing good follows, and the segment was still open."""

    segment: str
    offset: int
    size: int
    text: str
    torn: bool

    def __str__(self) -> str:
        return f"{self.segment}, offset {self.offset}, {self.size} bytes: {self.text}"


class Block(msgspec.Struct, frozen=True):
    """`raw` is the proved payload, None where only the header was asked for."""

    offset: int
    header: Header
    raw: bytes | None

    @property
    def size(self) -> int:
        return HEADER_SIZE + self.header.stored


def _opened(path: Path) -> BinaryIO:
    """Raises OSError. A pipe in a segment's place would make whoever opens it wait for ever."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file")
    return path.open("rb")


class SegmentFile:
    """Raises TapeError where the file cannot be read. An open segment that is sealed meanwhile is found under its new name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            try:
                self._file = _opened(path)
            except FileNotFoundError:
                self.path = path.with_suffix(SEALED if path.suffix == OPEN else OPEN)
                self._file = _opened(self.path)
        except OSError as e:
            raise TapeError(f"cannot read {path}: {e.strerror}") from e
        self.sealed = self.path.suffix == SEALED

    def __enter__(self) -> "SegmentFile":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def walk(self, wanted: Callable[[Header], bool]) -> Iterator[Block | Damage]:
        """Every block and every damaged stretch in order; payloads of the `wanted` headers only. The END block is not given."""
        offset, ended = 0, False
        while True:
            try:
                block = self._block(offset, wanted)
            except Damaged as e:
                following = self._next_good(offset)
                end = self._end() if following is None else following
                yield Damage(str(self.path), offset, end - offset, str(e), following is None and not self.sealed)
                if following is None:
                    return
                offset = following
                continue
            if block is None:
                break
            offset += block.size
            ended = block.header.is_end
            if not ended:
                yield block
        if self.sealed and not ended:
            yield Damage(str(self.path), offset, 0, "cut off: the sealed segment lacks its end", torn=False)

    def _at(self, offset: int, size: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(size)
        except OSError as e:
            raise TapeError(f"cannot read {self.path} at {offset}: {e.strerror}") from e

    def _end(self) -> int:
        return self._file.seek(0, 2)

    def _block(self, offset: int, wanted: Callable[[Header], bool]) -> Block | None:
        """None at the end of the file. Raises Damaged."""
        head = self._at(offset, HEADER_SIZE)
        if not head:
            return None
        header = read_header(head)
        if wanted(header):
            return Block(offset, header, read_payload(header, self._at(offset + HEADER_SIZE, header.stored)))
        if header.stored and not self._at(offset + HEADER_SIZE + header.stored - 1, 1):
            raise Damaged("block cut off")
        return Block(offset, header, None)

    def _next_good(self, offset: int) -> int | None:
        """The next offset after the damaged `offset` where a block is proved good."""
        try:
            start = offset + HEADER_SIZE + read_header(self._at(offset, HEADER_SIZE)).stored
        except Damaged:
            start = offset + 1
        while window := self._at(start, _WINDOW):
            at = window.find(MAGIC)
            while at >= 0:
                if self._good(start + at):
                    return start + at
                at = window.find(MAGIC, at + 1)
            if len(window) < _WINDOW:
                return None
            start += _WINDOW - len(MAGIC) + 1
        return None

    def _good(self, offset: int) -> bool:
        try:
            return self._block(offset, lambda _: True) is not None
        except Damaged:
            return False
