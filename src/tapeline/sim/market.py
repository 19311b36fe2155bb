"""The simulated market: pure, seeded, driven by `advance`.

Same seed, same start and same instruments give the same market, however often and in whatever strides it is advanced: time
moves on a fixed grid (`latent.STEP`), and every instrument draws from a random source of its own. Venue-specific are only what
is listed, the rules of ids and the cadences of diffs (`Spec`, `VenueRules`); how things are spelled is the wire files' business.
"""

import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from tapeline.clock import SECOND
from tapeline.errors import UsageError
from tapeline.sim.flow import Flow
from tapeline.sim.instrument import Ids, Instrument
from tapeline.sim.latent import STEP, Latent
from tapeline.sim.specs import ASSETS, Spec, VenueRules

_FUNDING = 8 * 3600 * SECOND


class Book(msgspec.Struct, frozen=True):
    """The truth about a book: (price, size) in ticks and lots, best first, as of `last_update_id`."""

    last_update_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Perpetual:
    """Mark price, index and funding. The premium is a slow average of how far the book stands from the index."""

    __slots__ = ("premium",)

    def __init__(self) -> None:
        self.premium = 1e-4

    def step(self, middle: float, fair: float) -> None:
        self.premium += 2e-4 * (middle / fair - 1 + 1e-4 - self.premium)

    @property
    def funding(self) -> float:
        """Per eight hours, clamped as the venue does."""
        return max(-0.0075, min(0.0075, self.premium + max(-5e-4, min(5e-4, 1e-4 - self.premium))))


class Marks(NamedTuple):
    """Of a perpetual or a future: mark and index (`spot`) price in the quote asset; `funding` per eight hours, of futures 0."""

    mark: float
    spot: float
    funding: float


MINUTES_BEFORE = 1440


class Market:
    def __init__(self, specs: list[Spec], rules: Mapping[str, VenueRules], *, seed: int, start: int, rate: float = 1.0) -> None:
        """`rules` by venue. `start`: ns UTC, rounded down to the grid. `rate` multiplies how much happens, not how time runs."""
        self.now = start - start % STEP
        self.latent = Latent(seed, sorted({name for s in specs for name in (s.base, s.quote) if name in ASSETS}))
        self.instruments: dict[tuple[str, str], Instrument] = {}
        self.perpetuals: dict[tuple[str, str], Perpetual] = {}
        self._flows: list[Flow] = []
        self._basis: dict[tuple[str, str], float] = {}
        self._burst, self._burst_until = 1.0, 0
        shared = {
            venue: Ids(rule.first_update_id + seed % 1000, rule.spread, f"{seed}:{venue}")
            for venue, rule in rules.items()
            if rule.shared_ids
        }
        for spec in specs:
            self._list(spec, rules[spec.venue], seed, rate, shared)

    def _list(self, spec: Spec, rules: VenueRules, seed: int, rate: float, shared: dict[str, Ids]) -> None:
        key = (spec.venue, spec.native)
        rng = random.Random(f"{seed}:listing:{spec.venue}:{spec.native}")
        ids = shared.get(spec.venue) or Ids(rules.first_update_id + rng.getrandbits(32))
        instrument = Instrument(spec, ids, rules.cadences, rules.first_trade_id + rng.getrandbits(26))
        self._basis[key] = 0.0 if spec.kind not in {"perp", "future"} else rng.uniform(1e-4, 3e-4)
        instrument.fair = self._fair(instrument, key)
        instrument.last_price = round(instrument.fair)
        volume = round(spec.events * 6 * spec.lots(spec.size, instrument.fair * spec.tick_size) * 2)
        past = random.Random(f"{seed}:past:{spec.base}")  # spot and perpetual of an asset walked the same way
        walk = [past.gauss(0, 0.0006) for _ in range(MINUTES_BEFORE)]
        instrument.klines.invent(rng, walk, self.now, instrument.last_price, instrument.trade_id + 1, volume)
        self.instruments[key] = instrument
        self._flows.append(Flow(instrument, seed, rate))
        if spec.kind == "perp":
            self.perpetuals[key] = Perpetual()

    def _fair(self, instrument: Instrument, key: tuple[str, str]) -> float:
        """In ticks."""
        spec = instrument.spec
        return self.index(spec) * (1 + self._basis[key]) / spec.tick_size

    def index(self, spec: Spec) -> float:
        """What the base asset is worth in the quote asset, whatever any venue quotes."""
        prices = self.latent.prices
        price = prices.get(spec.base, 1.0)
        return price / prices[spec.quote] if spec.quote in prices else price

    def advance(self, to: int) -> Iterator[int]:
        """Step up to `to` (ns), yielding the time at each step's end: what happened in it stands on the instruments till then."""
        while self.now + STEP <= to:
            self._step()
            yield self.now

    def _step(self) -> None:
        self.latent.step()
        activity = self.latent.regime.activity
        if self.now < self._burst_until:
            activity *= self._burst
        for flow in self._flows:
            instrument = flow.instrument
            key = (instrument.spec.venue, instrument.spec.native)
            instrument.fair = self._fair(instrument, key)
            instrument.begin_step()
            if not instrument.halted:
                flow.step(self.now, activity)
            instrument.end_step()
            perpetual = self.perpetuals.get(key)
            if perpetual is not None and not instrument.halted:
                lob = instrument.lob
                perpetual.step((lob.bids.best + lob.asks.best) / 2, instrument.fair)
        self.now += STEP

    def skip(self, to: int) -> None:
        """Jump to `to` without anything happening (the machine slept): the books stand as they were."""
        self.now = max(self.now, to - to % STEP)

    def marks(self, venue: str, native: str) -> Marks:
        index = self.index(self.instrument(venue, native).spec)
        perpetual = self.perpetuals.get((venue, native))
        if perpetual is None:
            return Marks(index * (1 + self._basis[venue, native]), index, 0.0)
        return Marks(index * (1 + perpetual.premium), index, perpetual.funding)

    def burst(self, factor: float, seconds: float) -> None:
        """For so long, that many times as much happens, everywhere."""
        self._burst, self._burst_until = factor, self.now + round(seconds * SECOND)

    def halt(self, venue: str, native: str) -> None:
        """Trading ends and the book is emptied: all its levels leave in one event."""
        self.instrument(venue, native).halt()

    def reopen(self, venue: str, native: str) -> None:
        """The book is filled anew, around today's price."""
        instrument = self.instrument(venue, native)
        if instrument.halted:
            next(flow for flow in self._flows if flow.instrument is instrument).reopen(self.now)

    def instrument(self, venue: str, native: str) -> Instrument:
        try:
            return self.instruments[venue, native]
        except KeyError:
            raise UsageError(f"{venue}:{native} is not in this simulated market") from None

    def book(self, venue: str, native: str, levels: int = 1_000_000) -> Book:
        instrument = self.instrument(venue, native)
        return Book(instrument.last_id, instrument.lob.bids.top(levels), instrument.lob.asks.top(levels))

    def next_funding(self) -> int:
        return self.now - self.now % _FUNDING + _FUNDING
