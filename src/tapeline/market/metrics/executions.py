"""What traders paid: each trade against the touch just before it, by venue time, and against the mid a while later.

`side` is +1 for a buyer who takes, −1 for a seller, as the venue says it; trades of no known side, and those before which the
touch was not known, count for nothing. Means are weighted by size. Spreads are whole (twice the distance from the mid), in
basis points of the mid before the trade, so that they compare with the quoted `spread_bps`.

    effective spread = realised spread + price impact

Source: Huang and Stoll 1996, "Dealer versus auction markets: a paired comparison of execution costs"; the statistics of SEC
Rule 605. A book that is streamed every 100 ms tells the touch of its last update, which may be that much older than the trade.
"""

import numpy as np

from tapeline.market.metrics.base import Floats, History, Ints, Metric, Parameter, Sample
from tapeline.market.metrics.store import TimedSums

BPS = 10_000


class _Execution(Metric):
    """A trade is due `horizon` after it; those due in the last `window` are averaged.

    A touch may still come that is earlier than a trade that came already, but none earlier than the latest touch: what fell due
    before that one stays as it is, what is younger is looked up anew at each sample.
    """

    needs = frozenset({"trades", "touches"})
    unit = "bps"
    window: int
    horizon: int = 0

    def begin(self) -> None:
        self._due = TimedSums(2)  # size · x, size; by when it fell due
        self._final = -1  # the venue's time before which no touch can come any more

    @property
    def reach(self) -> int:
        return self.window + self.horizon

    def sample(self, s: Sample) -> float | None:
        t, touches = s.trades, s.touches
        self._due.cut(self._final - 1)
        young = t.since(self._final - 1 - self.horizon)
        late = s.new_trades[s.new_trades < young]
        places = np.concatenate([late, np.arange(young, len(t))])
        ts = t.ts[places]
        seen = ts + self.horizon <= s.now
        places, ts = places[seen], ts[seen]
        mids = touches.mid
        worth = self._worth(t.price[places], t.side[places], touches.ts, mids, ts)
        known = ~np.isnan(worth)
        size = t.size[places[known]]
        self._due.add(ts[known] + self.horizon, np.stack([size * worth[known], size]))
        self._final = int(touches.ts[-1]) if len(touches) else -1
        self._due.forget(s.now - self.window)
        both = self._due.total(s.now - self.window)
        return float(both[0] / both[1]) if len(self._due) else None

    def batch(self, h: History) -> float | None:
        due = h.trade_ts + self.horizon
        inside = (due > h.now - self.window) & (due <= h.now)
        price, side, size, ts = h.price[inside], h.side[inside], h.size[inside], h.trade_ts[inside]
        worth = self._worth(price, side, h.touch_ts, (h.bid + h.ask) / 2, ts)
        known = ~np.isnan(worth)
        return float((size[known] * worth[known]).sum() / size[known].sum()) if known.any() else None

    def _worth(self, price: Floats, side: Floats, touch_ts: Ints, mids: Floats, ts: Ints) -> Floats:
        """Of each trade; NaN where it is not known."""
        before = _mid_at(touch_ts, mids, ts - 1)
        after = _mid_at(touch_ts, mids, ts + self.horizon) if self.horizon else before
        worth: Floats = BPS * 2 * side * self._gain(price, before, after) / before
        return np.where(side == 0, np.nan, worth)

    def _gain(self, price: Floats, before: Floats, after: Floats) -> Floats:
        raise NotImplementedError


def _mid_at(touch_ts: Ints, mids: Floats, ts: Ints) -> Floats:
    """The mid of the last touch not later than each time; NaN before the first."""
    places = np.searchsorted(touch_ts, ts, side="right")
    return np.append(np.nan, mids)[places]


class EffectiveSpread(_Execution):
    """What takers paid over the mid, there and back:  10⁴ · 2 · side · (price − mid) / mid, mid of the touch before the trade;
    the mean of the last `window`, by size.

    Smaller than the quoted spread where trades come when it is tight, or inside it. Negative where the touch lags behind.
    """

    name = "effective_spread"
    parameters = (Parameter("window", "time", "1m"),)

    def _gain(self, price: Floats, before: Floats, after: Floats) -> Floats:  # noqa: ARG002 - one signature
        return price - before


class _After(_Execution):
    parameters = (Parameter("window", "time", "1m"), Parameter("horizon", "time", "5s"))
    warm_up = "the window and the horizon"


class RealisedSpread(_After):
    """What is left to the makers once the price has moved:  10⁴ · 2 · side · (price − mid₊) / mid, mid₊ that of `horizon` after
    the trade; the mean, by size, of the trades of which that fell in the last `window`.

    Below the effective spread by the price impact; negative where makers lose to those who know more.
    """

    name = "realised_spread"

    def _gain(self, price: Floats, before: Floats, after: Floats) -> Floats:  # noqa: ARG002 - one signature
        return price - after


class PriceImpact(_After):
    """How far the mid went with the takers:  10⁴ · 2 · side · (mid₊ − mid) / mid, mid₊ that of `horizon` after the trade; the
    mean, by size, of the same trades as `realised_spread`. Effective less realised spread.
    """

    name = "price_impact"

    def _gain(self, price: Floats, before: Floats, after: Floats) -> Floats:  # noqa: ARG002 - one signature
        return after - before


ALL = (EffectiveSpread, RealisedSpread, PriceImpact)
