"""Technical indicators over closed bars, by TA-Lib (`pip install 'tapeline[indicators]'`): `rsi_14_1m`, `macd_12_26_9_5m`.

The last parameter is the interval of the bars. Used are the closed bars made of trades, corrected where late trades correct them,
and where there is no complete one the venue's own candles, so that an indicator is warm once the venue has told its history. A bar
in which nothing was traded does not exist, and is skipped. An answer is made anew when a bar closes or is corrected, from the latest
`KEPT` bars: what lies before them weighs nothing in any of these indicators, to the last digit shown. It is incomplete while one of
the bars within its lookback is: the bar in which a session begins is one, unless the venue told a candle of it. Indicators that
never quite forget (EMA, RSI, ATR, ADX, MACD) still bear a trace of it afterwards.

Formulas and definitions: TA-Lib's function reference; each class names its function.
"""

from typing import Any, ClassVar

import numpy as np

from tapeline.errors import UsageError
from tapeline.events import Bar
from tapeline.market.metrics.base import Floats, History, Metric, Parameter, Sample, Value
from tapeline.market.metrics.of_bars import LastBars, latest

KEPT = 1000


class Indicator(Metric):
    """One of TA-Lib's functions. `inputs`: the bars' columns that it takes, in its order; `parts`: names of what it gives."""

    function: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ("close",)
    parts = ("",)
    needs = frozenset({"bars"})
    warm_up = "as many bars as the function looks back"
    interval: str

    def begin(self) -> None:
        self.held = LastBars(self.interval, KEPT)
        self.answer: dict[str, float | None] = {}
        self.flaw = False
        _talib(self.full_name)

    @property
    def flawed(self) -> bool:
        return self.flaw

    def sample(self, s: Sample) -> Value:
        if self.held.take(s.bars):
            self.answer = self._compute(self.held.last())
        return self.answer

    def batch(self, h: History) -> Value:
        return self._compute(latest(h, self.interval))

    def _compute(self, bars: list[Bar]) -> dict[str, float | None]:
        talib = _talib(self.full_name)
        call = getattr(talib, self.function)
        counts = self._counts()
        lookback: int = talib.abstract.Function(self.function, **counts).lookback
        self.flaw = not all(bar.complete for bar in bars[-(lookback + 1) :])
        if len(bars) <= lookback:
            return {}
        columns: list[Floats] = [np.array([getattr(bar, name) for bar in bars[-KEPT:]], float) for name in self.inputs]
        found = call(*columns, **counts)
        rows = found if isinstance(found, tuple) else (found,)
        return {name: float(row[-1]) for name, row in zip(self.parts, rows, strict=True)}

    def _counts(self) -> dict[str, Any]:
        return {p.name: getattr(self, p.name) for p in self.parameters if p.name != "interval"}


def _talib(full_name: str) -> Any:
    """Raises UsageError where it is not installed."""
    try:
        import talib
        import talib.abstract
    except ImportError:
        raise UsageError(f"{full_name}: technical indicators need TA-Lib: pip install 'tapeline[indicators]'") from None
    return talib


def _indicator(
    name: str, what: str, function: str, inputs: str = "close", outputs: str = "", unit: str = "", **counts: int
) -> type[Metric]:
    parameters = [Parameter(key, "count", str(value)) for key, value in counts.items()]
    return type(
        "".join(word.capitalize() for word in name.split("_")),
        (Indicator,),
        {
            "__doc__": f"{what} TA-Lib's {function}.",
            "__module__": __name__,
            "name": name,
            "function": function,
            "inputs": tuple(inputs.split()),
            "parts": tuple(outputs.split()) or ("",),
            "unit": unit,
            "parameters": (*parameters, Parameter("interval", "interval", "1m")),
        },
    )


_RANGE = "high low close"
ALL = (
    _indicator("sma", "Simple moving average of closes.", "SMA", unit="price", timeperiod=20),
    _indicator("ema", "Exponential moving average of closes.", "EMA", unit="price", timeperiod=20),
    _indicator("wma", "Linearly weighted moving average of closes.", "WMA", unit="price", timeperiod=20),
    _indicator("dema", "Double exponential moving average (Mulloy 1994).", "DEMA", unit="price", timeperiod=20),
    _indicator("tema", "Triple exponential moving average (Mulloy 1994).", "TEMA", unit="price", timeperiod=20),
    _indicator("kama", "Adaptive moving average (Kaufman 1995).", "KAMA", unit="price", timeperiod=30),
    _indicator("rsi", "Relative strength index, 0 to 100 (Wilder 1978).", "RSI", timeperiod=14),
    _indicator(
        "macd", "Moving averages' convergence and divergence (Appel 1979).", "MACD", outputs="macd signal histogram", unit="price",
        fastperiod=12, slowperiod=26, signalperiod=9,
    ),
    _indicator(
        "bollinger", "Bands of two standard deviations about the mean of closes (Bollinger 1983).", "BBANDS",
        outputs="upper middle lower", unit="price", timeperiod=20,
    ),
    _indicator("atr", "Average true range (Wilder 1978).", "ATR", _RANGE, unit="price", timeperiod=14),
    _indicator("natr", "Average true range in per cent of the close.", "NATR", _RANGE, unit="%", timeperiod=14),
    _indicator("adx", "Average directional index, 0 to 100 (Wilder 1978).", "ADX", _RANGE, timeperiod=14),
    _indicator("cci", "Commodity channel index (Lambert 1980).", "CCI", _RANGE, timeperiod=20),
    _indicator("williams", "Williams' %R, −100 to 0 (Williams 1973).", "WILLR", _RANGE, timeperiod=14),
    _indicator(
        "stochastic", "Where the close lies between low and high, 0 to 100, and its mean (Lane 1957).", "STOCH", _RANGE,
        outputs="k d", fastk_period=14, slowk_period=3, slowd_period=3,
    ),
    _indicator("aroon", "Bars since the highest high and the lowest low, 0 to 100 (Chande 1995).", "AROON", "high low",
        outputs="down up", timeperiod=14),
    _indicator("mfi", "Money flow index, 0 to 100 (Quong and Soudack 1989).", "MFI", "high low close volume", timeperiod=14),
    _indicator("roc", "Change of closes in per cent.", "ROC", unit="%", timeperiod=10),
    _indicator("momentum", "Change of closes.", "MOM", unit="price", timeperiod=10),
    _indicator("trix", "Change of a triple exponential mean in per cent (Hutson 1983).", "TRIX", unit="%", timeperiod=15),
    _indicator("stddev", "Standard deviation of closes.", "STDDEV", unit="price", timeperiod=20),
)  # fmt: skip
globals().update({made.__name__: made for made in ALL})  # where a state that was put away finds them
