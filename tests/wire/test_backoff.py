import random

import pytest

from tapeline.clock import SECOND, parse_iso
from tapeline.wire.backoff import Backoff, floor_of, parse_retry_after


class Top(random.Random):
    """Always the most that was asked for."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_it_doubles_up_to_the_most() -> None:
    backoff = Backoff(1.0, 30.0, 60.0, Top())
    assert [backoff.delay() for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_is_full() -> None:
    delays = [Backoff(8.0, 30.0, 60.0, random.Random(seed)).delay() for seed in range(200)]
    assert min(delays) < 0.5
    assert max(delays) > 7.5
    assert all(0 <= d <= 8 for d in delays)


def test_only_a_stable_connection_resets_it() -> None:
    backoff = Backoff(1.0, 30.0, 60.0, Top())
    backoff.delay()
    backoff.delay()
    backoff.held(59.9)
    assert backoff.delay() == 4
    backoff.held(60.0)
    assert backoff.delay() == 1


def test_a_million_failures_do_not_overflow() -> None:
    backoff = Backoff(1.0, 30.0, 60.0, Top())
    backoff.failures = 1_000_000
    assert backoff.delay() == 30


@pytest.mark.parametrize(
    ("status", "retry_after", "least"),
    [
        (0, None, 0),
        (503, 5.0, 5),
        (429, None, 30),
        (418, None, 120),
        (418, 600.0, 600),
        (429, 0.0, 0),
        (429, 1e9, 3 * 86400),
        (451, None, 0),
    ],
)
def test_what_an_answer_demands_is_the_least(status: int, retry_after: float | None, least: float) -> None:
    assert floor_of(status, retry_after, 30.0) == least
    assert Backoff(1.0, 30.0, 60.0, Top()).delay(status, retry_after) == max(1.0, least)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0.5", 0.5),
        (None, None),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("inf", None),
        ("Fri, 20 Nov 2026 09:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 08:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    now = parse_iso("2026-11-20T09:00:00Z")
    assert now % SECOND == 0
    assert parse_retry_after(text, now) == seconds
