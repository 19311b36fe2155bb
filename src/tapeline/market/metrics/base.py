"""What a metric is.

A metric is asked once a sample (`pipeline.metrics_ms`, a second by default) and answers with a number, several, or None where it
does not know. Between two samples nothing is computed: what came is gathered, so that an update costs an append, and so that the
answer does not depend on how the events were batched, live or replayed.

    class Vwap(Metric):
        '''Volume-weighted mean price of the last `window`:  Σ pᵢ sᵢ / Σ sᵢ.'''

        name = "vwap"
        parameters = (Parameter("window", "time", "5m"),)

        def sample(self, s: Sample) -> float | None:
            return s.trades.vwap(s.trades.since(s.now - self.window))

`vwap_5m` in the settings, in rules and in `Metrics.values` is this class with `window` = 300 s. A metric with state of its own reads
`s.new_trades` and `s.new_touches`, what came since the last sample, and keeps plain values or NumPy arrays in attributes: they are
put away with the pipeline's state.

`batch` is the twin: the same figure out of everything that was ever seen, in NumPy, without state. The tests of `tapeline.testing`
compare the two, on random and recorded data, with trades late, doubled and missing.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tapeline.clock import SECOND
from tapeline.events import Bar, Liquidation
from tapeline.market.book import Book
from tapeline.market.metrics.ladder import Ladder
from tapeline.market.metrics.packing import packed, unpacked
from tapeline.market.metrics.store import Touches, Trades

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Value = float | None | Mapping[str, float | None]
"""One number, or several by name: `profile_1h` with {"poc": …} gives `profile_1h.poc`. None is not known."""
DAY = 86_400 * SECOND
Kind = Literal["time", "count", "bps", "depth", "amount", "interval", "moment"]


class Parameter(msgspec.Struct, frozen=True):
    """One part of a metric's full name, in their order. `default` in words as one would write it; empty: it must be given.

    time      `30s`, `5m`, `1h`, `1d`   → int, ns
    interval  likewise, of bars         → the text, one of `config.INTERVALS`
    count     `14`                      → int
    bps       `10bps`, `2.5bps`         → float
    depth     `5` levels, or `10bps`    → int, or float
    amount    `5000`, `100k`, `2M`      → float
    moment    `20261121T093000Z`        → int, ns UTC
    """

    name: str
    kind: Kind
    default: str = ""


class Figures(msgspec.Struct):
    """The venue's own latest figures, None where it never gave one. `next_funding` ns UTC; rates are per funding period."""

    last: float | None = None
    mark: float | None = None
    index: float | None = None
    funding_rate: float | None = None
    next_funding: int | None = None
    open_interest: float | None = None


class Sample(msgspec.Struct, gc=False):
    """What a metric may look at when it is asked. Nothing of it may be changed or kept.

    `now`: the venue's time, ns, as our clock has it (`ts_recv` less the smallest lag seen), never decreasing; `ts_recv`: ours.
    `book`: None while it is not proven. `trades`, `touches`: what rolling windows reach back to, by venue time. `new_trades`:
    places of those in `trades` that came since the last sample, late ones included, in the order of arrival; `new_touches`:
    from which place on touches are new. `bars`: bars that closed or were revised since the last sample. `opened`: when the
    instrument's latest session began, None where that is not known or it never rests. `sessions`: it is traded in the sessions of
    an exchange, some 252 a year.
    """

    now: int
    ts_recv: int
    book: Book | None
    touch: tuple[float, float, float, float] | None  # bid, bid size, ask, ask size; None while a side is empty or not known
    trades: Trades
    touches: Touches
    new_trades: Ints
    new_touches: int
    figures: Figures
    bars: list[Bar]
    liquidations: list[Liquidation]
    contract_value: float | None = (
        None  # of one contract in the quote asset, where the instrument is inverse: sizes are contracts
    )
    opened: int | None = None
    sessions: bool = False
    _sides: tuple[Ladder, Ladder] | None = None

    @property
    def sides(self) -> tuple[Ladder, Ladder] | None:
        """Bids and asks of `book` with their running sums, read once for all metrics; None where there is none."""
        if self._sides is None and self.book is not None:
            self._sides = Ladder(self.book, "bids"), Ladder(self.book, "asks")
        return self._sides


class History(msgspec.Struct, gc=False):
    """Everything up to a sample, for `Metric.batch`: arrays as `Trades` and `Touches` have them, nothing forgotten.

    `bids`, `asks`: the book, best first, shape (levels, 2): price and size, None while it is not proven; `bid_floor`, `ask_ceiling`:
    the farthest prices that it knows of, None where it knows all. `arrived`: each trade's place in the order of arrival.
    """

    now: int
    ts_recv: int
    trade_ts: Ints
    price: Floats
    size: Floats
    side: Floats
    arrived: Ints
    touch_ts: Ints
    bid: Floats
    bid_size: Floats
    ask: Floats
    ask_size: Floats
    bids: Floats | None
    asks: Floats | None
    figures: Figures
    bars: list[Bar]
    sample_times: Ints  # `now` of every sample so far, this one included
    contract_value: float | None = None
    bid_floor: float | None = None
    ask_ceiling: float | None = None
    opened: int | None = None
    sessions: bool = False


def session_start(s: Sample | History) -> int:
    """When the session of `now` began: the instrument's own, else 00:00 UTC."""
    return s.now - s.now % DAY if s.opened is None else s.opened


class Metric:
    """Inherit, name it, give `sample`. Parameters become attributes of their names.

    `needs`: what of a `Sample` is gathered for it. `reach`: how far back in `s.trades` and `s.touches` it looks, ns.
    `gap`: what a hole in the data does to it: "none" (it is of the moment), "window" (it is incomplete while a hole touches what it
    was made from, which begins at `reaches_to`). A hole whose trades came after all is none any more.
    """

    name: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter, ...]] = ()
    needs: ClassVar[frozenset[str]] = frozenset({"trades"})  # of "trades", "touches", "book", "bars", "ticker", "liquidations"
    gap: ClassVar[Literal["none", "window"]] = "window"
    unit: ClassVar[str] = ""
    parts: ClassVar[tuple[str, ...]] = ()  # the names of its numbers where it gives several; "" is the full name alone
    warm_up: ClassVar[str] = "the window"

    def __init__(self, full_name: str, **parameters: Any) -> None:
        self.full_name = full_name
        for name, value in parameters.items():
            setattr(self, name, value)
        self.begin()

    def begin(self) -> None:
        """Set what state it needs."""

    @property
    def reach(self) -> int:
        """The parameter `window`, where there is one."""
        return int(getattr(self, "window", 0))

    def sample(self, s: Sample) -> Value:
        raise NotImplementedError

    @property
    def flawed(self) -> bool:
        """Whether the latest answer is incomplete for a reason that it alone knows: a bar that is, say."""
        return False

    def reaches_to(self, now: int) -> int:
        """The venue's time, ns, of the oldest that the latest answer was made from: a hole after it makes the answer incomplete."""
        return now - self.reach

    def batch(self, h: History) -> Value:
        """The same by NumPy from everything there ever was. Raises NotImplementedError where it has no twin."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: packed(value) for name, value in self.__dict__.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({name: unpacked(value) for name, value in state.items()})
