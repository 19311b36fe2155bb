"""Integers to the texts a venue prints. No floats: what was traded is what is printed, to the last digit."""

from tapeline.sim.specs import Spec

_CACHE = 50_000


def fixed(units: int, decimals: int, digits: int) -> str:
    """`units` of 10^-`decimals` with exactly `digits` decimals (digits ≥ decimals): (1234, 2, 4) is 12.3400."""
    if units < 0:
        return "-" + fixed(-units, decimals, digits)
    if digits == 0:
        return str(units)
    scale = 10**digits
    whole, rest = divmod(units * 10 ** (digits - decimals), scale)
    return f"{whole}.{rest:0{digits}d}"


class Printer:
    """Texts of one instrument. `price_digits`, `size_digits`: decimals the venue prints."""

    def __init__(self, spec: Spec, price_digits: int, size_digits: int) -> None:
        self.spec, self.price_digits, self.size_digits = spec, price_digits, size_digits
        self._prices: dict[int, str] = {}

    def price(self, ticks: int) -> str:
        text = self._prices.get(ticks)
        if text is None:
            if len(self._prices) >= _CACHE:
                self._prices.clear()
            text = fixed(ticks * self.spec.tick, self.spec.price_decimals, self.price_digits)
            self._prices[ticks] = text
        return text

    def size(self, lots: int) -> str:
        return fixed(lots, self.spec.size_decimals, self.size_digits)

    def amount(self, notional: int) -> str:
        """Ticks x lots as quote asset, eight decimals."""
        return fixed(notional * self.spec.tick, self.spec.price_decimals + self.spec.size_decimals, 8)

    def mean(self, notional: int, volume: int) -> str:
        """Volume-weighted price, eight decimals, rounded down."""
        scale: int = 10 ** (8 - self.spec.price_decimals)
        return fixed(notional * self.spec.tick * scale // max(1, volume), 8, 8)

    def exact(self, ticks: float) -> str:
        """A computed price (mark, index, mean fill) in float ticks, eight decimals."""
        return f"{ticks * self.spec.tick_size:.8f}"

    def levels(self, levels: list[tuple[int, int]]) -> str:
        price, size = self.price, self.size
        return ",".join([f'["{price(p)}","{size(s)}"]' for p, s in levels])
