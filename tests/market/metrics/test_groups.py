"""Groups against figures worked out by hand, against NumPy's own correlation, and against everything that the touches ever were."""

from random import Random

import numpy as np
import pytest

from tapeline.clock import MILLI, SECOND
from tapeline.errors import UsageError
from tapeline.events import Flag, Metrics, Quote
from tapeline.market.metrics.base import Figures, History
from tapeline.market.metrics.grid import Grid, correlation, lag
from tapeline.market.metrics.groups import KEEP, Group, GroupSpec, Member, parse_group
from tapeline.market.metrics.touching import Touching
from tapeline.market.metrics.venue_clock import VenueClock

T0 = 1_795_255_500 * SECOND
NAN = float("nan")


class Venue:
    """One member, and everything that its touch ever was."""

    def __init__(self, lag_ms: int = 10) -> None:
        self.lag, self.clock, self.touching = lag_ms * MILLI, VenueClock(), Touching()
        self.now = -1
        self.ever: list[tuple[int, float, float]] = []  # venue time, bid, ask

    def quote(self, at: int, bid: float | None, ask: float | None, size: float = 1.0) -> None:
        ts = T0 + at
        sizes = None if bid is None else size, None if ask is None else size
        self.touching.take(Quote("x:Y", ts, ts + self.lag, 0, bid, sizes[0], ask, sizes[1], None, "book"))
        self.ever.append((ts, NAN if bid is None else bid, NAN if ask is None else ask))

    def lose(self, at: int) -> None:
        self.touching.broken("book", T0 + at)
        self.ever.append((T0 + at - self.lag, NAN, NAN))

    def member(self, at: int) -> Member:
        self.touching.learn(self.clock, by_book=True)
        self.touching.settle(self.clock, T0 + at, by_book=True)
        self.now = self.clock.at(T0 + at)
        self.touching.touches.forget(self.now - KEEP)
        return Member(self.now, self.touching.latest, self.touching.touches, 0)

    def history(self) -> History:
        ts, bid, ask = (np.array(x) for x in zip(*self.ever, strict=True))
        empty, none = np.empty(0), np.empty(0, np.int64)
        one = np.where(np.isnan(bid), np.nan, 1.0), np.where(np.isnan(ask), np.nan, 1.0)
        ts = np.maximum.accumulate(ts.astype(np.int64))
        return History(
            self.now, 0, none, empty, empty, empty, none, ts, bid, one[0], ask, one[1], None, None, Figures(), [], none
        )  # fmt: skip


def group(members: int) -> Group:
    return Group(GroupSpec("btc", tuple(f"v{n}:X" for n in range(members))))


def sampled(made: Group, at: int, *venues: Venue | None, flags: int = 0) -> Metrics | None:
    return made.sample(T0 + at, [None if v is None else v.member(at) for v in venues], flags)


def values(found: Metrics | None) -> dict[str, float]:
    assert found is not None
    assert found.values is not None
    return found.values


def test_the_best_of_all_by_hand() -> None:
    made, venues = group(3), (Venue(), Venue(50), Venue())
    for venue, bid, ask, size in zip(venues, (100.0, 101.0, 101.0), (103.0, 102.0, 104.0), (1.0, 2.0, 4.0), strict=True):
        venue.quote(0, bid, ask, size)
    found = sampled(made, SECOND, *venues)
    assert values(found) == pytest.approx(
        {
            "members": 3, "bid": 101.0, "bid_size": 6.0, "bid_member": 2, "ask": 102.0, "ask_size": 2.0, "ask_member": 2,
            "arbitrage_bps": -10_000 / 101.5, "basis.2": 0.0, "basis.3": 10_000 / 101.5,
        }
    )  # fmt: skip
    assert found is not None
    assert (found.instrument, found.mid, found.spread, found.ts_event) == ("group:btc", 101.5, 1.0, T0 + SECOND - 50 * MILLI)
    assert (found.ts_recv, found.flags, found.incomplete) == (T0 + SECOND, 0, None)


def test_a_member_is_out_while_its_touch_is_not_known_and_comes_back() -> None:
    made, a, b = group(2), Venue(), Venue()
    a.quote(0, 100.0, 101.0)
    b.quote(0, 102.0, 103.0)
    crossed = values(sampled(made, SECOND, a, b))
    assert (crossed["members"], crossed["bid_member"], crossed["ask_member"]) == (2, 2, 1)
    assert crossed["arbitrage_bps"] == pytest.approx(10_000 / 101.5)
    b.lose(1500 * MILLI)
    out = values(sampled(made, 2 * SECOND, a, b))
    assert out == {"members": 1, "bid": 100, "bid_size": 1, "bid_member": 1, "ask": 101, "ask_size": 1, "ask_member": 1} | {
        "arbitrage_bps": -10_000 / 100.5
    }
    assert sampled(made, 3 * SECOND, a, b) is None, "nothing new"
    b.quote(4 * SECOND, 100.5, 101.5)
    back = values(sampled(made, 5 * SECOND, a, b))
    assert (back["members"], back["bid_member"], back["ask_member"]) == (2, 2, 1)
    a.lose(5 * SECOND)
    b.lose(5 * SECOND)
    nobody = sampled(made, 6 * SECOND, a, b)
    assert values(nobody) == {"members": 0}
    assert nobody is not None
    assert nobody.mid is None


def test_a_side_that_is_empty_is_told_by_the_others() -> None:
    made, a, b = group(2), Venue(), Venue()
    a.quote(0, None, 101.0)
    b.quote(0, 99.0, None)
    found = values(sampled(made, SECOND, a, b))
    assert (found["bid_member"], found["ask_member"], found["members"]) == (2, 1, 2)
    assert "basis.2" not in found


def test_nothing_new_is_not_told_and_nobody_is_nothing() -> None:
    made, a = group(2), Venue()
    assert sampled(made, 0, None, None) is None
    a.quote(0, 100.0, 101.0)
    assert sampled(made, SECOND, a, None, flags=int(Flag.SIMULATED)).flags == Flag.SIMULATED  # type: ignore[union-attr]
    assert sampled(made, 2 * SECOND, a, None) is None


@pytest.mark.parametrize("behind", [-400, 0, 300])
def test_who_leads_is_found(behind: int) -> None:
    """One walks at random, the other one does the same `behind` ms later; ten minutes at five changes a second."""
    dice, made, a, b = Random(behind), group(2), Venue(), Venue(80)
    steps, mid = [], 1000.0
    for n in range(3000):
        mid += dice.choice((-0.1, 0.1))
        steps.append((n * 200 * MILLI + dice.randint(0, 99) * MILLI, mid))
    told = sorted([(at, 0, m) for at, m in steps] + [(at + behind * MILLI, 1, m + 5) for at, m in steps])
    found: dict[str, float] = {}
    due, incomplete = SECOND, set()
    for at, who, m in told:
        while at > due + SECOND:  # everything of that second has come
            made_now = sampled(made, due, a, b)
            found = values(made_now) if made_now is not None else found
            incomplete.add(made_now.incomplete if made_now is not None else None)
            due += SECOND
        (a, b)[who].quote(at, m - 0.5, m + 0.5)
    assert found["lag.2"] == behind
    assert found["lag_correlation.2"] > 0.9
    assert found["basis.2"] == pytest.approx(10_000 * 5 / 1000, rel=0.1)
    assert "correlation.2,lag.2,lag_correlation.2" in incomplete
    assert None in incomplete, "after five minutes it is whole"


@pytest.mark.parametrize("seed", range(3))
def test_it_equals_its_twin(seed: int) -> None:
    """Venues with lags and clocks of their own, that come late, break, and are silent for minutes."""
    dice, made, venues = Random(seed), group(3), [Venue(10), Venue(300), Venue(-200)]
    mid, compared = 500.0, 0
    for second in range(500):
        for venue in venues:
            for _ in range(0 if 200 < second < 260 else dice.choice((0, 1, 3))):
                mid += dice.choice((-0.5, 0.0, 0.5))
                at = second * SECOND + dice.randint(0, 999) * MILLI - dice.choice((0, 0, 700)) * MILLI - venue.lag
                venue.quote(at, mid - 0.5, mid + 0.5)
            if dice.random() < 0.01:
                venue.lose((second + 1) * SECOND)
        found = sampled(made, (second + 1) * SECOND, *venues)
        if found is not None and second % 10 == 0:
            wanted = made.batch([v.history() if v.ever else None for v in venues])
            assert values(found) == pytest.approx(wanted, rel=1e-9), second
            compared += 1
    assert compared > 20


def test_correlation_is_that_of_numpy() -> None:
    dice = np.random.default_rng(1)
    grid = Grid(2)
    last = T0 + 700 * MILLI
    both = dice.normal(size=(3, 3001)).cumsum(axis=1)
    r, s = both[0] + both[2], both[1] + both[2]
    seconds = [n for n in range(3001) if (last - (3000 - n) * 100 * MILLI) % SECOND == 0]
    wanted = np.corrcoef(np.diff(r[seconds]), np.diff(s[seconds]))[0, 1]
    assert correlation(r, s, last) == pytest.approx(wanted)
    s[:2500] = np.nan
    assert correlation(r, s, last) is None, "fewer than a minute of both"
    assert grid.values.shape == (2, 3001)


def test_chance_is_no_lag() -> None:
    dice = np.random.default_rng(2)
    r, s = (dice.normal(size=3001).cumsum() for _ in range(2))
    assert lag(r, np.full(3001, 1.0)) is None
    found = lag(r, s)
    assert found is None or abs(found[1]) < 0.07, "three standard errors are passed once in some twenty pairs of 21 shifts"
    assert lag(r, r) == (0.0, pytest.approx(1.0))
    assert lag(r, -np.append(r[:4] * 0 + r[0], r[:-4])) == (400.0, pytest.approx(-1.0, abs=0.02))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("binance:BTC-USDT coinbase:BTC-USD", "'BTC-USDT' is no instrument"),
        ("BTC: a:X b:Y", "begins with its name"),
        (": a:X b:Y", "begins with its name"),
        ("btc: a:X", "2 to 16 members, this one 1"),
        ("btc: a:X a:X", "twice"),
        ("btc:", "this one 0"),
        ("btc: " + " ".join(f"v{n}:X" for n in range(17)), "this one 17"),
    ],
)
def test_a_wrong_group_gets_the_place_and_the_fix(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"btc: binance|member") as e:
        parse_group(text)
    assert said in str(e.value)


def test_a_right_group() -> None:
    assert parse_group(" btc:  binance:BTC-USDT coinbase:BTC-USD") == GroupSpec("btc", ("binance:BTC-USDT", "coinbase:BTC-USD"))
