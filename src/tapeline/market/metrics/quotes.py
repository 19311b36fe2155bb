"""Metrics of the best bid and offer over a window of venue time: those of the book where it is streamed, else of the venue's
own quotes.

The touch holds from its venue time until the next one. Times at which it is not known (the book lost its proof, the stream fell
silent) count for nothing, and make the figure incomplete while they lie within the window.
"""

import numpy as np

from tapeline.clock import SECOND
from tapeline.market.metrics.base import Floats, History, Metric, Parameter, Sample
from tapeline.market.metrics.store import TimedSums, Touches

BPS = 10_000


class _Quoted(Metric):
    """A figure of the touch, weighted by how long it held:  Σ xᵢ Δtᵢ / Σ Δtᵢ."""

    needs = frozenset({"touches"})
    parameters = (Parameter("window", "time"),)
    window: int

    def begin(self) -> None:
        self._held = TimedSums(2)  # of each piece that ended: x · Δt, Δt in seconds; 0 where it was not known
        self._begun = False

    def sample(self, s: Sample) -> float | None:
        self._end_pieces(s)
        ts, x = s.touches.ts, self._of(s.touches.bid, s.touches.ask)
        if not len(ts):
            return None
        begin = s.now - self.window
        first = s.touches.since(begin)
        if first == len(ts):  # one touch held all along
            return None if np.isnan(x[-1]) else float(x[-1])
        both = self._held.total(int(ts[first]))
        for place, held in ((first - 1, ts[first] - begin), (len(ts) - 1, s.now - ts[-1])):
            if place >= 0 and not np.isnan(x[place]):
                both = both + np.array([x[place], 1.0]) * (held / SECOND)
        return float(both[0] / both[1]) if both[1] else None

    def _end_pieces(self, s: Sample) -> None:
        """Of the touches that were followed by another one since the last sample."""
        first = max(1, s.new_touches if self._begun else 1)
        self._begun = True
        ts, x = s.touches.ts[first - 1 :], self._of(s.touches.bid[first - 1 :], s.touches.ask[first - 1 :])
        if len(ts) > 1:
            held = np.where(np.isnan(x[:-1]), 0.0, np.diff(ts) / SECOND)
            self._held.add(ts[1:], np.stack([np.nan_to_num(x[:-1]) * held, held]))
        self._held.forget(s.now - self.window)

    def batch(self, h: History) -> float | None:
        begin = h.now - self.window
        ends = np.append(h.touch_ts[1:], h.now)
        held = np.maximum(0, np.minimum(ends, h.now) - np.maximum(h.touch_ts, begin)) / SECOND
        x = self._of(h.bid, h.ask)
        known = ~np.isnan(x)
        total = held[known].sum()
        return float((x[known] * held[known]).sum() / total) if total else None

    def _of(self, bid: Floats, ask: Floats) -> Floats:
        raise NotImplementedError


class Spread(_Quoted):
    """Quoted spread, weighted by time:  Σ (askᵢ − bidᵢ) Δtᵢ / Σ Δtᵢ over the touches of the last `window`.

    Source: Huang and Stoll 1996, "Dealer versus auction markets". The spread of the moment is in every metrics event.
    """

    name = "spread"
    unit = "price"

    def _of(self, bid: Floats, ask: Floats) -> Floats:
        return ask - bid


class SpreadBps(_Quoted):
    """Quoted spread in basis points of the mid, weighted by time:  10⁴ Σ (askᵢ − bidᵢ)/midᵢ Δtᵢ / Σ Δtᵢ over the last `window`.

    Source: as `spread`.
    """

    name = "spread_bps"
    unit = "bps"

    def _of(self, bid: Floats, ask: Floats) -> Floats:
        return BPS * (ask - bid) / ((bid + ask) / 2)


def _flow(bid: Floats, bid_size: Floats, ask: Floats, ask_size: Floats) -> Floats:
    """eₙ of each touch but the first; NaN where it, or the one before, is not known."""
    (b0, b1), (q0, q1) = (bid[:-1], bid[1:]), (bid_size[:-1], bid_size[1:])
    (a0, a1), (r0, r1) = (ask[:-1], ask[1:]), (ask_size[:-1], ask_size[1:])
    flow: Floats = (b1 >= b0) * q1 - (b1 <= b0) * q0 - (a1 <= a0) * r1 + (a1 >= a0) * r0
    return flow


class OrderFlowImbalance(Metric):
    """Net size that came to the bid and left the ask in the last `window`:  Σ eₙ,
    eₙ = [Pᵇₙ ≥ Pᵇₙ₋₁] qᵇₙ − [Pᵇₙ ≤ Pᵇₙ₋₁] qᵇₙ₋₁ − [Pᵃₙ ≤ Pᵃₙ₋₁] qᵃₙ + [Pᵃₙ ≥ Pᵃₙ₋₁] qᵃₙ₋₁  over the changes of the touch.

    Source: Cont, Kukanov and Stoikov 2014, "The price impact of order book events", equation (1). Where a book is streamed
    every 100 ms, what came and went between two updates is netted. A change from or to a touch that is not known counts for
    nothing.
    """

    name = "ofi"
    needs = frozenset({"touches"})
    parameters = (Parameter("window", "time", "1m"),)
    unit = "base asset"
    window: int

    def begin(self) -> None:
        self._flow = TimedSums(1)
        self._begun = False

    def sample(self, s: Sample) -> float | None:
        t, first = s.touches, max(1, s.new_touches if self._begun else 1) - 1
        self._begun = True
        if len(t) - first > 1:
            flow = _flow(t.bid[first:], t.bid_size[first:], t.ask[first:], t.ask_size[first:])
            self._flow.add(t.ts[first + 1 :], np.nan_to_num(flow)[None])
        self._flow.forget(s.now - self.window)
        return float(self._flow.total(s.now - self.window)[0]) if len(t) else None

    def batch(self, h: History) -> float | None:
        if not len(h.touch_ts):
            return None
        inside = (h.touch_ts[1:] > h.now - self.window) & (h.touch_ts[1:] <= h.now)
        return float(np.nansum(_flow(h.bid, h.bid_size, h.ask, h.ask_size)[inside]))


class QuoteRate(Metric):
    """How often the best bid or offer changed, price or size, a second:  n / window over the changes in the last `window`.

    What the venue repeats unchanged is not counted, nor the loss of a touch.
    """

    name = "quote_rate"
    needs = frozenset({"touches"})
    parameters = (Parameter("window", "time", "1m"),)
    unit = "1/s"
    window: int

    def sample(self, s: Sample) -> float | None:
        t: Touches = s.touches
        first = t.since(s.now - self.window)
        return self._rate(t.bid[first:], t.ask[first:]) if len(t) else None

    def batch(self, h: History) -> float | None:
        if not len(h.touch_ts):
            return None
        rows = np.stack([h.bid, h.bid_size, h.ask, h.ask_size])
        changed = np.append(
            True, ~((rows[:, 1:] == rows[:, :-1]) | (np.isnan(rows[:, 1:]) & np.isnan(rows[:, :-1]))).all(axis=0)
        )
        inside = (h.touch_ts > h.now - self.window) & (h.touch_ts <= h.now) & changed
        return self._rate(h.bid[inside], h.ask[inside])

    def _rate(self, bid: Floats, ask: Floats) -> float:
        return float((~(np.isnan(bid) & np.isnan(ask))).sum() * SECOND / self.window)


ALL = (Spread, SpreadBps, OrderFlowImbalance, QuoteRate)
