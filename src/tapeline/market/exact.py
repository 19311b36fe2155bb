"""Exact sums of decimal numbers that arrive as float64.

A float64 read from a venue's decimal text of up to 15 digits names exactly one such decimal. Scaled by a power of ten it is an
integer, and integers add up without error, so a bar's volume is the float nearest to the true sum of its trades' decimals.
The scale starts at 1 and grows for good when a finer number comes, so that the integers stay as small, and as quick, as the
instrument allows; up to 10²², the largest power of ten that a float64 holds. No venue prints finer, and what is finer all the same
is rounded there.
"""

from decimal import Decimal

MOST = 22


class Scale:
    """A power of ten that turns floats into integers. On the fast path `n = round(x * factor)` is right if `n / factor == x`."""

    __slots__ = ("digits", "factor", "power")

    def __init__(self, digits: int = 0) -> None:
        self.set(digits)

    def set(self, digits: int) -> None:
        self.digits, self.power, self.factor = digits, 10**digits, 10.0**digits

    def widen(self, x: float) -> int:
        """Grow so that `x` is an integer; the number that earlier integers are to be multiplied with (1: no change)."""
        exponent = Decimal(repr(x)).normalize().as_tuple().exponent
        need = min(-exponent, MOST) if isinstance(exponent, int) else 0
        if need <= self.digits:
            return 1
        growth: int = 10 ** (need - self.digits)
        self.set(need)
        return growth

    def exact(self, x: float) -> int:
        """The slow path: any float, once the scale is wide enough."""
        return round(Decimal(repr(x)).scaleb(self.digits))
