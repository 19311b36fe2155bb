"""Files that may be packed, gzip, zstd or a zip archive of one file, told by their first bytes and read as if they were not."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path
from typing import IO

import zstandard

from tapeline.errors import UsageError

DAMAGE = (EOFError, OSError, zlib.error, zipfile.BadZipFile)
"""What reading a packed file that is damaged or cut off raises, after everything before the damage was given."""
_PIECE = 1 << 18
_BUFFER = 1 << 20


class _Gzip(gzip.GzipFile):
    """Closes the file beneath it, too."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(fileobj=file)
        self._beneath = file

    def close(self) -> None:
        super().close()
        self._beneath.close()


class _Zstd(io.RawIOBase):
    """One zstd frame after the other. The library's own reader takes a file that is cut off for one that ends."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._left = self._out = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # the buffer protocol has no name in 3.11
        while not self._out:
            packed = self._left or self._file.read(_PIECE)
            self._left = b""
            if not packed:
                if self._frame is not None:
                    raise EOFError("it ends within a zstd frame")
                return 0
            self._unpack(packed)
        n = min(len(buffer), len(self._out))
        buffer[:n], self._out = self._out[:n], self._out[n:]
        return n

    def _unpack(self, packed: bytes) -> None:
        frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
        try:
            self._out = frame.decompress(packed)
        except zstandard.ZstdError as e:
            raise OSError(str(e)) from None
        self._frame, self._left = (None, frame.unused_data) if frame.eof else (frame, b"")

    def close(self) -> None:
        super().close()
        self._file.close()


def _of_zip(file: io.BufferedReader) -> IO[bytes]:
    """Binance's public data come so. UsageError where it holds several files."""
    archive = zipfile.ZipFile(file)
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if len(names) != 1:
        raise UsageError(
            f"{file.name} holds {len(names)} files ({', '.join(names[:3])} …): unpack it, and name those that are meant"
        )
    return archive.open(names[0])


def unpacked(file: io.BufferedReader) -> IO[bytes]:
    head = file.peek(4)[:4]
    if head[:2] == b"\x1f\x8b":
        return _Gzip(file)  # type: ignore[return-value]
    if head == b"\x28\xb5\x2f\xfd":
        return io.BufferedReader(_Zstd(file), _BUFFER)
    if head == b"PK\x03\x04":
        return _of_zip(file)
    return file


def open_packed(path: Path) -> IO[bytes]:
    """A file or pipe. UsageError where it cannot be opened."""
    try:
        return unpacked(path.open("rb"))
    except (OSError, zipfile.BadZipFile) as e:
        raise UsageError(f"cannot read {path}: {getattr(e, 'strerror', None) or e}") from None
