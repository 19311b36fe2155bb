"""Every metric equals its batch twin on the recorded Binance sessions."""

from pathlib import Path

import pytest

from tapeline.clock import SECOND
from tapeline.engine.lines import decode_lines, open_lines
from tapeline.events import BookUpdate, Flag, Ticker, Trade
from tapeline.market.metrics import registry
from tapeline.testing import Trial
from tapeline.venues.registry import venue_class
from tests.engine.recordings import recording

EVERY = 7
"""Samples between two comparisons: a twin takes all that ever came."""
CUT = 20
"""Samples between two times that the state is put away."""
SHORT = (
    "cvd_10s", "twap_10s", "mid_twap_10s", "interarrival_10s", "vol_close_20_1s", "vol_parkinson_20_1s", "vol_garman_klass_20_1s",
    "vol_yang_zhang_20_1s", "vol_two_scale_30s_20", "kyle_lambda_1m_2s", "vpin_30s_20", "vpin_bulk_20_10_1s", "trade_size_10s",
    "large_trades_10s_3", "profile_30s_1bps", "vwap_from_20240808T000000Z",
)  # fmt: skip
"""A session of minutes never fills the windows that are usual."""


@pytest.mark.parametrize("venue", ["binance", "binance-usdm"])
def test_it_equals_its_twin(shared_frames: Path, venue: str) -> None:
    path = recording(shared_frames, venue).path
    with open_lines(path) as lines:
        events = list(decode_lines(venue_class(venue)(), lines, path.name))
    trial = Trial(*(registry.form(found) for found in registry.METRICS.values()), *SHORT)
    due, samples, compared, seen = 0, 0, 0, set[str]()
    for e in events:
        if not isinstance(e, (Trade, BookUpdate, Ticker)) or e.flags & (Flag.OFF_BOOK | Flag.BOOK_UNPROVEN):
            continue
        due = due or e.ts_recv - e.ts_recv % SECOND + SECOND
        while e.ts_recv >= due:
            found = trial.sample(due)
            samples += 1
            if samples % CUT == 0:
                trial.put_away()
            if samples % EVERY == 0:
                compared += len(found)
                wanted = trial.expected(due)
                assert found.keys() == wanted.keys(), samples
                assert found == pytest.approx(wanted, rel=1e-9, abs=1e-12), samples
            due += SECOND
        trial.event(e)
        seen |= trial.analytics.values.keys()
    assert compared > 50
    assert seen <= {f"{m.full_name}.{p}" if p else m.full_name for m in trial.analytics.metrics for p in m.parts or ("",)}
