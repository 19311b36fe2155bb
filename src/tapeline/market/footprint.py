"""A bar's footprint: how much was bought and sold in each price bin; bins as in `columns`."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tapeline.market.columns import Floats, Step, digits_of, significant

MOST_CELLS = 2000
_SAFE = 2**62


class Footprint(NamedTuple):
    """`low`: the number of the first bin; `volume`: of all trades, those of an unknown side among them."""

    low: int
    buys: list[float]
    sells: list[float]
    volume: float


def footprint(
    price: Floats, size: Floats, buy: npt.NDArray[np.bool_], sell: npt.NDArray[np.bool_], step: Step
) -> Footprint | None:
    """None where there are more than `MOST_CELLS` bins."""
    if not len(price):
        return Footprint(0, [], [], 0.0)
    own = digits_of(price, 0)
    digits = max(own, step.digits)
    factor, width = 10 ** (digits - own), step.units * 10 ** (digits - step.digits)
    units = np.rint(price * 10.0**own).astype(np.int64)
    least, most = int(units.min()), int(units.max())
    low, rest = divmod(least * factor, width)
    cells = most * factor // width - low + 1
    if cells > MOST_CELLS:
        return None
    kind: Any = np.int64 if (most - least) * factor + width < _SAFE else object
    bins = ((rest + (units - least).astype(kind) * factor) // width).astype(np.int64)
    bought, sold = (significant(np.bincount(bins[side], size[side], cells).astype(np.float64)).tolist() for side in (buy, sell))
    return Footprint(low, bought, sold, float(size.sum()))
