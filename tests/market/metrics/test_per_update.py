"""The metrics of a touch that no market has: nothing is divided by nothing."""

import pytest

from tapeline.events import Quote, Trade
from tapeline.market.book import Book
from tapeline.market.metrics.per_update import book_metrics
from tapeline.testing import INSTRUMENT, LAG, T0, Trial


@pytest.mark.parametrize(("touch", "mid"), [((0.0, 1.0, 0.0, 1.0), 0.0), ((1.0, 0.0, 2.0, 0.0), 1.5)])
def test_prices_and_sizes_of_nothing_give_what_can_be_known(touch, mid):
    found = book_metrics(Book(), touch, 5, INSTRUMENT, T0, T0, 0)
    assert (found.mid, found.imbalance) == (mid, None)
    assert (found.spread_bps is None, found.microprice is None) == (mid == 0, touch[1] == 0)


ABSURD = [100.0, 1e30, 0.0, 5e-324, 1e-20, 1e15, 123456789.12345678, 100.01]


def test_absurd_prices_and_sizes_switch_no_metric_off():
    """Within what decoders let through, 0 to 1e30. `Trial` raises what a metric raises."""
    trial = Trial("profile_1h", "profile_session", "large_trades_5m", "cost_100k", "volume_1m", "vwap_5m", "trade_size_5m")
    now = T0 + LAG
    for i, price in enumerate(ABSURD * 2):
        now += 10**9
        size = ABSURD[-i % len(ABSURD)]
        trial.event(Trade(INSTRUMENT, now - LAG, now, 0, price, size, "buy", str(i)))
        trial.event(Quote(INSTRUMENT, now - LAG, now, 0, 0.0, 0.0, 0.0, 0.0, None, "book"))
        found = trial.sample(now)
    assert {"profile_1h.poc", "profile_session.poc", "large_trades_5m.threshold", "volume_1m"} <= found.keys()
