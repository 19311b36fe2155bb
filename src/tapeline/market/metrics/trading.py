"""Volume and volume-weighted price over a window of venue time."""

from tapeline.market.metrics.base import History, Metric, Parameter, Sample


class Volume(Metric):
    """Size traded in the last `window`:  Σ sᵢ. In units of the base asset, or in contracts."""

    name = "volume"
    parameters = (Parameter("window", "time", "1m"),)

    def sample(self, s: Sample) -> float:
        return s.trades.volume(s.trades.since(s.now - self.reach))

    def batch(self, h: History) -> float:
        inside = (h.trade_ts > h.now - self.reach) & (h.trade_ts <= h.now)
        return float(h.size[inside].sum())


class Vwap(Metric):
    """Mean price of the last `window`, weighted by size:  Σ pᵢ sᵢ / Σ sᵢ."""

    name = "vwap"
    parameters = (Parameter("window", "time", "5m"),)
    unit = "price"

    def sample(self, s: Sample) -> float | None:
        return s.trades.vwap(s.trades.since(s.now - self.reach))

    def batch(self, h: History) -> float | None:
        inside = (h.trade_ts > h.now - self.reach) & (h.trade_ts <= h.now)
        volume = h.size[inside].sum()
        return float((h.price[inside] * h.size[inside]).sum() / volume) if volume else None


ALL = (Volume, Vwap)
