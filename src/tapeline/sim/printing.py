"""Integers to the texts a venue prints. No floats: what was traded is what is printed, to the last digit."""

from tapeline.sim.specs import Spec

_CACHE = 20_000


def fixed(units: int, decimals: int, digits: int) -> str:
    """`units` of 10^-`decimals` with exactly `digits` decimals (digits ≥ decimals): (1234, 2, 4) is 12.3400."""
    if units < 0:
        return "-" + fixed(-units, decimals, digits)
    if digits == 0:
        return str(units)
    scale = 10**digits
    whole, rest = divmod(units * 10 ** (digits - decimals), scale)
    return f"{whole}.{rest:0{digits}d}"


def trimmed(text: str) -> str:
    """Without zeros that say nothing: 0.5000 is 0.5, 12.00 is 12."""
    return text.rstrip("0").rstrip(".") if "." in text else text


class Printer:
    """Texts of one instrument. `price_digits`, `size_digits`: decimals the venue prints; `trim`: without trailing zeros."""

    def __init__(self, spec: Spec, price_digits: int, size_digits: int, *, trim: bool = False) -> None:
        self.spec, self.price_digits, self.size_digits, self.trim = spec, price_digits, size_digits, trim
        self._prices: dict[int, str] = {}
        self._sizes: dict[int, str] = {}

    def price(self, ticks: int) -> str:
        text = self._prices.get(ticks)
        if text is None:
            if len(self._prices) >= _CACHE:
                self._prices.clear()
            text = fixed(ticks * self.spec.tick, self.spec.price_decimals, self.price_digits)
            text = trimmed(text) if self.trim else text
            self._prices[ticks] = text
        return text

    def size(self, lots: int) -> str:
        text = self._sizes.get(lots)
        if text is None:
            if len(self._sizes) >= _CACHE:
                self._sizes.clear()
            text = fixed(lots, self.spec.size_decimals, self.size_digits)
            text = trimmed(text) if self.trim else text
            self._sizes[lots] = text
        return text

    def amount(self, notional: int) -> str:
        """Ticks x lots as quote asset, eight decimals."""
        return fixed(notional * self.spec.tick, self.spec.price_decimals + self.spec.size_decimals, 8)

    def worth(self, volume: int, notional: int) -> str:
        """What a volume was worth: in the quote asset, that of inverse contracts in the base asset; eight decimals."""
        if not self.spec.inverse:
            return self.amount(notional)
        dollars = volume * self.spec.contract_size / 10**self.spec.size_decimals
        return f"{dollars * volume / (notional * self.spec.tick_size) if notional else 0.0:.8f}"

    def mean(self, notional: int, volume: int) -> str:
        """Volume-weighted price, eight decimals, rounded down."""
        scale: int = 10 ** (8 - self.spec.price_decimals)
        return fixed(notional * self.spec.tick * scale // max(1, volume), 8, 8)

    def exact(self, ticks: float) -> str:
        """A computed price (mark, index, mean fill) in float ticks, eight decimals."""
        return f"{ticks * self.spec.tick_size:.8f}"

    def levels(self, levels: list[tuple[int, int]], form: str = '["%s","%s"]') -> str:
        """Joined by commas; `form` takes price and size."""
        price, size = self.price, self.size
        return ",".join([form % (price(p), size(s)) for p, s in levels])
