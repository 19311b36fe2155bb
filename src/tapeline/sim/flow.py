"""Order flow: who sends what into one instrument's book.

Three kinds of traders. *Noise* rests, cancels and takes at random: arrivals are Poisson with an intensity that each market order
excites (a Hawkes process with exponential memory; its branching ratio is held at one half, so it cannot run away), distances from
the touch follow a power law, sizes a lognormal. *Makers* watch the fair price: they leave levels on its wrong side and quote
anew around it. *Arbitrage* eats what makers were too slow to pull. Cancels outweigh placements where a side is fuller than its
target, so depth is stationary; orders farther than 4 % from the touch are pulled.

Random numbers that cost (lognormal, powers) come from tables drawn once from the instrument's own source.
"""

import math
import random

from tapeline.clock import SECOND
from tapeline.sim.instrument import Instrument, Liquidation
from tapeline.sim.latent import STEP
from tapeline.sim.lob import Half

_TABLE = 2048
_MEMORY = 0.5  # s, how long a market order excites others
_BRANCHING = 0.5
_MARKET_SHARE = 0.07  # of noise events
_QUEUE = 5  # orders at one price: past that, newcomers replace
_MOST_EXCITED = 8.0
_TRIES = 4  # orders drawn for a level when the market opens: coarse grids have fewer levels than asked for
_LAYERS = 3  # orders that makers put behind a new quote
_FAR = 0.04  # of the price: beyond it nobody keeps an order
_LIQUIDATIONS = 1 / 30  # a second, at activity 1


class Flow:
    """Drives one `Instrument`. `rate` multiplies every arrival."""

    def __init__(self, instrument: Instrument, seed: int, rate: float) -> None:
        spec = instrument.spec
        self.instrument, self.rate = instrument, rate
        self.rng = rng = random.Random(f"{seed}:flow:{spec.venue}:{spec.native}")
        median = spec.lots(spec.size, instrument.fair * spec.tick_size)
        self._sizes = [max(1, round(median * rng.lognormvariate(0, 1.3))) for _ in range(_TABLE)]
        price = instrument.fair
        most = price * 0.03
        scale = max(min(25.0, most / 25), price * 1.2e-4)
        self._distances = [int(min(most, scale * ((1 - rng.random()) ** -0.75 - 1))) for _ in range(_TABLE)]
        self._excited = 0.0
        self._kick = _BRANCHING / (spec.events * _MARKET_SHARE * _MEMORY)
        self._decay = math.exp(-STEP / SECOND / _MEMORY)
        self._open(round(price))
        for half in (instrument.lob.bids, instrument.lob.asks):
            half.drain()

    def reopen(self, ts: int) -> None:
        """After a halt: the new levels are news."""
        self._open(round(self.instrument.fair))
        self.instrument.halted = False
        self.instrument.event(ts)

    def _open(self, middle: int) -> None:
        """The book as it stands when the market opens."""
        lob, rng = self.instrument.lob, self.rng
        for half in (lob.bids, lob.asks):
            touch = half.sign * (middle if half.sign == 1 else middle + 1)
            for near in range(3):
                half.add(touch - near, self._size())
            tries = 0
            while len(half) < self.instrument.spec.levels and tries < _TRIES * self.instrument.spec.levels:
                half.add(touch - self._distances[rng.getrandbits(11)], self._size())
                tries += 1

    def _size(self) -> int:
        size: int = self._sizes[self.rng.getrandbits(11)]
        return size

    def step(self, start: int, activity: float) -> None:
        """All that happens in the STEP beginning at `start` (ns)."""
        instrument = self.instrument
        mean = instrument.spec.events * self.rate * activity * (1 + self._excited) * STEP / SECOND
        count = self._poisson(mean)
        self._excited *= self._decay
        self._follow(start)
        if instrument.spec.kind == "perp" and self.rng.random() < _LIQUIDATIONS * activity * STEP / SECOND:
            self._liquidate(start)
        for n in range(count):
            self._noise(start + STEP * (n + 1) // (count + 2))
        self._quote(start + STEP - 1)

    def _poisson(self, mean: float) -> int:
        if mean > 30:
            return max(0, round(self.rng.gauss(mean, math.sqrt(mean))))
        limit, count, product = math.exp(-mean), 0, self.rng.random()
        while product > limit:
            count += 1
            product *= self.rng.random()
        return count

    def _noise(self, ts: int) -> None:
        rng, lob = self.rng, self.instrument.lob
        draw = rng.random()
        if draw < _MARKET_SHARE:
            self._market(ts)
            return
        half = lob.bids if rng.random() < 0.5 else lob.asks
        fullness = len(half) / self.instrument.spec.levels
        if draw < _MARKET_SHARE + (1 - _MARKET_SHARE) * 0.5 * fullness:
            self._cancel(ts, half)
            return
        near = rng.random() < 0.15
        key = half.keys[-1] - (0 if near else self._distances[rng.getrandbits(11)])
        queue = half.orders.get(key)
        if queue is not None and len(queue) >= _QUEUE:
            self.instrument.cancel(ts, half, key, int(rng.random() * _QUEUE))
            return
        self.instrument.rest(ts, half, half.sign * key, self._size())

    def _cancel(self, ts: int, half: Half) -> None:
        rng = self.rng
        keys = half.keys
        if len(keys) < 20:
            return
        key = keys[-1 - int(len(keys) * rng.random() ** 3)]
        if abs(key - keys[-1]) > _FAR * self.instrument.fair or keys[-1] - keys[0] > _FAR * self.instrument.fair:
            self.instrument.pull_level(ts, half, keys[0])
            return
        queue = half.orders[key]
        if key == keys[-1] and len(queue) < 2:
            return
        self.instrument.cancel(ts, half, key, int(rng.random() * len(queue)))

    def _market(self, ts: int) -> None:
        instrument = self.instrument
        lob = instrument.lob
        lean = instrument.fair - (lob.bids.best + lob.asks.best) / 2
        spread = max(1.0, instrument.fair * 5e-5)
        buys = self.rng.random() < 0.5 + 0.4 * math.tanh(lean / spread)
        instrument.take(ts, lob.asks if buys else lob.bids, 1 + self._size() // 3)
        self._excited = min(_MOST_EXCITED, self._excited + self._kick / self.rate)

    def _follow(self, ts: int) -> None:
        """Levels on the wrong side of the fair price: makers pull most, arbitrage takes the rest in one order."""
        instrument, rng = self.instrument, self.rng
        fair = instrument.fair
        patience = fair * rng.expovariate(1 / 6e-5)
        for half in (instrument.lob.bids, instrument.lob.asks):
            wrong = half.sign * fair
            if half.keys[-1] <= wrong + patience:
                continue
            stale = [key for key in half.keys[-60:] if key > wrong]
            for key in stale:
                if len(half) > 20 and rng.random() < 0.88:
                    instrument.pull_level(ts, half, key)
            size = sum(half.total(key) for key in stale if key in half.orders)
            if size:
                instrument.take(ts, half, size)

    def _quote(self, ts: int) -> None:
        """Makers close a spread of more than one tick, around the fair price."""
        instrument, rng = self.instrument, self.rng
        lob = instrument.lob
        bid, ask = lob.bids.best, lob.asks.best
        if ask - bid <= 1 or rng.random() < 0.15:
            return
        middle = min(max(round(instrument.fair), bid), ask - 1)
        for price, half in ((middle, lob.bids), (middle + 1, lob.asks)):
            if half.keys[-1] < half.sign * price:
                instrument.rest(ts, half, price, self._size())
                for _ in range(_LAYERS):
                    behind = half.sign * price - 1 - self._distances[rng.getrandbits(11)] // 2
                    instrument.rest(ts, half, half.sign * behind, self._size())

    def _liquidate(self, ts: int) -> None:
        instrument = self.instrument
        sell = self.rng.random() < 0.5
        half = instrument.lob.bids if sell else instrument.lob.asks
        fills = instrument.take(ts, half, 4 * self._size())
        if fills:
            size = sum(lots for _, lots in fills)
            average = sum(price * lots for price, lots in fills) / size
            worst = round(fills[-1][0] * (0.995 if sell else 1.005))
            instrument.liquidations.append(Liquidation(ts, sell, size, worst, average))
