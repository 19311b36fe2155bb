"""What each venue costs, shared out by its frames."""

import time

from tapeline.clock import cpu_time
from tapeline.engine.loads import Loads
from tapeline.frames import Frame, FrameKind, HttpAnswer, pack_answer

VENUES = {1: "binance", 2: "kraken", 3: "kraken"}


def frames(*conns: int) -> list[Frame]:
    return [Frame(0, FrameKind.RECV if conn else FrameKind.TICK, conn, b"") for conn in conns]


def busy(seconds: float, events: int) -> int:
    """Use the processor for so long."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return events


def test_what_it_costs_is_counted_where_it_belongs() -> None:
    loads = Loads(lambda conn: VENUES.get(conn, ""))
    before = cpu_time()
    loads.measure(frames(1), lambda: busy(0.02, 7))
    loads.measure(frames(2), lambda: busy(0.0, 1))
    loads.measure(frames(1, 2, 3, 0), lambda: busy(0.04, 8))
    spent = cpu_time() - before
    of = loads.of
    assert {name: (load.frames, load.events) for name, load in of.items()} == {
        "binance": (2, 9), "kraken": (3, 5), "": (1, 2),
    }  # fmt: skip
    assert of["binance"].cpu >= 30_000_000
    assert of["kraken"].cpu >= 20_000_000
    assert sum(load.cpu for load in of.values()) <= spent


def test_an_answer_is_its_venues() -> None:
    loads = Loads(lambda conn: "")
    answer = HttpAnswer(venue="okx", purpose="instruments", url="http://x", status=200)
    loads.measure([Frame(0, FrameKind.HTTP, 0, pack_answer(answer, b"{}"))], lambda: 0)
    assert list(loads.of) == ["okx"]
