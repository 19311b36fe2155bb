"""Missing trades: asked for once, page by page, given out once; given up only after several tries, and then said so."""

from tapeline.clock import SECOND
from tapeline.events import Trade
from tapeline.market.bars import Hole
from tapeline.market.quality import IdTracker
from tapeline.market.repair import MOST_TRIES, Missing, Repair
from tapeline.venues.base import Request

NOW = 1_795_255_500 * SECOND


def trade(number: int | str, ts: int = NOW) -> Trade:
    return Trade("x:A-B", ts, ts, 0, 1.0, 1.0, "buy", str(number))


class Asking:
    """A venue that answers nothing by itself: `asked` holds what was asked for."""

    def __init__(self, offers: bool = True) -> None:
        self.asked: list[tuple[int | None, int | None, int, int]] = []
        self.requests: list[Request] = []
        self.offers = offers
        self.repair = Repair(self.ask, self.requests)

    def ask(self, first: int | None, last: int | None, attempt: int, not_before: int) -> Request | None:
        if not self.offers:
            return None
        self.asked.append((first, last, attempt, not_before))
        return Request(venue="x", purpose="trades", url=f"{first}-{last}", weight=1, attempt=attempt, not_before=not_before)

    def outcomes(self) -> list[tuple[int, str]]:
        return [(o.missing.found, o.left) for o in self.repair.outcomes]


def holed(*numbers: int) -> IdTracker:
    ids = IdTracker()
    for n in numbers:
        ids.see(n)
    return ids


def test_a_hole_is_filled_page_by_page_and_every_trade_comes_once() -> None:
    a, ids = Asking(), holed(1, 2, 9)
    assert a.repair.want(Missing(3, 8, Hole(0)), NOW)
    assert [r.url for r in a.requests] == ["3-8"]
    first = a.repair.numbered([trade(n) for n in (2, 3, 4, 5)], ids, NOW)
    assert [t.id for t in first] == ["3", "4", "5"]
    assert a.requests[-1].url == "6-8"
    assert a.repair.outcomes == []
    second = a.repair.numbered([trade(n) for n in (5, 6, 7, 8, 9, 10)], ids, NOW)
    assert [t.id for t in second] == ["6", "7", "8"]
    assert a.outcomes() == [(6, "")]
    assert ids.holes == []
    assert len(a.requests) == 2


def test_what_cannot_be_had_is_tried_again_later_and_later_and_then_given_up() -> None:
    a, ids = Asking(), holed(1, 5)
    a.repair.want(Missing(2, 4, Hole(0)), NOW)
    for n in range(MOST_TRIES):
        if n % 2:
            a.repair.refused("HTTP 503", NOW)
        else:
            assert a.repair.numbered([trade(9)], ids, NOW) == []
    assert a.outcomes() == [(0, "ids 2 to 4")]
    waits = [r.not_before - NOW for r in a.requests]
    assert waits == [0, SECOND, 2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert len(a.repair.wanted) == 0


def test_an_end_that_is_not_known_is_where_the_answer_ends() -> None:
    a, ids = Asking(), holed(1, 2)
    a.repair.want(Missing(3, None, Hole(0)), NOW)
    news = a.repair.numbered([trade(3), trade(4)], ids, NOW)
    assert [t.id for t in news] == ["3", "4"]
    assert ids.last == 4
    assert a.outcomes() == [(2, "")]


def test_a_venue_that_offers_nothing_is_not_waited_for() -> None:
    a = Asking(offers=False)
    assert not a.repair.want(Missing(3, 4, Hole(0)), NOW)
    assert a.requests == []


def test_one_question_at_a_time() -> None:
    a, ids = Asking(), holed(1, 3, 5)
    a.repair.want(Missing(2, 2, Hole(0)), NOW)
    a.repair.want(Missing(4, 4, Hole(0)), NOW)
    assert [r.url for r in a.requests] == ["2-2"]
    a.repair.numbered([trade(2)], ids, NOW)
    assert [r.url for r in a.requests] == ["2-2", "4-4"]


def test_names_that_are_only_unique_count_from_the_last_one_known() -> None:
    a = Asking()
    known = {"a": NOW - 3, "b": NOW - 2, "live": NOW + 9}
    a.repair.want(Missing(None, None, Hole(0)), NOW)
    answer = [trade("old", NOW - 9), trade("b", NOW - 2), trade("c", NOW - 2), trade("d", NOW + 1), trade("live", NOW + 9)]
    assert [t.id for t in a.repair.named(answer, known, NOW - 2, NOW)] == ["c", "d"]
    assert a.outcomes() == [(2, "")]


def test_an_answer_that_does_not_reach_back_leaves_a_hole() -> None:
    a = Asking()
    a.repair.want(Missing(None, None, Hole(0)), NOW)
    news = a.repair.named([trade("c", NOW + 5), trade("d", NOW + 6)], {"a": NOW}, NOW, NOW)
    assert [t.id for t in news] == ["c", "d"]
    ((found, left),) = a.outcomes()
    assert found == 2
    assert "do not reach back" in left


def test_the_last_missing_trade_may_come_by_itself() -> None:
    a, ids = Asking(), holed(1, 3)
    a.repair.want(Missing(2, 2, Hole(0)), NOW)
    ids.see(2)
    a.repair.check(ids, NOW)
    assert a.outcomes() == [(0, "")]
