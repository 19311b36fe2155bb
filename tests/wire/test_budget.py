import random

from tapeline.clock import SECOND
from tapeline.wire.budget import MINUTE, ConnectBudget, MessageRate, WeightBudget, Window


def most_in_any(times: list[float], seconds: float) -> int:
    """Brute force: the most of `times` in any half-open window that begins at one of them."""
    return max(sum(t <= u < t + seconds - 1e-9 for u in times) for t in times)


def test_a_window_is_never_overfull_and_never_slower_than_it_must_be() -> None:
    rng = random.Random(3)
    window, now, used = Window(5, 1.0), 0.0, []
    for _ in range(500):
        now += rng.choice([0.0, 0.0, 0.05, 0.3])
        used.append(round(now + window.reserve(now), 9))
    assert used == sorted(used), "reservations are served in order"
    assert most_in_any(used, 1.0) == 5


def test_reservations_made_at_once_are_spread() -> None:
    window = Window(2, 10.0)
    assert [window.reserve(0.0) for _ in range(5)] == [0, 0, 10, 10, 20]
    assert window.waited == 3
    assert window.wait(0.0) == 20
    assert window.wait(40.0) == 0


def test_connects_keep_a_margin() -> None:
    budget = ConnectBudget(300)
    assert (budget.limit, budget.seconds) == (270, 300.0)
    assert ConnectBudget(1).limit == 1


def test_the_last_place_of_a_second_is_a_pongs() -> None:
    rate = MessageRate(5)
    for _ in range(4):
        assert rate.allows_message(0.0) == 0
        rate.reserve(0.0)
    assert rate.allows_message(0.0) == 1.05
    assert rate.wait(0.0) == 0
    rate.reserve(0.0)
    assert rate.wait(0.5) == 0.55
    assert rate.allows_message(1.06) == 0


def test_rates_under_two_a_second_have_no_place_to_keep() -> None:
    slow = MessageRate(0.5)
    assert slow.allows_message(0.0) == 0
    slow.reserve(0.0)
    assert slow.allows_message(0.0) == 2.1
    one = MessageRate(1)
    assert one.allows_message(0.0) == 0


def test_weight_is_spent_by_the_minute() -> None:
    budget, now = WeightBudget(1000), 100 * MINUTE + 20 * SECOND
    assert budget.limit == 900
    for _ in range(3):
        assert budget.wait(250, now) == 0
        budget.take(250)
    assert budget.wait(150, now) == 0
    assert budget.wait(151, now) == 40 * SECOND
    for _ in range(3):
        budget.answered(250, None, now)
    assert (budget.used, budget.in_flight) == (750, 0)
    assert budget.wait(151, now + 40 * SECOND) == 0, "a new minute"


def test_the_venues_own_count_is_believed_and_what_is_under_way_added() -> None:
    budget, now = WeightBudget(1000), 100 * MINUTE
    budget.take(20)
    budget.take(20)
    budget.answered(20, 860, now)  # another program spends from the same address
    assert budget.wait(20, now) == 0
    assert budget.wait(21, now) == MINUTE
    budget.answered(20, 5, now)  # the venue's minute turned before ours
    assert budget.wait(850, now) == 0


def test_a_request_heavier_than_the_budget_gets_a_minute_of_its_own() -> None:
    budget, now = WeightBudget(100), 7 * MINUTE
    assert budget.wait(250, now) == 0
    budget.take(250)
    budget.answered(250, None, now)
    assert budget.wait(1, now) == MINUTE
    assert budget.wait(250, now + MINUTE) == 0


def test_a_block_holds_everything() -> None:
    budget, now = WeightBudget(1000), 7 * MINUTE
    budget.block(90.0, now)
    budget.block(10.0, now)
    assert budget.wait(1, now) == 90 * SECOND
    assert budget.wait(1, now + 90 * SECOND) == 0
