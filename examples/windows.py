"""Features of every minute of a recording, from NumPy, as a table; and what came too late for them.

tapeline record --simulate binance:BTC-USDT --for 3m
python examples/windows.py data
"""

import sys
from typing import Any

import numpy as np

import tapeline as tl


def features(times: Any, prices: Any, sizes: Any) -> dict[str, float]:
    """Of the trades of one minute: how far and how roughly the price went, and how uneven the trades were."""
    steps = np.diff(np.log(prices))
    return {
        "return_bps": 1e4 * float(steps.sum()),
        "volatility_bps": 1e4 * float(np.sqrt((steps**2).sum())),
        "biggest_share": float(sizes.max() / sizes.sum()),
        "longest_pause_s": float(np.diff(times).max() / 1e9) if len(times) > 1 else 0.0,
    }


def main(data: str) -> None:
    windows = tl.windows(tl.replay(data), tl.tumbling("1m"), "count", "vwap", "volume", features=features, lateness="10s")
    for row in windows.to_arrow().to_pylist():
        print({name: value for name, value in row.items() if name not in ("key", "end", "ts_recv", "retracted", "dropped")})
    for late in windows.late:
        print("too late:", late.event, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "data")
