"""What is said of quotes that are polled: where it begins, what fails, where it ends; and nothing when an answer is late."""

import json
from typing import Any

from tapeline.events import Event, Status, Ticker
from tapeline.frames import Frame
from tests.engine.feeds import SECOND, T0, answer, closed, play
from tests.engine.feeds import opened as _opened

VENUE = "finnhub"
QUOTE = {"c": 261.74, "d": 2.29, "dp": 0.8826, "h": 263.31, "l": 260.68, "o": 261.07, "pc": 259.45, "t": T0 // SECOND}


def polled(seconds: float, native: str = "AAPL", **more: Any) -> Frame:
    url = f"http://venue/api/v1/quote?symbol={native}"
    return answer(at(seconds), json.dumps(QUOTE).encode(), venue=VENUE, purpose="poll", native=native, url=url, **more)


def opened(seconds: float, *natives: str, conn: int = 1) -> Frame:
    return _opened(at(seconds), conn, VENUE, [f"trade:{n}" for n in natives])


def at(seconds: float) -> int:
    return T0 + round(seconds * SECOND)


def said(events: list[Event]) -> list[str]:
    return [e.kind for e in events if isinstance(e, Status) and e.channel == "ticker"]


def test_it_begins_with_an_answer_and_ends_where_a_connection_opens() -> None:
    events = play([polled(0), polled(1), opened(2, "AAPL"), closed(at(3)), polled(4), opened(5, "AAPL", conn=2)])
    assert said(events) == ["connected", "recovered", "connected", "recovered"]
    assert len([e for e in events if isinstance(e, Ticker)]) == 3


def test_an_answer_that_comes_when_the_connection_is_open_is_a_quote_and_no_new_beginning() -> None:
    """Its question was asked before; nobody would ever say that polling ended again."""
    events = play([polled(0), opened(1, "AAPL", "MSFT"), polled(1.1), polled(1.2, "MSFT", status=403)])
    assert said(events) == ["connected", "recovered"]
    assert [e.ts_recv for e in events if isinstance(e, Ticker)] == [at(0), at(1.1)]


def test_what_no_open_connection_carries_is_polled_beside_one_that_carries_others() -> None:
    events = play([opened(0, "AAPL"), polled(1, "MSFT"), opened(2, "MSFT", conn=2)])
    assert said(events) == ["connected", "recovered"]


def test_a_failing_question_is_said_once_until_it_fails_otherwise_or_one_is_answered() -> None:
    events = play([polled(0, status=403), polled(1, status=403), polled(2, status=500), polled(3), polled(4, status=500)])
    assert said(events) == ["connected", "rejected", "rejected", "rejected"]
