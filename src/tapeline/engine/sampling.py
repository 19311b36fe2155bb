"""When the metrics are sampled, and what of the events they are shown.

Events are only kept as they are made, and shown at the next sample: most of them no metric needs. They are shown earlier where an
instrument may end or begin anew, so that nothing depends on how frames were batched.
"""

from itertools import islice

from tapeline.clock import MILLI, SECOND
from tapeline.engine.lanes import NEVER, Lanes
from tapeline.events import BookUpdate, Event, Metrics, Status

LEAP = 3600 * SECOND
UNNEEDED = frozenset({BookUpdate, Metrics})
MOST_UNSEEN = 20_000


class Sampling:
    """`begin` at each call of the pipeline, `gather` while it makes events, `sample` when one is due."""

    __slots__ = ("_gathered", "_lanes", "_step", "_unseen")

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._step = lanes.settings.metrics_ms * MILLI
        self._gathered = 0  # so many of the events made in this call are kept
        self._unseen: list[Event] = []

    def begin(self, out: list[Event]) -> None:
        """What `out` holds already was made in an earlier call."""
        self._gathered = len(out)

    def gather(self, out: list[Event]) -> None:
        if self._lanes.sampled:
            self._unseen += islice(out, self._gathered, None)
            if len(self._unseen) > MOST_UNSEEN:
                self._show()
        self._gathered = len(out)

    def show(self, out: list[Event]) -> None:
        """Show the metrics of each instrument all that was made so far."""
        self.gather(out)
        self._show()

    def _show(self) -> None:
        lanes, unseen, self._unseen = self._lanes.by_name, self._unseen, []
        for event in unseen:
            if type(event) not in UNNEEDED and (lane := lanes.get(event.instrument)) is not None:
                lane.analytics.take(event)

    def sample(self, due: int, out: list[Event]) -> None:
        """`due` 0 only says that there is something to sample from now on."""
        if due:
            self.show(out)
            self.tell_unknown(due, out)
            for lane in self._lanes.by_name.values():
                lane.sample(due, out)
            self._lanes.sample_groups(due, out)

    def next_due(self, now: int, latest: int) -> int:
        """The first sample follows the `latest` frame so far, which made an instrument. After a leap of the clock only the last hour
        is sampled. Samples lie on whole steps of our clock.
        """
        if not self._lanes.by_name:
            return NEVER
        after = max(self._lanes.timers.sample or latest, now - LEAP)
        return after - after % self._step + self._step

    def tell_unknown(self, ts: int, out: list[Event]) -> None:
        """A recording may name metrics, bars and groups that this program lacks."""
        out += [Status("", ts, ts, 0, "rejected", "", channel, error, None, None, 1) for channel, error in self._lanes.unknown]
        self._lanes.unknown.clear()
