"""Basis and funding of a derivative, from the venue's own latest figures. None where it gives none, or its ticker fell
silent.
"""

from typing import ClassVar, Literal

from tapeline.clock import SECOND
from tapeline.market.metrics.base import Figures, History, Metric, Parameter, Sample

BPS = 10_000
YEAR = 365 * 86_400 * SECOND


class _OfFigures(Metric):
    needs = frozenset({"ticker"})
    gap: ClassVar[Literal["none", "window"]] = "none"
    warm_up = "the venue's first figures"


class Basis(_OfFigures):
    """How far a derivative's mark price lies above its index:  10⁴ (mark − index) / index. The premium that funding pulls back
    to zero.
    """

    name = "basis"
    unit = "bps"

    def sample(self, s: Sample) -> float | None:
        return self._of(s.figures)

    def batch(self, h: History) -> float | None:
        return self._of(h.figures)

    def _of(self, f: Figures) -> float | None:
        return None if f.mark is None or not f.index else BPS * (f.mark - f.index) / f.index


class Funding(_OfFigures):
    """Funding of a perpetual: `.rate`, what longs pay shorts at the next funding, in basis points;  `.annual` = rate · year /
    period, in per cent, not compounded;  `.due`, seconds until then.

    `period` is how often the venue funds: 8 hours, as most do, unless it is written, `funding_4h`; a venue's figures do not
    tell it.
    """

    name = "funding"
    parts = ("rate", "annual", "due")
    parameters = (Parameter("period", "time", "8h"),)
    unit = "bps, % a year, s"
    period: int

    def sample(self, s: Sample) -> dict[str, float | None]:
        return self._of(s.figures, s.now)

    def batch(self, h: History) -> dict[str, float | None]:
        return self._of(h.figures, h.now)

    def _of(self, f: Figures, now: int) -> dict[str, float | None]:
        rate, due = f.funding_rate, f.next_funding
        return {
            "rate": None if rate is None else BPS * rate,
            "annual": None if rate is None else 100 * rate * YEAR / self.period,
            "due": None if due is None or due < now else (due - now) / SECOND,
        }


ALL = (Basis, Funding)
