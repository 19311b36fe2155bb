"""The runner, the bus and a real PostgreSQL that goes away and comes back: the feed goes on, the queue stays bounded, nothing is lost."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tapeline.clock import ReplayClock
from tapeline.config import PostgresSettings, SinkSettings
from tapeline.engine.bus import Bus
from tapeline.sinks.base import Serial
from tapeline.sinks.postgres import PostgresSink
from tapeline.sinks.postgres_link import Patience
from tapeline.sinks.runner import SinkRunner
from tests.services import postgres
from tests.services.postgres import Server
from tests.sinks.fakes import Tape
from tests.sinks.helpers import T0, batches, frames, in_order
from tests.sinks.subjects.postgres_subject import latest_bars, read
from tests.waiting import until

QUICK = SinkSettings(commit_seconds=0.01, batch_events=50)
SHORT = Patience(connect=2, statement=2.0, call=1.5, lock=5.0)
CAPACITY = 1_000


@pytest.fixture
def server() -> Iterator[Server]:
    server = postgres.own("outage")
    yield server
    server.remove()


def stun(server: Server) -> Callable[[], None]:
    return server.pause()


def crash(server: Server) -> Callable[[], None]:
    server.stop("immediate")
    return server.start


@pytest.mark.parametrize("trouble", [crash, stun])
async def test_it_goes_away_and_comes_back(server: Server, trouble: Callable[[Server], Callable[[], None]]) -> None:
    made = frames(6000)
    tape, bus = Tape(s=made), Bus()
    sink = Serial(PostgresSink(PostgresSettings(url=server.url(), schema="market"), SHORT))
    sink.open()
    runner = SinkRunner(
        sink,
        bus.subscribe("postgres", CAPACITY, "drop"),
        settings=QUICK,
        clock=ReplayClock(T0),
        synced=tape.synced,
        catch_up=tape.catch_up,
        backoff_first=0.05,
    )
    runner.start()

    *feed, last = batches(made, "s", 10)
    for batch in feed[:100]:
        bus.publish(batch)
        await asyncio.sleep(0)
    await until(lambda: runner.stats.events > 0)
    over = trouble(server)
    for batch in feed[100:]:  # none of this waits for the server
        bus.publish(batch)
    await until(lambda: "PostgreSQL at" in runner.stats.error)
    assert runner.stats.depth <= CAPACITY + QUICK.batch_events + max(len(b.events) for b in feed)
    over()
    await until(lambda: runner.stats.error == "" and runner.stats.depth == 0)
    bus.publish(last)  # what the queue had to drop comes before it, from the tape
    await until(lambda: runner.stats.error == "" and sink.position("s") == len(made) - 1)
    assert runner.stats.missed > 0
    assert runner.stats.dropped == 0
    assert await runner.close(30.0)
    assert in_order(read(server, "market")) == in_order(latest_bars([[e for events in made for e in events]]))
