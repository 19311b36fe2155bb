"""The best N levels of a book and what changed among them: the books of venues that sell depth by the level.

A `View` is one book stream: what its subscribers know after the last message. `step` is the next message: levels whose size
changed, levels that entered the N (because better ones left) and, unless the venue leaves that to its clients (Kraken: truncate
after each message), levels that fell out of it, at size 0. The snapshot that a newcomer gets is the view as of the last message,
not the book of this instant, so that the next message continues it for everybody, ids included.

Cost: what changed, not N. Only views that somebody listens to exist (`Views`).
"""

from collections.abc import Collection
from typing import NamedTuple

from tapeline.sim.instrument import Instrument
from tapeline.sim.lob import Fill, Half


class Change(NamedTuple):
    """One message: (price, size) in ticks and lots, best first, size 0 removes.

    `number` is +1 a message of this view; `last_id` the market's update id that it reaches, `previous_id` that of the message
    before. `restarted`: ids began anew (`number` is 1): venues that say so by a snapshot send one (`View.bids`, `View.asks`).
    """

    bids: list[Fill]
    asks: list[Fill]
    number: int
    last_id: int
    previous_id: int
    restarted: bool


class _Side:
    """One half as its subscribers know it: `shown` maps keys to totals, `keys` in order with the best last."""

    __slots__ = ("depth", "half", "keys", "shown", "touched", "truncated")

    def __init__(self, half: Half, depth: int, truncated: bool) -> None:
        self.half, self.depth, self.truncated = half, depth, truncated
        self.touched: set[int] = set()
        self.keys: list[int] = half.keys[-depth:]
        self.shown = {key: half.total(key) for key in self.keys}

    def levels(self) -> list[Fill]:
        sign = self.half.sign
        return [(sign * key, self.shown[key]) for key in reversed(self.keys)]

    def step(self) -> list[Fill]:
        """What changed since the last step; afterwards `shown` is the book's best `depth` levels."""
        half, shown = self.half, self.shown
        keys = half.keys[-self.depth :]
        changed: dict[int, int] = {}
        worst = keys[0] if keys else None
        for key in self.touched:
            total = half.total(key)
            inside = total and worst is not None and key >= worst
            if inside and shown.get(key) != total:
                changed[key] = shown[key] = total
            elif not total and shown.pop(key, 0):
                changed[key] = 0
        self.touched.clear()
        self._fall_out(worst, changed)
        for key in keys:  # from the worst: those that entered without having changed
            if key in shown:
                if self.keys and key >= self.keys[0]:
                    break
            else:
                changed[key] = shown[key] = half.total(key)
        self.keys = keys
        return [(half.sign * key, changed[key]) for key in sorted(changed, reverse=True)]

    def _fall_out(self, worst: int | None, changed: dict[int, int]) -> None:
        for key in self.keys:
            if worst is not None and key >= worst:
                return
            if self.shown.pop(key, 0) and not self.truncated:
                changed[key] = 0


class View:
    """One (instrument, depth) at one cadence. `depth` levels a side; `truncated`: clients cut off what falls out by themselves."""

    def __init__(self, instrument: Instrument, depth: int, *, truncated: bool = False) -> None:
        self.instrument = instrument
        self._bids = _Side(instrument.lob.bids, depth, truncated)
        self._asks = _Side(instrument.lob.asks, depth, truncated)
        self.number = self.last_id = instrument.last_id  # one that no earlier view of this stream has reached
        self.previous_id = -1
        self._restarted = False
        instrument.watchers.append(self)

    @property
    def bids(self) -> list[Fill]:
        """As of the last message, best first: with `asks`, `number` and `last_id` the snapshot for a newcomer."""
        return self._bids.levels()

    @property
    def asks(self) -> list[Fill]:
        return self._asks.levels()

    def add(self, bids: set[int], asks: set[int]) -> None:
        self._bids.touched |= bids
        self._asks.touched |= asks

    def restart(self, last: int) -> None:  # the next message carries the new id
        self._restarted = True

    def step(self, *, even_empty: bool = False) -> Change | None:
        """The next message; None where nothing changed within the depth, unless `even_empty` (keep-alives)."""
        bids, asks = self._bids.step(), self._asks.step()
        if not bids and not asks and not self._restarted and not even_empty:
            return None
        restarted, self._restarted = self._restarted, False
        self.number = 1 if restarted else self.number + 1
        self.previous_id, self.last_id = self.last_id, self.instrument.last_id
        return Change(bids, asks, self.number, self.last_id, self.previous_id, restarted)

    def close(self) -> None:
        self.instrument.watchers.remove(self)


class Views:
    """The views of a venue by stream name, made when first asked for and dropped when nobody listens."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}

    def get(self, stream: str, instrument: Instrument, depth: int, *, truncated: bool = False) -> View:
        view = self._views.get(stream)
        if view is None:
            view = self._views[stream] = View(instrument, depth, truncated=truncated)
        return view

    def keep(self, streams: Collection[str]) -> None:
        """Drop those of other streams."""
        if not self._views.keys() <= set(streams):
            for stream in [s for s in self._views if s not in streams]:
                self._views.pop(stream).close()
