"""The open interest that bars bear: what the stored tickers of the instrument said last."""

from functools import cached_property

import numpy as np
import numpy.typing as npt

from tapeline.lake import scan
from tapeline.lake.catalogue import Catalogue

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Interest:
    """Read when it is first asked; instruments without tickers cost a look at the list of files."""

    def __init__(self, catalogue: Catalogue, instrument: str) -> None:
        self._catalogue, self._instrument = catalogue, instrument

    @cached_property
    def _told(self) -> tuple[list[str], Ints, Ints, Ints, Floats]:
        """Sessions; and of each figure its session's number, its own number in it, when it came, and what it said."""
        files = scan.in_order(self._catalogue, self._catalogue.chosen("ticker", [self._instrument]))
        tables = scan.rows(files, ("session_id", "n", "ts_recv", "open_interest"), column="n", start=None, end=None)
        if not tables:
            empty = np.empty(0, np.int64)
            return [], empty, empty, empty, np.empty(0)
        names, codes = scan.texts(tables, "session_id")
        said = scan.numbers(tables, "open_interest", np.float64)
        there = ~np.isnan(said)
        return names, codes[there], scan.numbers(tables, "n")[there], scan.numbers(tables, "ts_recv")[there], said[there]

    def known_at(self, ts_recv: int) -> float | None:
        """The last that had come by then, our clock."""
        came, said = self._by_time
        at = int(came.searchsorted(ts_recv, "right")) - 1
        return None if at < 0 else float(said[at])

    @cached_property
    def _by_time(self) -> tuple[Ints, Floats]:
        _, _, _, came, said = self._told
        order = np.argsort(came, kind="stable")
        return came[order], said[order]

    def of_session(self, session: str) -> tuple[Ints, Floats]:
        """The events' numbers, ascending, and what they said."""
        names, codes, n, _, said = self._told
        if session not in names:
            return np.empty(0, np.int64), np.empty(0)
        mine = np.flatnonzero(codes == names.index(session))
        order = mine[np.argsort(n[mine])]
        return n[order], said[order]
