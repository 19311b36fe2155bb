"""Volume profile: how much was traded at which price, and where most of it was.

    bins             runs of ticks of equal length, 1, 2 or 5 times a power of ten, counted from a price of zero
    point of control the bin with the most volume; of equal ones the nearest to the middle of the range, then the lower
    value area       from the point of control outwards, at each step the neighbour with more volume (the upper one of equals),
                     until 70 % of the volume is reached. Bins without a trade are passed over. So price by price where volumes are
                     known; the two prices a step of some programs come from profiles that count half hours instead

Everything is counted in whole numbers (ticks of price, lots of size), so that a profile does not depend on the order in which trades
came, nor on what came and left again.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tapeline.events import Flag, Trade
from tapeline.market.exact import Scale

VALUE_AREA = 70  # per cent
OFF_BOOK, AGGREGATED = int(Flag.OFF_BOOK), int(Flag.AGGREGATED)


class Bin(msgspec.Struct, frozen=True, gc=False):
    """`low` and `high` are the lowest and the highest price that belong to it: equal where a bin is one tick. `buy_volume` and
    `sell_volume` None where they are not kept.
    """

    low: float
    high: float
    volume: float
    buy_volume: float | None
    sell_volume: float | None


class Profile(msgspec.Struct, frozen=True):
    """`bins` from the lowest price up, those with trades only. `poc`: the middle of the point of control; `val`, `vah`: the lowest
    and the highest price of the value area. `step`: the width of a bin. None where nothing was traded.
    """

    step: float | None
    volume: float
    poc: float | None
    val: float | None
    vah: float | None
    bins: list[Bin]


def step_for(price: float, bps: float, ticks: int) -> int:
    """The width of a bin in ticks, of which `ticks` make a price of 1: the largest 1, 2 or 5 × 10ⁿ that is no wider than so many
    basis points of the price, and no less than a tick.
    """
    most = price * bps / 10_000 * ticks
    if not most > 1:
        return 1
    power: int = 10 ** (len(str(int(most))) - 1)
    return max(m for m in (1, 2, 5) if m * power <= most) * power


def value_area(bins: Mapping[int, int], percent: int = VALUE_AREA) -> tuple[int, int, int]:
    """The bins of the point of control, of the lower and of the upper end of the value area. `bins`: volume by number, not empty."""
    numbers = sorted(number for number, volume in bins.items() if volume)
    volumes = [bins[number] for number in numbers]
    most, middle = max(volumes), numbers[0] + numbers[-1]
    poc = min((i for i, volume in enumerate(volumes) if volume == most), key=lambda i: (abs(2 * numbers[i] - middle), i))
    low = high = poc
    held, total = most, sum(volumes)
    while 100 * held < percent * total:
        above = volumes[high + 1] if high + 1 < len(volumes) else -1
        below = volumes[low - 1] if low else -1
        if above >= below:
            high, held = high + 1, held + above
        else:
            low, held = low - 1, held + below
    return numbers[poc], numbers[low], numbers[high]


def edges(step: int, ticks: int, poc: int, low: int, high: int) -> dict[str, float]:
    """Prices of a value area that is given by numbers of bins."""
    return {
        "poc": (2 * poc * step + step - 1) / (2 * ticks),
        "val": low * step / ticks,
        "vah": (high * step + step - 1) / ticks,
    }


def counted(trades: Sequence[Trade]) -> list[Trade]:
    """Those that a profile is made of: on the book, and where a venue streams single and aggregated trades, of the latest's kind."""
    kind = trades[-1].flags & AGGREGATED if trades else 0
    return [t for t in trades if not t.flags & OFF_BOOK and t.flags & AGGREGATED == kind]


def profile(
    price: Iterable[float], size: Iterable[float], side: Iterable[str], *, bps: float = 1.0, step: float | None = None
) -> Profile:
    """Of trades in any order. `side`: `buy`, `sell`, `unknown`. Bins are `step` wide, or else `bps` basis points of the mean
    price (weighted by size), rounded down to 1, 2 or 5 times a power of ten, and at least the finest place that a price has.
    """
    prices, sizes = list(price), list(size)
    whole_prices, ticks = _whole(prices if step is None else [*prices, step])
    whole_sizes, lots = _whole(sizes)
    total = sum(whole_sizes)
    if not total:
        return Profile(None, 0.0, None, None, None, [])
    if step is None:
        width = step_for(sum(p * s for p, s in zip(whole_prices, whole_sizes, strict=True)) / total / ticks, bps, ticks)
    else:
        width = max(1, whole_prices.pop())
    sums: dict[int, list[int]] = {}
    for p, s, d in zip(whole_prices, whole_sizes, side, strict=True):
        volume = sums.setdefault(p // width, [0, 0, 0])
        volume[0] += s
        volume[1] += s if d == "buy" else 0
        volume[2] += s if d == "sell" else 0
    area = edges(width, ticks, *value_area({number: volume[0] for number, volume in sums.items()}))
    bins = [
        Bin(n * width / ticks, (n * width + width - 1) / ticks, *(v / lots for v in volume))
        for n, volume in sorted(sums.items())
    ]
    return Profile(width / ticks, total / lots, area["poc"], area["val"], area["vah"], bins)


def _whole(values: list[float]) -> tuple[list[int], int]:
    """The values as whole numbers, and how many of those make 1."""
    scale = Scale()
    for value in set(values):
        scale.widen(value)
    return [scale.exact(value) for value in values], scale.power
