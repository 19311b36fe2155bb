"""What was traded since a moment: since the session began, or since a time of one's choice.

A session is the instrument's own where it trades in sessions (a stock's regular hours: what is traded before the open belongs to the
session of the day before, what comes after the close to that of the day), else a day from 00:00 UTC.

Exact sums of whole numbers, taken from the trades as they come; no trade is kept. A late one counts where it belongs to the time.
"""

from typing import NamedTuple

import numpy as np

from tapeline.market.metrics.base import Floats, History, Metric, Parameter, Sample, Value, session_start


class Total(NamedTuple):
    """`contract_value`: of one contract, where the instrument is inverse."""

    volume: float
    buys: float
    sells: float
    notional: float
    trades: int
    contract_value: float | None


class Since(Metric):
    """Exact sums of the trades since `start`, and what is `made` of them."""

    warm_up = "since the start"

    def begin(self) -> None:
        self.since = -1
        self.sums = [0, 0, 0, 0]  # volume, buys, sells × lots, notional × lots × ticks
        self.lots = self.ticks = 1
        self.count = 0

    def start(self, at: Sample | History) -> int | None:
        return session_start(at)

    def made(self, t: Total) -> Value:
        raise NotImplementedError

    def reaches_to(self, now: int) -> int:  # noqa: ARG002 - since the start, whatever the time
        return self.since

    def sample(self, s: Sample) -> Value:
        start = self.start(s)
        if start is None or start > s.now:
            return None
        if start != self.since:
            self.since, self.sums, self.count = start, [0, 0, 0, 0], 0
        self._count(s)
        volume, buys, sells, notional = self.sums
        lots = self.lots
        money = notional / (lots * self.ticks)
        return self.made(Total(volume / lots, buys / lots, sells / lots, money, self.count, s.contract_value))

    def _count(self, s: Sample) -> None:
        trades, places = s.trades, s.new_trades
        finer, ticks = trades.lots // self.lots, trades.ticks // self.ticks
        if finer > 1 or ticks > 1:
            self.lots, self.ticks = trades.lots, trades.ticks
            self.sums = [n * finer for n in self.sums[:3]] + [self.sums[3] * finer * ticks]
        if not len(places):
            return
        low, high = int(places.min()), int(places.max())
        first = max(low, trades.since(self.since - 1))
        runs = [(first, high + 1)] if high - low + 1 == len(places) else [(p, p + 1) for p in places.tolist() if p >= first]
        for begin, end in runs:
            if begin < end:
                self.sums = [a + b for a, b in zip(self.sums, trades.exact(begin, end), strict=True)]
                self.count += end - begin

    def batch(self, h: History) -> Value:
        start = self.start(h)
        if start is None or start > h.now:
            return None
        inside = (h.trade_ts >= start) & (h.trade_ts <= h.now)
        size, side = h.size[inside], h.side[inside]
        sums: list[Floats] = [size, size[side > 0], size[side < 0], h.price[inside] * size]
        volume, buys, sells, notional = (float(np.sum(column)) for column in sums)
        return self.made(Total(volume, buys, sells, notional, len(size), h.contract_value))


class VolumeSession(Since):
    """Size traded since the session began:  Σ sᵢ."""

    name = "volume_session"
    unit = "size"

    def made(self, t: Total) -> Value:
        return t.volume


class NotionalSession(Since):
    """Value traded since the session began:  Σ pᵢ sᵢ, in the quote asset; of inverse contracts  contract value · Σ sᵢ."""

    name = "notional_session"
    unit = "quote asset"

    def made(self, t: Total) -> Value:
        return t.notional if t.contract_value is None else t.contract_value * t.volume


class TradesSession(Since):
    """Number of trades since the session began."""

    name = "trades_session"

    def made(self, t: Total) -> Value:
        return t.trades


class VwapSession(Since):
    """Mean price since the session began, weighted by size:  Σ pᵢ sᵢ / Σ sᵢ. None where nothing was traded in it yet."""

    name = "vwap_session"
    unit = "price"

    def made(self, t: Total) -> Value:
        return t.notional / t.volume if t.volume else None


class DeltaSession(Since):
    """Cumulative volume delta since the session began: what buyers took less what sellers gave,  Σ sᵢ dᵢ, dᵢ the side of the
    aggressor (1, −1; 0 where not known). None where trades came and the side of none is known.
    """

    name = "cvd_session"
    unit = "size"

    def made(self, t: Total) -> Value:
        return t.buys - t.sells if t.buys or t.sells or not t.trades else None


class VwapFrom(VwapSession):
    """Anchored VWAP: mean price of all trades at or after `moment`, weighted by size:  Σ pᵢ sᵢ / Σ sᵢ. None before it."""

    name = "vwap_from"
    parameters = (Parameter("moment", "moment"),)

    moment: int

    def start(self, at: Sample | History) -> int | None:  # noqa: ARG002 - the same at all times
        return self.moment


class DeltaFrom(DeltaSession):
    """Cumulative volume delta of all trades at or after `moment`:  Σ sᵢ dᵢ. None before it."""

    name = "cvd_from"
    parameters = (Parameter("moment", "moment"),)

    moment: int

    def start(self, at: Sample | History) -> int | None:  # noqa: ARG002 - the same at all times
        return self.moment


ALL = (VolumeSession, NotionalSession, TradesSession, VwapSession, DeltaSession, VwapFrom, DeltaFrom)
