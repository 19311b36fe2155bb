"""The recorded spot and futures sessions, of the same six minutes, as one group, against two plain books and NumPy."""

from bisect import bisect_left
from heapq import merge
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from tapeline.clock import SECOND
from tapeline.config import PipelineSettings
from tapeline.engine.lines import frames, open_lines
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event, Metrics
from tapeline.frames import Frame
from tapeline.venues.registry import venue_class
from tests.engine.recordings import FILES, INSTRUMENTS, recording, touches

STEP = SECOND // 10
Touches = list[tuple[int, int, float, float, float, float]]  # our time, the venue's, and the touch


def read(shared: Path, venue: str, number: int) -> list[Frame]:
    with open_lines(shared / "recorded" / FILES[venue]) as lines:
        return [Frame(f.ts_recv, f.kind, number, f.data) for f in frames(venue_class(venue)(), lines, venue)]


def plain(shared: Path, venue: str) -> Touches:
    told, kept = touches(shared, venue), recording(shared, venue)
    lines = ((int(kept.lines[i].partition(b" ")[0]), kept.messages[i]) for i in kept.diffs)
    return [(ts, m["E"] * 1_000_000, *told[m["u"]]) for ts, m in lines if m["u"] in told]


def test_best_of_both_basis_and_who_leads(shared_frames: Path) -> None:
    both = [read(shared_frames, venue, number) for number, venue in enumerate(FILES, 1)]
    pipeline, out = Pipeline(PipelineSettings(metrics=(), groups=("btc: " + " ".join(INSTRUMENTS.values()),))), list[Event]()
    made: list[Metrics] = []
    for frame in merge(*both, key=attrgetter("ts_recv")):
        pipeline.feed(frame, out)
        made += [e for e in out if isinstance(e, Metrics) and e.instrument == "group:btc"]
        out.clear()
    books = [plain(shared_frames, venue) for venue in FILES]
    times = [[t[0] for t in book] for book in books]
    begun = max(t[0] for t in times) + 10 * SECOND  # both are joined to their snapshots by then
    compared = 0
    for sample in made:
        if sample.ts_recv < begun:
            continue
        spot, futures = (book[bisect_left(ts, sample.ts_recv) - 1][2:] for book, ts in zip(books, times, strict=True))
        values, compared = sample.values or {}, compared + 1
        assert (values["members"], values["bid"], values["ask"]) == (2, max(spot[0], futures[0]), min(spot[2], futures[2]))
        assert (values["bid_member"], values["ask_member"]) == (1 + (futures[0] > spot[0]), 1 + (futures[2] < spot[2]))
        mids = [(t[0] + t[2]) / 2 for t in (spot, futures)]
        assert values["basis.2"] == pytest.approx(10_000 * (mids[1] / mids[0] - 1), abs=1e-7)
    assert compared > 300
    last = made[-1].values or {}
    returns = [np.diff(on_grid(book, made[-1].ts_event - made[-1].ts_event % STEP, made[-1].ts_recv)) for book in books]
    scale = np.sqrt((returns[0] ** 2).sum() * (returns[1] ** 2).sum())
    shifted = {k: (returns[0][10:-10] * returns[1][10 + k : 2990 + k]).sum() / scale for k in range(-10, 11)}
    best = max(shifted, key=lambda k: abs(shifted[k]))
    assert last["lag.2"] == best * 100 == -100, "the futures move first, by one update of the books"
    assert last["lag_correlation.2"] == pytest.approx(shifted[best], rel=0.05), "which leaves out a second at each end"


def on_grid(book: Touches, last: int, ts_recv: int) -> np.ndarray:
    known = [t for t in book if t[0] < ts_recv]
    ts = np.maximum.accumulate(np.array([t[1] for t in known]))
    points = last - STEP * np.arange(3000, -1, -1)
    mids = np.array([(t[2] + t[4]) / 2 for t in known])
    return np.log(mids[np.searchsorted(ts, points, side="right") - 1])
