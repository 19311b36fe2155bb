"""How numbers look in a terminal: fixed widths, units, and signs that do not need colour. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

BLOCKS = "▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉█"


def spark(values: Sequence[float], width: int) -> str:
    """The last `width` values as blocks, from the lowest to the highest of them; all the same: the middle."""
    shown = list(values)[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    if high == low:
        return BLOCKS[3] * len(shown)
    return "".join(BLOCKS[round((v - low) / (high - low) * (len(BLOCKS) - 1))] for v in shown)


def bar(share: float, width: int) -> str:
    """A bar of `share` (0 to 1) of `width` cells, in eighths of a cell, padded to the width."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return (EIGHTHS[8] * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def price(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:,.{decimals}f}"


def size(value: float | None, decimals: int) -> str:
    """Small sizes in full, large ones short: 1234567 is 1.23M."""
    if value is None:
        return "–"
    for unit, least in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= least:
            return f"{value / (1e3 if unit == 'k' else least):.2f}{unit}"
    return f"{value:.{min(decimals, 8)}f}"


def age(seconds: float) -> str:
    if seconds < 0.95:
        return f"{max(seconds, 0.0) * 1000:.0f}ms"
    if seconds < 99.5:
        return f"{seconds:.0f}s"
    return f"{seconds / 60:.0f}m" if seconds < 5970 else f"{seconds / 3600:.0f}h"


def count(value: float) -> str:
    return f"{value:,.0f}"


def clock(us: int, *, millis: bool = False) -> str:
    """UTC."""
    at = datetime.fromtimestamp(us / 1e6, UTC)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}" if millis else f"{at:%H:%M:%S}"


def change(values: Sequence[float], last: float | None) -> float | None:
    """Percent since the first of the values; None where it is not known."""
    return None if last is None or not values or not values[0] else 100 * (last - values[0]) / values[0]
