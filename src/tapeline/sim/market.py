"""The simulated market: pure, seeded, driven by `advance`.

Same seed, same start and same instruments give the same market, however often and in whatever strides it is advanced: time
moves on a fixed grid (`latent.STEP`), and every instrument draws from a random source of its own. Venue-specific are only the
rules of ids and the cadences of diffs (`VenueRules`); how things are spelled is the wire files' business.
"""

import random
from collections.abc import Iterator

import msgspec

from tapeline.clock import MILLI, SECOND
from tapeline.errors import UsageError
from tapeline.sim.flow import Flow
from tapeline.sim.instrument import Ids, Instrument
from tapeline.sim.latent import STEP, Latent
from tapeline.sim.specs import Spec

_FUNDING = 8 * 3600 * SECOND


class VenueRules(msgspec.Struct, frozen=True, kw_only=True):
    """`shared_ids`: one update-id sequence for the whole venue, `spread` of whose ids others take at most between two of ours."""

    cadences: tuple[int, ...]
    shared_ids: bool = False
    spread: int = 0
    first_update_id: int = 70_000_000_000
    first_trade_id: int = 4_000_000_000


RULES: dict[str, VenueRules] = {
    "binance": VenueRules(cadences=(100 * MILLI, 1000 * MILLI)),
    "binance-usdm": VenueRules(
        cadences=(STEP, 100 * MILLI, 250 * MILLI, 500 * MILLI),
        shared_ids=True,
        spread=40,
        first_update_id=8_900_000_000_000,
        first_trade_id=6_000_000_000,
    ),
}


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


MINUTES_BEFORE = 1440


class Market:
    def __init__(self, specs: list[Spec], *, seed: int, start: int, rate: float = 1.0) -> None:
        """`start`: ns UTC, rounded down to the grid. `rate` multiplies how much happens, not how time runs."""
        self.now = start - start % STEP
        self.latent = Latent(seed, sorted({s.base for s in specs}))
        self.instruments: dict[tuple[str, str], Instrument] = {}
        self.perpetuals: dict[tuple[str, str], Perpetual] = {}
        self._flows: list[Flow] = []
        self._basis: dict[tuple[str, str], float] = {}
        shared = {
            venue: Ids(rules.first_update_id + seed % 1000, rules.spread, f"{seed}:{venue}")
            for venue, rules in RULES.items()
            if rules.shared_ids
        }
        for spec in specs:
            self._list(spec, seed, rate, shared)

    def _list(self, spec: Spec, seed: int, rate: float, shared: dict[str, Ids]) -> None:
        key, rules = (spec.venue, spec.native), RULES[spec.venue]
        rng = random.Random(f"{seed}:listing:{spec.venue}:{spec.native}")
        ids = shared.get(spec.venue) or Ids(rules.first_update_id + rng.getrandbits(32))
        instrument = Instrument(spec, ids, rules.cadences, rules.first_trade_id + rng.getrandbits(26))
        self._basis[key] = 0.0 if spec.kind == "spot" else rng.uniform(1e-4, 3e-4)
        instrument.fair = self._fair(instrument, key)
        instrument.last_price = round(instrument.fair)
        volume = round(spec.events * 6 * spec.size * 10**spec.size_decimals * 2)
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
        return self.latent.prices[spec.base] * (1 + self._basis[key]) / spec.tick_size

    def advance(self, to: int) -> Iterator[int]:
        """Step up to `to` (ns), yielding the time at each step's end: what happened in it stands on the instruments till then."""
        while self.now + STEP <= to:
            self._step()
            yield self.now

    def _step(self) -> None:
        self.latent.step()
        activity = self.latent.regime.activity
        for flow in self._flows:
            instrument = flow.instrument
            key = (instrument.spec.venue, instrument.spec.native)
            instrument.fair = self._fair(instrument, key)
            instrument.begin_step()
            flow.step(self.now, activity)
            instrument.end_step()
            perpetual = self.perpetuals.get(key)
            if perpetual is not None:
                lob = instrument.lob
                perpetual.step((lob.bids.best + lob.asks.best) / 2, instrument.fair)
        self.now += STEP

    def skip(self, to: int) -> None:
        """Jump to `to` without anything happening (the machine slept): the books stand as they were."""
        self.now = max(self.now, to - to % STEP)

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
