"""The hub's share of the loop: paid in CPU, overdrawn at most by one message, given back."""

import pytest

from tapeline.server.live import budget
from tapeline.server.live.budget import Budget


@pytest.fixture
def cpu(monkeypatch):
    used = [0]
    monkeypatch.setattr(budget, "cpu_time", lambda: used[0])

    def work(ms):
        used[0] += ms * 1_000_000
        return ms

    return work


def test_a_share_is_spent_overdrawn_and_given_back(cpu):
    share = Budget(0.25, 0.04)  # 10 ms a period
    assert share.pay(lambda: cpu(4)) == 4
    assert share.left
    share.pay(lambda: cpu(30))  # 24 ms in debt
    passed = 0
    while not share.left:
        share.renew()
        passed += 1
    assert passed == 3  # -14, -4, 6
    for _ in range(9):
        share.renew()
    share.pay(lambda: cpu(10))
    assert not share.left  # nothing is saved past one period


def test_what_is_saved_up_and_filled(cpu):
    share = Budget(0.25, 0.04, 3)
    share.pay(lambda: cpu(29))
    share.go()
    assert share.left
    share.pay(lambda: cpu(200))
    assert not share.left
    share.fill()
    share.go()
    assert share.left


def test_what_is_saved_up_is_not_spent_in_one_go(cpu):
    share = Budget(0.25, 0.04, 8)  # 80 ms saved up
    share.pay(lambda: cpu(21))
    assert not share.left
    share.go()
    assert share.left
    share.pay(lambda: cpu(21))
    share.renew()
    assert share.left  # 48 of 80
    share.pay(lambda: cpu(49))
    share.go()
    assert not share.left


def test_what_fails_is_paid_too(cpu):
    share = Budget(0.25, 0.04)
    with pytest.raises(ZeroDivisionError):
        share.pay(lambda: cpu(10) / 0)
    assert not share.left
