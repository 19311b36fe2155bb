"""A session that comes from elsewhere: written beside the tape, and moved onto it whole.

    DATA/importing/tape/SESSION/…     while it is being written; worth nothing after a crash, swept away by the next import
    DATA/tape/SESSION/…               one rename later

So the tape never has half an import, and one that was killed is simply begun again. What was imported is known by the digests in
the heads of the sessions.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec

from tapeline.clock import ReplayClock, iso
from tapeline.config import TapeSettings
from tapeline.errors import ConfigError, TapeError, UsageError
from tapeline.frames import Frame, Session, Source
from tapeline.tape import layout, reader
from tapeline.tape.format import BLOCK_FRAMES
from tapeline.tape.writer import TapeWriter

STAGING = "importing"


def session_id(first_ts: int, sources: Iterable[Source]) -> str:
    """`20190601T000003Z-5f1c22aa`: of the recording's own time, so that sessions sort by what they tell, and always the same for
    the same files, so that sinks which have it know it again.
    """
    digest = hashlib.sha256("".join(sorted(s.digest for s in sources)).encode()).hexdigest()
    return f"{iso(first_ts)[:19].replace('-', '').replace(':', '')}Z-{digest[:8]}"


def known_sources(data: Path) -> dict[str, str]:
    """Digest → session, of everything that was imported and still is on the tape. Sessions whose head cannot be read have none."""
    found: dict[str, str] = {}
    for session in layout.session_ids(data):
        try:
            found.update({source.digest: session for source in reader.head(data, session).sources})
        except TapeError:
            continue
    return found


@contextmanager
def staged(data: Path) -> Iterator[Path]:
    """The place where an import is written, held against a second one. Raises UsageError where another is at work there,
    ConfigError where it cannot be made.
    """
    place = data / STAGING
    lock = layout.SessionLock(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not lock.take():
            raise UsageError(f"another import into {data} is at work; wait for its end")
    except OSError as e:
        raise ConfigError("data", str(data), f"cannot be written: {e.strerror}; name another directory") from None
    try:
        shutil.rmtree(layout.tape_dir(place), ignore_errors=True)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        lock.release()


def write(place: Path, session: Session, first_ts: int, frames: Iterable[Frame], settings: TapeSettings) -> int:
    """Write a whole session into `place`; the seq of its last frame. Raises TapeError where the disk does not take it: an import
    can wait, so nothing is left out.
    """
    calm = msgspec.structs.replace(settings, mode="default")
    trouble: list[str] = []
    tape = TapeWriter(place, session, calm, ReplayClock(first_ts), on_trouble=trouble.append)
    left, last, segments = iter(frames), 0, 1
    try:
        while block := list(islice(left, BLOCK_FRAMES)):
            last = tape.append_many(block)
            if (now := tape.stats().segments) > segments:
                segments = now
                tape.sync_now()
            if trouble:
                break
    finally:
        tape.close_sync()
    if trouble or tape.stats().lost_frames:
        why = trouble[0] if trouble else "the last frames could not be written"
        raise TapeError(f"nothing was imported: {why}; make room and import again")
    return last


def settle(place: Path, data: Path, session: str) -> None:
    """Move a written session onto the tape, in one step. Raises TapeError where it cannot be."""
    target = layout.tape_dir(data) / session
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        (layout.tape_dir(place) / session).rename(target)
        layout.sync_dir(target.parent)
    except OSError as e:
        raise TapeError(f"nothing was imported: {target} cannot be made: {e.strerror}") from e
