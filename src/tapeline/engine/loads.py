"""What each venue costs: frames, events and CPU seconds of their handling, by protocol.

Measured around the collector's one door, with the CPU time of its thread: recording a frame, decoding it, keeping books and bars,
and handing events to the queues of consumers. Not in it: the sockets' own work, and what consumers do. Frames are handed on in
batches; where one holds frames of several venues, its time and events are shared out by their number, so figures add up to the
whole and are true on the average.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from tapeline.clock import cpu_time
from tapeline.frames import Frame, FrameKind, unpack_answer

HTTP = int(FrameKind.HTTP)


class Load:
    __slots__ = ("cpu", "events", "frames")

    def __init__(self) -> None:
        self.frames, self.events, self.cpu = 0, 0.0, 0.0  # `cpu` in ns


class Loads:
    """`protocol_of(conn)`: what a connection speaks. What belongs to none (timers) counts under the empty name."""

    def __init__(self, protocol_of: Callable[[int], str]) -> None:
        self._protocol_of = protocol_of
        self.of: dict[str, Load] = {}

    def measure(self, frames: Sequence[Frame], work: Callable[[], int]) -> None:
        """Do the work that these frames make; it gives the number of events."""
        before = cpu_time()
        events = work()
        self._share(frames, events, cpu_time() - before)

    def _share(self, frames: Sequence[Frame], events: int, cpu: int) -> None:
        n = len(frames)
        if n == 1:
            self._add(self._protocol(frames[0]), 1, events, cpu)
            return
        for protocol, part in Counter(map(self._protocol, frames)).items():
            self._add(protocol, part, events * part / n, cpu * part / n)

    def _protocol(self, frame: Frame) -> str:
        if frame.conn:
            return self._protocol_of(frame.conn)
        return unpack_answer(frame.data)[0].venue if frame.kind == HTTP else ""

    def _add(self, protocol: str, frames: int, events: float, cpu: float) -> None:
        load = self.of.get(protocol)
        if load is None:
            load = self.of[protocol] = Load()
        load.frames += frames
        load.events += events
        load.cpu += cpu
