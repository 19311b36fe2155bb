"""Latent prices: what an asset is worth, before anyone quotes it.

One common factor moves the whole market, each asset adds its own; volatility and activity follow a regime (quiet, normal, busy,
wild) that changes now and then for all of them together. The process steps on a fixed grid, one random source an asset, so
that neither the pace of `advance` nor the set of other assets changes an asset's path. Every venue quotes around the same path.
"""

import math
import random

from tapeline.clock import MILLI, SECOND
from tapeline.sim.specs import ASSETS

STEP = 25 * MILLI
"""The grid of simulated time, ns: every cadence a venue publishes at (100, 250, 500, 1000 ms) is a multiple of it."""

_YEAR = 365.25 * 86_400
REGIMES: tuple[tuple[float, float, float], ...] = ((0.45, 0.6, 20.0), (1.0, 1.0, 30.0), (2.2, 1.8, 8.0), (4.0, 3.0, 3.0))
"""Per regime: activity, volatility, mean duration in seconds."""


class Regime:
    """Quiet and bursts, shared by the whole market."""

    __slots__ = ("_left", "_rng", "activity", "volatility")

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"{seed}:regime")
        self.activity, self.volatility, mean = REGIMES[1]
        self._left = self._steps(mean)

    def _steps(self, mean_seconds: float) -> int:
        return 1 + int(self._rng.expovariate(1 / mean_seconds) * SECOND / STEP)

    def step(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.activity, self.volatility, mean = self._rng.choices(REGIMES, (4, 5, 2.5, 0.7))[0]
            self._left = self._steps(mean)


class Latent:
    """`prices[asset]` is the fair price now, in US dollars."""

    def __init__(self, seed: int, assets: list[str]) -> None:
        self.regime = Regime(seed)
        self._common = random.Random(f"{seed}:common")
        self._own = {name: random.Random(f"{seed}:asset:{name}") for name in assets}
        self._root = math.sqrt(STEP / SECOND / _YEAR)
        self.prices = {name: ASSETS[name].price * math.exp(rng.gauss(0, 0.01)) for name, rng in self._own.items()}

    def step(self) -> None:
        self.regime.step()
        scale = self._root * self.regime.volatility
        common = self._common.gauss(0, 1)
        for name, rng in self._own.items():
            asset = ASSETS[name]
            shock = asset.beta * common + math.sqrt(1 - asset.beta**2) * rng.gauss(0, 1)
            self.prices[name] *= math.exp(asset.volatility * scale * shock)
