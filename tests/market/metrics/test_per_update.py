"""Metrics in a world that no market is: nothing to divide by, absurd prices, and a neighbour that spoils what all look at."""

import pytest

from tapeline.events import Quote, Trade
from tapeline.market.book import Book
from tapeline.market.metrics.base import Metric, Sample
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


class Spoiler(Metric):
    """What a user's metric may try by mistake: to sort the prices in their place."""

    name = "spoiler"

    def sample(self, s: Sample) -> float | None:
        s.trades.price.sort()
        return 1.0


def test_a_metric_cannot_change_what_the_others_look_at():
    trial = Trial("vwap_5m", "trade_size_5m")
    trial.analytics.add([Spoiler("spoiler")])
    for i, price in enumerate((3.0, 1.0)):
        trial.event(Trade(INSTRUMENT, T0 + i, T0 + LAG + i, 0, price, 1.0 + i, "buy", str(i)))
    with pytest.raises(AssertionError, match="spoiler raised ValueError"):
        trial.sample(T0 + 10**9)
    assert trial.analytics.values["vwap_5m"] == pytest.approx(5 / 3)


def test_trades_that_came_too_late_for_what_is_kept_switch_no_profile_off():
    """They are new, in no window, and bring a finer price all the same: nothing to count is counted."""
    trial = Trial("profile_1h", "profile_session")
    for i, late in enumerate((0, 0, 86_400 * 10**9, 0)):
        now = T0 + LAG + i * 10**9
        trial.event(Trade(INSTRUMENT, now - LAG - late, now, 0, 100.001 if late else 100.0, 1.0, "buy", str(i)))
        found = trial.sample(now)
    assert {"profile_1h.poc", "profile_session.poc"} <= found.keys()
