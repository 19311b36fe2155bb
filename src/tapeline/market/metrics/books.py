"""Metrics of the book as it stands at a sample.

They are None while the book is not proven, is silent beyond what is usual, or does not reach as deep as is asked. Sizes are in
units of the base asset, or in contracts. "Within 10bps" is up to and including 10 basis points (0.1 %) from the mid, on each
side.
"""

from typing import ClassVar, Literal

import numpy as np

from tapeline.market.metrics.base import Floats, History, Metric, Parameter, Sample

Depth = int | float  # levels, or basis points
Sizes = tuple[float | None, float | None]
BPS = 10_000


def _limits(mid: float, depth: Depth) -> tuple[float, float]:
    """The farthest bid and ask within so many basis points."""
    return mid * (1 - depth / BPS), mid * (1 + depth / BPS)


def _sizes(s: Sample, depth: Depth) -> Sizes:
    """Of bids and asks, None where they are not known so deep."""
    if s.sides is None or s.touch is None:
        return None, None
    bids, asks = s.sides
    if isinstance(depth, int):
        return bids.best(depth), asks.best(depth)
    low, high = _limits((s.touch[0] + s.touch[2]) / 2, depth)
    return bids.within(low), asks.within(high)


def _sizes_of(h: History, depth: Depth) -> Sizes:
    """The same from the whole book."""
    if not _stands(h) or h.bids is None or h.asks is None:
        return None, None
    if isinstance(depth, int):
        pairs = ((h.bids, h.bid_floor), (h.asks, h.ask_ceiling))
        bids, asks = (None if len(side) < depth and edge is not None else float(side[:depth, 1].sum()) for side, edge in pairs)
        return bids, asks
    low, high = _limits(_mid(h), depth)
    bid = float(h.bids[h.bids[:, 0] >= low, 1].sum())
    ask = float(h.asks[h.asks[:, 0] <= high, 1].sum())
    return (
        None if h.bid_floor is not None and low < h.bid_floor else bid,
        None if h.ask_ceiling is not None and high > h.ask_ceiling else ask,
    )


def _stands(h: History) -> bool:
    """Whether there is a proven book with two sides."""
    return h.bids is not None and len(h.touch_ts) > 0 and not np.isnan([h.bid[-1], h.ask[-1]]).any()


def _mid(h: History) -> float:
    return float(h.bid[-1] + h.ask[-1]) / 2


class _OfTheBook(Metric):
    needs = frozenset({"touches", "book"})
    gap: ClassVar[Literal["none", "window"]] = "none"
    warm_up = "the first proven book"


class Imbalance(_OfTheBook):
    """Share of buyers' size over sellers' near the touch:  (B − A) / (B + A), B and A the sizes of the best N levels a side, or
    of all levels within so many basis points of the mid (`imbalance_10bps`). 1: only bids, −1: only asks.

    Source: Cao, Hansch and Wang 2009, "The information content of an open limit-order book"; Gould and Bonart 2016 for N = 1.
    None where nothing rests that near.
    """

    name = "imbalance"
    parameters = (Parameter("depth", "depth", "5"),)
    unit = "−1 to 1"
    depth: Depth

    def sample(self, s: Sample) -> float | None:
        return self._of(_sizes(s, self.depth))

    def batch(self, h: History) -> float | None:
        return self._of(_sizes_of(h, self.depth))

    def _of(self, sizes: Sizes) -> float | None:
        bid, ask = sizes
        return None if bid is None or ask is None or not bid + ask else (bid - ask) / (bid + ask)


class DepthWithin(_OfTheBook):
    """Size that rests within so many basis points of the mid, `.bid` and `.ask`:  Σ sᵢ over bids ≥ mid (1 − x/10⁴), asks ≤ mid
    (1 + x/10⁴). `depth_20` is that of the best 20 levels a side.

    A side is None where what the book knows ends nearer to the mid (Kraken's and Bybit's books are cut at a depth).
    """

    name = "depth"
    parts = ("bid", "ask")
    parameters = (Parameter("depth", "depth", "10bps"),)
    unit = "base asset"
    depth: Depth

    def sample(self, s: Sample) -> dict[str, float | None]:
        return dict(zip(("bid", "ask"), _sizes(s, self.depth), strict=True))

    def batch(self, h: History) -> dict[str, float | None]:
        return dict(zip(("bid", "ask"), _sizes_of(h, self.depth), strict=True))


class Cost(_OfTheBook):
    """Cost of a market order of so much of the quote asset, `.buy` and `.sell`, against the mid:  10⁴ · side · (p̄ − mid) /
    mid, p̄ the mean price at which it fills, level by level, the last one in part.

    None where the book, as far as it is known (4,096 levels a side), is too thin. Of inverse contracts a contract is worth its
    value.
    """

    name = "cost"
    parts = ("buy", "sell")
    parameters = (Parameter("notional", "amount", "100k"),)
    unit = "bps"
    notional: float

    def sample(self, s: Sample) -> dict[str, float | None]:
        if s.sides is None or s.touch is None:
            return {}
        bids, asks = s.sides
        mid = (s.touch[0] + s.touch[2]) / 2
        return self._against(mid, asks.fill(self.notional, s.contract_value), bids.fill(self.notional, s.contract_value))

    def batch(self, h: History) -> dict[str, float | None]:
        if not _stands(h) or h.bids is None or h.asks is None:
            return {}
        return self._against(_mid(h), self._filled(h.asks, h.contract_value), self._filled(h.bids, h.contract_value))

    def _against(self, mid: float, bought: float | None, sold: float | None) -> dict[str, float | None]:
        return {
            "buy": None if bought is None or not mid else BPS * (bought - mid) / mid,
            "sell": None if sold is None or not mid else BPS * (mid - sold) / mid,
        }

    def _filled(self, side: Floats, contract_value: float | None) -> float | None:
        worth = side[:, 1] * contract_value if contract_value else side[:, 0] * side[:, 1]
        if worth.sum() < self.notional:
            return None
        taken = np.clip(self.notional - (worth.cumsum() - worth), 0, worth)
        return float(self.notional / (taken / side[:, 0]).sum())


class Microprice(_OfTheBook):
    """Mid weighted by the size on the other side, where the next trade is likelier:  (P_b · A + P_a · B) / (B + A), P the
    touch, B and A the sizes of the best N levels a side.

    `microprice` alone is that of the touch, the weighted mid of Gatheral and Oomen 2010 that every metrics event bears.
    Stoikov's micro-price (2018), its limit over a Markov chain of the touch, needs a chain fitted to days of the same market,
    and is not made.
    """

    name = "microprice"
    parameters = (Parameter("levels", "count", "1"),)
    unit = "price"
    levels: int

    def sample(self, s: Sample) -> float | None:
        return None if s.touch is None else self._of(s.touch[0], s.touch[2], _sizes(s, self.levels))

    def batch(self, h: History) -> float | None:
        return self._of(float(h.bid[-1]), float(h.ask[-1]), _sizes_of(h, self.levels)) if _stands(h) else None

    def _of(self, bid: float, ask: float, sizes: Sizes) -> float | None:
        below, above = sizes
        return None if not below or not above else (bid * above + ask * below) / (below + above)


class Slope(_OfTheBook):
    """How fast size grows with the distance from the mid, `.bid` and `.ask`: size a basis point, by least squares through the
    origin over the best N levels:  Σ dᵢ Dᵢ / Σ dᵢ², dᵢ the distance of level i in basis points, Dᵢ the size up to and including
    it.

    The greater, the more it takes to move the price. After Næs and Skjeltorp 2006, whose slope takes the logarithm of sizes and
    so depends on their unit. None where the book does not know N levels.
    """

    name = "book_slope"
    parts = ("bid", "ask")
    parameters = (Parameter("levels", "count", "20"),)
    unit = "base asset a basis point"
    levels: int

    def sample(self, s: Sample) -> dict[str, float | None]:
        if s.sides is None or s.touch is None:
            return {}
        mid = (s.touch[0] + s.touch[2]) / 2
        known = [side.best(self.levels) is not None for side in s.sides]
        return self._both(mid, *((x.price, x.size) if k else None for x, k in zip(s.sides, known, strict=True)))

    def batch(self, h: History) -> dict[str, float | None]:
        if not _stands(h) or h.bids is None or h.asks is None:
            return {}
        sides = ((h.bids, h.bid_floor), (h.asks, h.ask_ceiling))
        known = (len(side) >= self.levels or edge is None for side, edge in sides)
        return self._both(
            _mid(h), *((side[:, 0], side[:, 1]) if k else None for (side, _), k in zip(sides, known, strict=True))
        )

    def _both(self, mid: float, *sides: tuple[Floats, Floats] | None) -> dict[str, float | None]:
        return {name: side and self._of(mid, *side) for name, side in zip(("bid", "ask"), sides, strict=True)}

    def _of(self, mid: float, price: Floats, size: Floats) -> float | None:
        far = BPS * np.abs(price[: self.levels] / mid - 1)
        square = float((far * far).sum())
        return float((far * size[: self.levels].cumsum()).sum()) / square if square else None


ALL = (Imbalance, DepthWithin, Cost, Microprice, Slope)
