"""What is traded in the simulated market: grids, start prices and how busy each instrument is.

Prices are integers in ticks, sizes integers in lots, everywhere in this room; only the wire files turn them into text, and each
wire file says what its venue trades. `price_decimals` is how many decimals one tick needs (or what the venue prints: Binance's
BTC perpetual moves by 0.10 and prints two decimals), `tick` how many of the last printed unit one tick is. Grids are those of
the real listings. All prices come from one path an asset (`latent.py`), in US dollars; USD, USDT and USDC are worth one.
"""

from typing import Literal

import msgspec

Kind = Literal["spot", "perp", "future", "stock", "fx"]


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """`events`: order-book events a second at rate 1 in a normal regime; `size`: the median order, in the base asset.

    `contract_size`: sizes are numbers of contracts, each worth so much of the base asset, or of the quote asset where `inverse`.
    """

    venue: str
    native: str
    base: str
    quote: str
    kind: Kind
    price_decimals: int
    size_decimals: int
    tick: int = 1
    events: float
    size: float
    levels: int = 500
    contract_size: float = 1.0
    inverse: bool = False

    @property
    def tick_size(self) -> float:
        return float(self.tick / 10**self.price_decimals)

    @property
    def lot_size(self) -> float:
        return float(10**-self.size_decimals)

    def lots(self, amount: float, price: float) -> float:
        """An amount of the base asset in lots, at `price` in the quote asset."""
        contracts = amount * price / self.contract_size if self.inverse else amount / self.contract_size
        return float(contracts * 10**self.size_decimals)


class VenueRules(msgspec.Struct, frozen=True, kw_only=True):
    """`cadences`: ns between diffs for which changes are gathered (`Instrument.batches`); those of a `View` need none.

    `shared_ids`: one update-id sequence for the whole venue, `spread` of whose ids others take at most between two of ours.
    """

    cadences: tuple[int, ...] = ()
    shared_ids: bool = False
    spread: int = 0
    first_update_id: int = 70_000_000_000
    first_trade_id: int = 4_000_000_000


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """`volatility` a year, `beta` the share of the common factor in its moves; `events` and `size` as in `Spec`, its usual ones."""

    name: str
    price: float
    volatility: float
    beta: float
    events: float = 30.0
    size: float = 1.0


ASSETS: dict[str, Asset] = {
    a.name: a
    for a in (
        Asset(name="BTC", price=97_000.0, volatility=0.45, beta=0.95, events=100.0, size=0.012),
        Asset(name="ETH", price=3_400.0, volatility=0.60, beta=0.88, events=80.0, size=0.25),
        Asset(name="BNB", price=650.0, volatility=0.55, beta=0.75, size=0.9),
        Asset(name="SOL", price=190.0, volatility=0.80, beta=0.80, events=50.0, size=4.0),
        Asset(name="XRP", price=2.20, volatility=0.85, beta=0.70, size=400.0),
        Asset(name="DOGE", price=0.38, volatility=0.95, beta=0.72, size=2500.0),
        Asset(name="ADA", price=0.92, volatility=0.90, beta=0.72, size=500.0),
        Asset(name="LTC", price=105.0, volatility=0.70, beta=0.70, size=2.0),
        Asset(name="DOT", price=7.1, volatility=0.85, beta=0.74, size=60.0),
        Asset(name="AVAX", price=41.0, volatility=0.90, beta=0.75, size=10.0),
        Asset(name="LINK", price=23.0, volatility=0.85, beta=0.74, size=20.0),
        Asset(name="BCH", price=450.0, volatility=0.75, beta=0.70, size=0.8),
        Asset(name="AAPL", price=268.0, volatility=0.26, beta=0.45, events=40.0, size=40.0),
        Asset(name="MSFT", price=475.0, volatility=0.24, beta=0.45, size=20.0),
        Asset(name="NVDA", price=182.0, volatility=0.48, beta=0.55, events=60.0, size=60.0),
        Asset(name="TSLA", price=395.0, volatility=0.58, beta=0.50, events=60.0, size=30.0),
        Asset(name="AMZN", price=222.0, volatility=0.30, beta=0.45, size=30.0),
        Asset(name="GOOGL", price=292.0, volatility=0.29, beta=0.45, size=30.0),
        Asset(name="META", price=595.0, volatility=0.34, beta=0.45, size=15.0),
        Asset(name="SPY", price=662.0, volatility=0.15, beta=0.60, events=60.0, size=50.0),
        Asset(name="QQQ", price=598.0, volatility=0.20, beta=0.60, events=50.0, size=40.0),
        Asset(name="EUR", price=1.0820, volatility=0.07, beta=0.10, size=10_000.0),
        Asset(name="GBP", price=1.2760, volatility=0.08, beta=0.10, size=10_000.0),
        Asset(name="JPY", price=0.00662, volatility=0.09, beta=-0.10, size=1_000_000.0),
        Asset(name="CHF", price=1.1340, volatility=0.07, beta=-0.05, size=10_000.0),
        Asset(name="AUD", price=0.6510, volatility=0.10, beta=0.25, size=10_000.0),
    )
}


def listed(
    venue: str,
    native: str,
    base: str,
    quote: str,
    price_decimals: int,
    size_decimals: int,
    *,
    kind: Kind = "spot",
    tick: int = 1,
    events: float = 0.0,
    size: float = 0.0,
    levels: int = 500,
    contract_size: float = 1.0,
    inverse: bool = False,
) -> Spec:
    """A listing of an asset in `ASSETS`, as busy and with orders as large as is usual for it unless said otherwise."""
    usual = ASSETS.get(base) or Asset(name=base, price=1.0, volatility=0.0, beta=0.0, size=10_000.0)
    return Spec(
        venue=venue,
        native=native,
        base=base,
        quote=quote,
        kind=kind,
        price_decimals=price_decimals,
        size_decimals=size_decimals,
        tick=tick,
        events=events or usual.events,
        size=size or usual.size,
        levels=levels,
        contract_size=contract_size,
        inverse=inverse,
    )
