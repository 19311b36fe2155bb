"""What windows must say, computed the long way: all records at once, decimals, no state."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from statistics import median, variance

from tapeline.clock import MILLI, SECOND
from tapeline.events import Trade
from tapeline.market.windows.aggregates import function, parse
from tapeline.market.windows.kinds import Grid
from tapeline.market.windows.operator import GRACE, Windows
from tapeline.market.windows.results import Late, Window

X, Y = "v:X", "v:Y"
T0 = 1_790_000_000 * SECOND
LAG = 5 * MILLI
ASKED = {
    "first": "first(price)", "last": "last(price)", "low": "min(price)", "high": "max(price)", "volume": "sum(size)",
    "n": "count", "mean": "mean(price)", "var": "var(price)", "vwap": "vwap", "money": "notional", "bought": "buy_volume",
    "sold": "sell_volume", "mid": "median(price)", "p90": "p90(price)", "sides": "distinct(side)",
}  # fmt: skip


def trade(ts, price=1.0, size=1.0, side="buy", *, recv=None, name=X, flags=0, number=""):
    return Trade(name, ts, ts + LAG if recv is None else recv, flags, price, size, side, number)


def rows(times, prices, sizes):
    return {"rows": [tuple(row) for row in zip(times.tolist(), prices.tolist(), sizes.tolist(), strict=True)]}


def operator(kind, asked=ASKED, of=Trade, **more):
    made = [parse(name, text, of) for name, text in asked.items()]
    return Windows(kind, [*made, function("rows", rows, ("price", "size"), Trade)] if of is Trade else made, of=of, **more)


def run(windows, events):
    out = []
    windows.add_many(events, out)
    windows.finish(out)
    return out


def finals(out):
    """The last word on each window."""
    last = {(w.key, w.start): w for w in out if isinstance(w, Window)}
    return {name: w for name, w in last.items() if not w.retracted}


def lates(out):
    return [o for o in out if isinstance(o, Late)]


def spans(kind, times):
    """The windows (start, end) of these times, with the times in each."""
    found = defaultdict(list)
    if isinstance(kind, Grid):
        for ts in times:
            for start in covering(kind, ts):
                found[start, start + kind.size].append(ts)
        return found
    run_of = []
    for ts in sorted(times):
        if run_of and ts - run_of[-1] >= kind.gap:
            found[run_of[0], run_of[-1] + kind.gap] = run_of
            run_of = []
        run_of.append(ts)
    if run_of:
        found[run_of[0], run_of[-1] + kind.gap] = run_of
    return found


def covering(kind, ts):
    first = (ts - kind.size - kind.offset) // kind.step - 1
    starts = (kind.offset + k * kind.step for k in range(first, first + 3 + kind.size // kind.step + 1))
    return [s for s in starts if s <= ts < s + kind.size]


def values(trades):
    """Of trades in the order of arrival."""
    placed = sorted(trades, key=lambda t: t.ts_event)  # stable: ties by arrival
    prices = [Fraction(Decimal(repr(t.price))) for t in placed]
    sizes = [Fraction(Decimal(repr(t.size))) for t in placed]
    floats, n = sorted(t.price for t in placed), len(placed)
    at = Fraction(9, 10) * (n - 1)
    below, above = floats[int(at)], floats[min(int(at) + 1, n - 1)]
    money = sum((p * s for p, s in zip(prices, sizes, strict=True)), Fraction())
    bought = sum((s for s, t in zip(sizes, placed, strict=True) if t.side == "buy"), Fraction())
    sold = sum((s for s, t in zip(sizes, placed, strict=True) if t.side == "sell"), Fraction())
    return {
        "first": placed[0].price, "last": placed[-1].price, "low": floats[0], "high": floats[-1], "volume": float(sum(sizes)),
        "n": n, "mean": float(sum(prices) / n), "var": float(variance(prices)) if n > 1 else None,
        "vwap": float(money / sum(sizes)) if sum(sizes) else None, "money": float(money), "bought": float(bought), "sold": float(sold),
        "mid": median(floats), "p90": below + (above - below) * float(at - int(at)), "sides": len({t.side for t in placed}),
        "rows": [(t.ts_event, t.price, t.size) for t in placed],
    }  # fmt: skip


def expected(kind, trades, key=lambda t: t.instrument):
    """(key, start) → (end, values), of all these trades, in the order of arrival."""
    by_key = defaultdict(list)
    for t in trades:
        by_key[key(t)].append(t)
    found = {}
    for name, mine in by_key.items():
        for start, end in spans(kind, [t.ts_event for t in mine]):
            inside = [t for t in mine if (start <= t.ts_event < end)]
            found[name, start] = end, values(inside)
    return found


def accepted(kind, trades, lateness):
    """Of one key, windows of fixed size: which records each window takes when they come in this order, and which are late for which.

    The rule as it is written: until the mark is `lateness` past its end; the mark is the latest event time, or our clock less the
    smallest lag and the grace.
    """
    mark, lag, taken, refused = -1, None, defaultdict(list), []
    for t in trades:
        lag = t.ts_recv - t.ts_event if lag is None else min(lag, t.ts_recv - t.ts_event)
        mark = max(mark, t.ts_event, t.ts_recv - GRACE - lag)
        late = []
        for start in covering(kind, t.ts_event):
            if start + kind.size + lateness > mark:
                taken[start].append(t)
            else:
                late.append((start, start + kind.size))
        if late:
            refused.append((t, tuple(late)))
    return taken, refused


def close(got, want):
    """Equal; interpolated quantiles up to a last digit."""
    same = {k: v for k, v in got.items() if k not in ("p90", "mid")} == {
        k: v for k, v in want.items() if k not in ("p90", "mid")
    }
    return same and all(abs(got[k] - want[k]) <= 1e-12 * abs(want[k]) for k in ("p90", "mid"))
