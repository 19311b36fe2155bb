"""Sums of columns against Python's fractions, in memory that holds what was computed before."""

import random
from fractions import Fraction

import numpy as np
import pytest

from tapeline.lake.lots import BLOCK, lots, products, sums


def column(r: random.Random, kind: str, count: int) -> list[float]:
    """Decimals of few digits; sizes of 20 places, which int64 does not hold; or numbers whose products and sums it does not."""
    if kind == "few digits":
        return [r.randrange(1, 10_000_000) / 10 ** r.choice((0, 2, 5)) for _ in range(count)]
    if kind == "fine":
        return [float(f"{r.uniform(0.1, 9):.15g}e-{r.choice((0, 5))}") for _ in range(count)]
    return [float(r.randrange(1 << 44, 1 << 49)) for _ in range(count)]


def exact(x: float) -> Fraction:
    return Fraction(repr(x))


@pytest.mark.parametrize("kind", ["few digits", "fine", "large"])
@pytest.mark.parametrize("count", [1, 100, BLOCK + 5])
def test_sums_are_exact_in_memory_that_is_used_again(kind: str, count: int) -> None:
    r = random.Random(count)
    count = min(count, 2_000) if kind == "fine" else count  # slow, since Python's integers add them up
    memory = np.full((3, count), -1, np.int64)
    starts = np.array(sorted({0, *(r.randrange(count) for _ in range(5))}))
    ends = [*starts[1:].tolist(), count]
    for _ in range(2):
        sizes, prices = column(r, kind, count), column(r, "few digits", count)
        buys = [r.random() < 0.5 for _ in range(count)]
        size, price = lots(np.array(sizes), memory[0]), lots(np.array(prices), memory[1])
        bought = sums(products(size.values, np.array(buys), memory[2]), starts)
        notional = sums(products(size.values, price.values, memory[2]), starts)
        for i, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
            volumes, costs = [exact(s) for s in sizes[start:end]], [exact(p) for p in prices[start:end]]
            assert Fraction(bought[i], 10**size.digits) == sum(v for v, b in zip(volumes, buys[start:end], strict=True) if b)
            total = sum(v * c for v, c in zip(volumes, costs, strict=True))
            assert Fraction(notional[i], 10 ** (size.digits + price.digits)) == total
