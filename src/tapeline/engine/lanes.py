"""The venues' feeds and the instruments of one pipeline, and when each of them wants to be looked at."""

from collections.abc import Iterable
from heapq import heappop, heappush

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings, VenueSettings
from tapeline.engine import extending
from tapeline.engine.connections import Feed, label_of
from tapeline.engine.lane import Lane, Wants
from tapeline.engine.trades import Said
from tapeline.errors import MalformedFrame, UsageError
from tapeline.events import Event
from tapeline.market.barkinds.specs import BarSpec, live_kinds
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Metric
from tapeline.market.metrics.groups import Group, parse_group
from tapeline.venues.base import Again, Request

NEVER = 1 << 63  # past every time that 64 bits hold
MOST_KINDS = 64  # of bars, beside the usual ones
MOST_LANES = 10_000  # instruments at once: some three times what the largest venues trade


class Timers:
    """`due`: when the next one fires, our clock. `bars` is a heap of (when a lane's next bar closes, the lane's number)."""

    __slots__ = ("bars", "check", "due", "sample")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.bars: list[tuple[int, int]] = []
        self.check = self.sample = self.due = NEVER

    def check_from(self, ts: int) -> None:
        """From now on, a look each second whether all speak."""
        if self.check == NEVER:
            self.check = ts + SECOND
            self.due = min(self.due, self.check)

    def sample_soon(self) -> None:
        """There is an instrument to sample now: whoever fires next sets when."""
        if self.sample == NEVER:
            self.sample = self.due = 0

    def queue(self, lane: Lane) -> None:
        """Come back to a lane when its next bar closes. An earlier entry for it stays behind, and is passed over."""
        lane.trades.queued = due = lane.trades.bars.due
        heappush(self.bars, (due, lane.number))
        self.due = min(self.due, due)

    def next_bar(self) -> tuple[int, int] | None:
        """The next entry of a bar that is due no later than the next check and the next sample; it is taken."""
        return heappop(self.bars) if self.bars and self.bars[0][0] <= min(self.check, self.sample) else None

    def set_due(self) -> None:
        self.due = min(self.check, self.sample, self.bars[0][0] if self.bars else NEVER)


class Lanes:
    """`ended`: instruments that were unsubscribed, so that an answer that is still under way is of no use; and what they said."""

    def __init__(self, settings: PipelineSettings, venues: dict[str, VenueSettings]) -> None:
        self.settings = settings
        self.requests: list[Request | Again] = []
        self.by_name: dict[str, Lane] = {}
        self.by_number: dict[int, Lane] = {}
        self.feeds: dict[tuple[str, bool], Feed] = {}
        self.ended: dict[str, Said] = {}
        self.timers = Timers()
        self.metrics: list[str] = []  # names of those that are on
        self.kinds: list[BarSpec] = []  # of bars, beside the usual ones; the lanes look here
        self.unknown: list[tuple[str, str]] = []  # "metrics" or "bars", and what is wrong with those that cannot be: to be told
        self.groups: list[Group] = []
        self._venues = venues  # shared: addresses may still change before a feed is made
        self._made = 0
        self.switch(settings.metrics, settings.bars, settings.groups)

    def clear(self) -> None:
        self.by_name.clear()
        self.by_number.clear()
        self.feeds.clear()
        self.ended.clear()
        self.timers.clear()
        self.groups = [Group(group.spec) for group in self.groups]

    def feed_of(self, protocol: str, simulated: bool) -> Feed:
        feed = self.feeds.get((protocol, simulated))
        if feed is None:
            feed = self.feeds[protocol, simulated] = Feed(protocol, simulated, self._venues.get(protocol))
        return feed

    def of_native(self, native: str, feed: Feed) -> Lane:
        known = feed.registry.by_native.get(native)
        name = known.id if known is not None else feed.decoder.instrument(native)
        return self.by_name.get(name) or self.of(name, feed)

    def of(self, instrument: str, feed: Feed) -> Lane:
        """The lane of an instrument, made where it is new. Raises MalformedFrame where there are too many."""
        lane = self.by_name.get(instrument)
        if lane is None:
            if len(self.by_name) >= MOST_LANES:
                raise MalformedFrame(f"{instrument}: {MOST_LANES} instruments are streamed already")
            number = self._made
            lane = Lane(instrument, feed, self.settings, Wants(instrument, feed, self.requests), number, self.kinds)
            self.by_name[instrument] = self.by_number[number] = lane
            self._made += 1
            if self.sampled or self.unknown:
                lane.analytics.add(self.known_metrics())
                self.timers.sample_soon()
            if (said := self.ended.pop(instrument, None)) is not None:
                lane.trades.follow(said)
        return lane

    @property
    def sampled(self) -> bool:
        """Whether anything is."""
        return bool(self.metrics or self.groups)

    def known_metrics(self) -> list[Metric]:
        return [registry.metric(name) for name in self.metrics]

    def switch(self, metrics: Iterable[str], bars: Iterable[str], groups: Iterable[str]) -> None:
        """Sample these metrics and groups, and make these bars, too, from now on."""
        self._switch_bars(bars)
        self._switch_groups(groups)
        for name, found in extending.made(metrics):
            if isinstance(found, Metric) and name not in self.metrics:
                self.metrics.append(name)
            elif not isinstance(found, Metric):
                self.unknown.append(("metrics", str(found)))
        for lane in self.by_name.values():
            lane.analytics.add(self.known_metrics())
            self.timers.sample_soon()

    def _switch_bars(self, bars: Iterable[str]) -> None:
        for _, found in live_kinds(bars):
            if isinstance(found, UsageError):
                self.unknown.append(("bars", str(found)))
            elif len(self.kinds) >= MOST_KINDS:
                self.unknown.append(("bars", f"{found.text}: {MOST_KINDS} kinds of bars are made already; leave some out"))
            elif not found.standard and all(kind.text != found.text for kind in self.kinds):
                self.kinds.append(found)
        for lane in self.by_name.values():
            lane.trades.bars.also(self.kinds)

    def _switch_groups(self, groups: Iterable[str]) -> None:
        """A name that is on already stays what it is."""
        for text in groups:
            try:
                spec = parse_group(text)
            except UsageError as e:
                self.unknown.append(("groups", str(e)))
                continue
            if all(group.spec.name != spec.name for group in self.groups):
                self.groups.append(Group(spec))

    def sample_groups(self, ts_recv: int, out: list[Event]) -> None:
        """After the instruments, at the same instant."""
        for group in self.groups:
            lanes = [self._meant(name) for name in group.spec.members]
            flags = max((lane.flags for lane in lanes if lane is not None), default=0)
            if (
                made := group.sample(ts_recv, [None if lane is None else lane.as_member() for lane in lanes], flags)
            ) is not None:
                out.append(made)

    def _meant(self, member: str) -> Lane | None:
        """The lane of a group's member; where its venue is simulated, that of the simulated one."""
        if (lane := self.by_name.get(member)) is not None:
            return lane
        venue, _, symbol = member.partition(":")
        return self.by_name.get(f"{label_of(venue, simulated=True)}:{symbol}")

    def drop_idle(self, lane: Lane) -> None:
        """Forget an instrument of which nothing is asked for any more."""
        if not lane.wanted and lane.ending == NEVER:
            del self.by_name[lane.instrument], self.by_number[lane.number]
            self.ended[lane.instrument] = lane.trades.said
