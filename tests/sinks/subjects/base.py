"""What the conformance suite asks of a sink under test."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from tapeline.config import Settings
from tapeline.events import Event
from tapeline.sinks.base import Sink
from tapeline.sinks.registry import SINKS
from tests.sinks.helpers import Row, everything


class Subject(ABC):
    """`local`: it writes below the data directory, so that a folder without rights, a full disk and a second process are its own
    troubles; a sink on a server has others, which its own test module tries.
    """

    name: str
    local = True
    refuses_second_writer = True
    whole_commits = True
    """A commit that is cut short leaves nothing; otherwise its beginning, which the next commit goes on from."""
    kill_within = 0.05
    """Seconds within which a child that writes is killed."""

    def settings(self, data: Path) -> Settings:
        """Settings of a sink whose place belongs to `data` alone, the same each time for the same `data`."""
        return Settings()

    def make(self, data: Path) -> Sink:
        """Not yet open."""
        return SINKS[self.name](data, self.settings(data))

    @abstractmethod
    def read(self, data: Path) -> list[Row]:
        """Everything that is in it, without our code, as `helpers.row` writes events; in any order."""

    def kept(self, sessions: Iterable[Iterable[Event]]) -> list[Row]:
        """What of these events it is to hold, worked out without the sink."""
        return everything(sessions)
