"""What is on the tape to be played back: each session's time, size and instruments.

Told by headers and, for the instruments, by what the pipeline knows of the session: at the last state beside the tape, else after
its first frames (`LOOK`). Those that were added later are not among them where no state tells. This reads the disk: it is not for
the event loop.
"""

from collections import OrderedDict
from itertools import islice
from pathlib import Path

import msgspec
import structlog

from tapeline.clock import MICRO
from tapeline.engine import checkpoint
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.player import Player
from tapeline.errors import TapelineError, UsageError
from tapeline.events import Event
from tapeline.tape import layout, reader
from tapeline.tape.outline import brief

log = structlog.get_logger("tapeline.server")
MOST_LISTED = 200
MOST_KEPT = 500
LOOK = 300
"""Frames."""


class Recording(msgspec.Struct, frozen=True):
    """Times in microseconds. `live`: it is being recorded now."""

    session: str
    first: int
    last: int
    frames: int
    bytes: int
    instruments: list[str]
    live: bool


class Recordings:
    """`found` lists them, the newest first; those that cannot be read, or have nothing in them, are left out."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._instruments: OrderedDict[tuple[str, int], list[str]] = OrderedDict()

    def player(self, session: str) -> Player:
        """One that is not alone. Raises UsageError where there is no such session, TapeError."""
        if session not in layout.session_ids(self._root):
            raise UsageError(f"there is no recording {session[:80]!r}")
        last = brief(layout.tape_dir(self._root) / session).last_ts
        return Player(self._root, session, last=last, polite=True)

    def found(self) -> tuple[list[Recording], bool]:
        """The last `MOST_LISTED`, and whether there are more. Raises TapeError where the tape cannot be listed."""
        names = layout.session_ids(self._root)[::-1]
        listed = [one for name in names[:MOST_LISTED] if (one := self._one(name)) is not None]
        return listed, len(names) > MOST_LISTED

    def _one(self, session: str) -> Recording | None:
        directory = layout.tape_dir(self._root) / session
        try:
            told = brief(directory)
            if not told.frames:
                return None
            instruments = self._named(session, directory)
        except TapelineError as e:
            log.warning("a session is not listed", session=session, reason=str(e))
            return None
        return Recording(
            session=session,
            first=told.first_ts // MICRO,
            last=told.last_ts // MICRO,
            frames=told.frames,
            bytes=told.bytes,
            instruments=instruments,
            live=layout.is_live(directory),
        )

    def _named(self, session: str, directory: Path) -> list[str]:
        key = session, sum(1 for _ in directory.glob("*.state"))
        if (known := self._instruments.get(key)) is not None:
            return known
        names = sorted(self._known(session))
        self._instruments[key] = names
        while len(self._instruments) > MOST_KEPT:
            self._instruments.popitem(last=False)
        return names

    def _known(self, session: str) -> set[str]:
        if (state := checkpoint.latest(self._root, session)) is not None:
            return state[0].instruments
        frames = [frame for _, frame in islice(reader.read(self._root, session), LOOK)]
        if not frames:
            return set()
        pipeline, out = Pipeline.of_session(frames[0]), list[Event]()
        pipeline.feed_many(0, frames, out)
        return pipeline.instruments
