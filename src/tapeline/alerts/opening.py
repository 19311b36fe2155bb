"""The room of alerts for a live collector."""

from collections.abc import Callable
from pathlib import Path

from tapeline.alerts.room import Room
from tapeline.alerts.watch import beside
from tapeline.config import AlertsSettings
from tapeline.engine.collector import Collector
from tapeline.frames import Frame


async def open_room(collector: Collector, data: Path, settings: AlertsSettings, link: Callable[[], str]) -> Room:
    """Before anything is streamed: raises ConfigError where a rule or a target is wrong. `link`: where the page is."""

    def deliver(frames: list[Frame]) -> int:
        """What waits at the door comes onto the tape after what is there."""
        collector.door(frames)
        last = -1 if collector.tape is None else collector.tape.next_seq - 1
        return last + collector.door.waiting

    room = Room(data, settings, collector.clock, session=collector.session, deliver=deliver, link=link)
    await room.open(beside(collector, settings, room.take))
    return room
