"""What the tape's tests share: frames, writers, and a look at what is on the disk."""

from pathlib import Path

from tapeline.clock import ReplayClock
from tapeline.config import TapeSettings
from tapeline.frames import Frame, FrameKind, Session
from tapeline.tape.reader import read
from tapeline.tape.writer import TapeWriter

T0 = 1_795_255_500_000_000_000  # 2026-11-21T10:05:00Z
SESSION = "20261121T100500Z-1a2b"


def frames(count: int, first: int = 0, size: int = 40) -> list[Frame]:
    """Distinct received messages, a millisecond apart."""
    return [
        Frame(T0 + i * 1_000_000, FrameKind.RECV, 1 + i % 3, b'{"n":%d}' % i + b" " * (size - 6))
        for i in range(first, first + count)
    ]


def writer(root: Path, session: str = SESSION, **settings: object) -> TapeWriter:
    return TapeWriter(root, Session(id=session, version="1"), TapeSettings(**settings), ReplayClock(T0))  # type: ignore[arg-type]


def taped(root: Path, batches: list[list[Frame]], *, seal: bool = False, session: str = SESSION, **settings: object) -> Path:
    """A tape whose blocks are `batches`, after the head's own block; its first segment. Without `seal`, as a crash leaves it."""
    tape = writer(root, session, **settings)
    for batch in batches:
        tape.append_many(batch)
        tape.flush()
    if seal:
        tape.close_sync()
    else:
        tape._journal.finish(T0)
        tape._journal.unlock()
    return next(p for p in sorted((root / "tape" / session).iterdir()) if p.suffix in {".open", ".tape"})


def contents(root: Path, session: str = SESSION) -> list[tuple[int, Frame]]:
    return list(read(root, session))
