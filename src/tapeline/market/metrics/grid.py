"""Mids of several instruments on one grid of venue time, and what moves with what, and before what.

The grid has a point each 100 ms; its value is the log of the mid of the last touch not later than that (previous-tick
sampling), NaN where the touch was not known. Points older than `RECENT` stay as they are; younger ones are read anew at each
sample, as touches may still come that lie before them.

    correlation   of returns over whole seconds: Pearson's ρ over the window
    lag           θ* = argmax |ρ(θ)|,  ρ(θ) = Σ r(t) s(t + θ) / √(Σ r² Σ s²)  over returns of 100 ms, θ = −1 s … 1 s: how far s
                  follows r

Source: Hoffmann, Rosenbaum and Yoshida 2013, "Estimation of the lead-lag parameter from non-synchronous data", Bernoulli 19(2),
for the contrast that is maximised; on a grid, as in de Jong and Nijman 1997, instead of over all pairs of ticks: the work does
not grow with the number of ticks, and a lag is known to 100 ms. A lag is None while |ρ(θ*)| is below 3/√n, which chance reaches
as well. Venues' clocks differ by some milliseconds, which is in the lag.
"""

from collections.abc import Sequence

import numpy as np

from tapeline.clock import MILLI, SECOND
from tapeline.market.metrics.packing import Packs
from tapeline.market.metrics.store import Floats, Ints

STEP = 100 * MILLI
WINDOW = 300 * SECOND
POINTS = WINDOW // STEP + 1
RECENT = 10 * SECOND
SHIFTS = 10
LEAST_SECONDS = 60
"""Returns that a correlation needs at least."""
BY_CHANCE = 3.0


def mids_at(touch_ts: Ints, mids: Floats, points: Ints) -> Floats:
    """The log of the mid at each point, NaN where it is not known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logs: Floats = np.log(np.append(np.nan, mids))
    logs[np.isinf(logs)] = np.nan
    return logs[np.searchsorted(touch_ts, points, side="right")]


def points_until(last: int, count: int = POINTS) -> Ints:
    return np.arange(last - (count - 1) * STEP, last + 1, STEP, dtype=np.int64)


class Grid(Packs):
    """`values`, shape (members, POINTS): log mids up to and including the time `last`."""

    __slots__ = ("last", "values")

    def __init__(self, members: int) -> None:
        self.last = 0
        self.values: Floats = np.full((members, POINTS), np.nan)

    def advance(self, now: int, touches: Sequence[tuple[Ints, Floats] | None]) -> None:
        """Up to the last point not later than `now`. `touches`: times and mids of each member, None where there are none."""
        last = max(self.last, now - now % STEP)
        new = min(POINTS, (last - self.last) // STEP)
        if new:
            fresh = np.full((len(self.values), new), np.nan)
            self.values = np.concatenate([self.values[:, new:], fresh], axis=1)
        self.last = last
        young = min(POINTS, new + RECENT // STEP)
        points = points_until(last, young)
        for row, told in zip(self.values, touches, strict=True):
            row[-young:] = np.nan if told is None else mids_at(*told, points)

    def whole(self, one: int, other: int) -> bool:
        return not np.isnan(self.values[[one, other]]).any()


def correlation(r: Floats, s: Floats, last: int) -> float | None:
    """Of two rows of a grid that ends at `last`."""
    seconds = points_until(last) % SECOND == 0
    a, b = np.diff(r[seconds]), np.diff(s[seconds])
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if len(a) < LEAST_SECONDS or not a.any() or not b.any():
        return None
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else None


def lag(r: Floats, s: Floats) -> tuple[float, float] | None:
    """(ms by which `s` follows `r`, their correlation then); None where nothing but chance is seen."""
    a, b = np.diff(r), np.diff(s)
    known = int((~np.isnan(a) & ~np.isnan(b)).sum())
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if known < LEAST_SECONDS or not scale:
        return None
    n = len(a)
    found = {k: float(a[max(0, -k) : n - max(0, k)] @ b[max(0, k) : n + min(0, k)]) / scale for k in _SHIFTS}
    best = max(_SHIFTS, key=lambda k: abs(found[k]))  # of equal ones the nearest to 0
    return (best * STEP / MILLI, found[best]) if abs(found[best]) >= BY_CHANCE / known**0.5 else None


_SHIFTS = sorted(range(-SHIFTS, SHIFTS + 1), key=abs)
