"""What is traded in the simulated market: grids, start prices and how busy each instrument is.

Prices are integers in ticks, sizes integers in lots, everywhere in this room; only the wire files turn them into text.
`price_decimals` is how many decimals one tick needs (or what the venue prints: Binance's BTC perpetual moves by 0.10 and prints
two decimals), `tick` how many of the last printed unit one tick is. Grids are those of the real listings.
"""

import msgspec

from tapeline.errors import UsageError


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """`events`: order-book events a second at rate 1 in a normal regime; `size`: the median order, in the base asset."""

    venue: str
    native: str
    base: str
    quote: str
    kind: str
    price_decimals: int
    size_decimals: int
    tick: int = 1
    events: float
    size: float
    levels: int = 500

    @property
    def tick_size(self) -> float:
        return float(self.tick / 10**self.price_decimals)

    @property
    def lot_size(self) -> float:
        return float(10**-self.size_decimals)


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """`volatility` a year, `beta` the share of the common factor in its moves."""

    name: str
    price: float
    volatility: float
    beta: float


ASSETS: dict[str, Asset] = {
    a.name: a
    for a in (
        Asset(name="BTC", price=97_000.0, volatility=0.45, beta=0.95),
        Asset(name="ETH", price=3_400.0, volatility=0.60, beta=0.88),
        Asset(name="BNB", price=650.0, volatility=0.55, beta=0.75),
        Asset(name="SOL", price=190.0, volatility=0.80, beta=0.80),
        Asset(name="XRP", price=2.20, volatility=0.85, beta=0.70),
        Asset(name="DOGE", price=0.38, volatility=0.95, beta=0.72),
        Asset(name="ADA", price=0.92, volatility=0.90, beta=0.72),
        Asset(name="LTC", price=105.0, volatility=0.70, beta=0.70),
    )
}


def _spot(base: str, price_decimals: int, size_decimals: int, events: float, size: float, levels: int = 500) -> Spec:
    return Spec(
        venue="binance",
        native=f"{base}USDT",
        base=base,
        quote="USDT",
        kind="spot",
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        events=events,
        size=size,
        levels=levels,
    )


def _perp(base: str, price_decimals: int, tick: int, size_decimals: int, events: float, size: float) -> Spec:
    return Spec(
        venue="binance-usdm",
        native=f"{base}USDT",
        base=base,
        quote="USDT",
        kind="perp",
        price_decimals=price_decimals,
        tick=tick,
        size_decimals=size_decimals,
        events=events,
        size=size,
    )


SPECS: tuple[Spec, ...] = (
    _spot("BTC", 2, 5, 150.0, 0.012, 700),
    _spot("ETH", 2, 4, 110.0, 0.25, 600),
    _spot("SOL", 2, 3, 70.0, 4.0),
    _spot("BNB", 2, 3, 45.0, 0.9),
    _spot("XRP", 4, 1, 50.0, 400.0),
    _spot("DOGE", 5, 0, 40.0, 2500.0),
    _spot("ADA", 4, 1, 25.0, 500.0),
    _spot("LTC", 2, 3, 20.0, 2.0),
    _perp("BTC", 2, 10, 3, 190.0, 0.03),
    _perp("ETH", 2, 1, 3, 140.0, 0.6),
    _perp("SOL", 4, 100, 2, 80.0, 8.0),
    _perp("XRP", 4, 1, 1, 60.0, 900.0),
    _perp("DOGE", 6, 10, 0, 45.0, 6000.0),
    _perp("BNB", 3, 10, 2, 40.0, 2.0),
)

DEFAULT: dict[str, tuple[str, ...]] = {
    "binance": ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT"),
    "binance-usdm": ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT"),
}
"""What runs unless instruments are named."""


def choose(venues: tuple[str, ...], natives: tuple[str, ...] | None = None) -> list[Spec]:
    """The specs of `venues`; `natives` (e.g. BTCUSDT) narrows or widens the default list. UsageError on unknown names."""
    for venue in venues:
        if venue not in DEFAULT:
            raise UsageError(f"venue {venue!r} has no simulator: choose from {', '.join(DEFAULT)}")
    known = {s.native for s in SPECS if s.venue in venues}
    for native in natives or ():
        if native not in known:
            raise UsageError(f"{native!r} is not simulated at {', '.join(venues)}: choose from {', '.join(sorted(known))}")
    return [s for s in SPECS if s.venue in venues and s.native in (natives or DEFAULT[s.venue])]
