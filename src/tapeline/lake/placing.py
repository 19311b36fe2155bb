"""Where a trade stands in time whose venue time cannot be true, as `market/bars.py` decides it while it comes (`Bars._place`)."""

import numpy as np
import numpy.typing as npt

from tapeline.market.bars import BAD_TIME, JUMP

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.int32]
BLOCK = 1 << 16  # trades looked at together, in the processor's cache


def strange(ts: Ints, recv: Ints, flags: Flags) -> bool:
    """Whether any of these trades may have to be placed anew."""
    if not len(ts):
        return False
    if flags.any() and (flags & BAD_TIME).any():
        return True
    return any(int((ts[i : i + BLOCK] - recv[i : i + BLOCK]).max()) > JUMP for i in range(0, len(ts), BLOCK))


def placed(ts: Ints, recv: Ints, flags: Flags, sessions: list[str], codes: Ints, n: Ints) -> Ints:
    """The times that bars go by, of all trades of the sessions. `codes`: of each trade, the number of its session."""
    found = ts.copy()
    for code in range(len(sessions)):
        mine = np.flatnonzero(codes == code)
        mine = mine[np.argsort(n[mine], kind="stable")]
        _place(found, mine, ts, recv, flags)
    return found


def _place(found: Ints, mine: Ints, ts: Ints, recv: Ints, flags: Flags) -> None:
    lag: int | None = None
    for at, event, received, flag in zip(
        mine.tolist(), ts[mine].tolist(), recv[mine].tolist(), flags[mine].tolist(), strict=True
    ):
        behind = received - event
        if flag & BAD_TIME or (lag is not None and behind < min(lag, 0) - JUMP):
            found[at] = received - (lag or 0)
        elif lag is None or behind < lag:
            lag = behind
