"""The bus: bounded queues, and a marker at the very place where something is missing."""

import asyncio
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapeline.engine.bus import Batch, Bus, Missed, Subscription
from tapeline.events import Status


def batch(seq: int, events: int) -> Batch:
    made = [Status("", seq, n, 0, "late", "", "", "", None, None, None) for n in range(events)]
    return Batch("s", seq, seq, made)


async def taken(subscription: Subscription) -> list[Batch | Missed]:
    subscription.close()
    return [item async for item in subscription]


def spans(items: list[Batch | Missed]) -> list[tuple[str, int, int]]:
    return [(type(i).__name__, i.first_seq, i.seq) for i in items]


async def test_what_is_published_arrives_in_order_everywhere() -> None:
    bus, tapped = Bus(), []
    bus.tap(tapped.append)
    one, two = bus.subscribe("one"), bus.subscribe("two", policy="conflate")
    batches = [batch(n, 2) for n in range(5)]
    for b in batches:
        bus.publish(b)
    assert await taken(one) == await taken(two) == tapped == batches
    assert bus.published == one.delivered == 10
    assert one.depth == one.dropped == 0


async def test_drop_leaves_the_newest_out_and_marks_the_place() -> None:
    s = Subscription("x", 4, "drop")
    for n in range(5):
        s.put(batch(n, 2))
    assert (s.depth, s.dropped) == (4, 6)
    assert spans([await anext(s), await anext(s)]) == [("Batch", 0, 0), ("Batch", 1, 1)]
    s.put(batch(5, 1))
    assert spans(await taken(s)) == [("Missed", 2, 4), ("Batch", 5, 5)]


async def test_a_batch_larger_than_the_queue_does_not_overtake_the_marker() -> None:
    """An empty queue takes any batch; what was missed before it must still be told before it, or a sink would skip it."""
    s = Subscription("x", 4, "drop")
    s.put(batch(0, 4))
    s.put(batch(1, 1))
    await anext(s)
    s.put(batch(2, 9))
    assert spans(await taken(s)) == [("Missed", 1, 1), ("Batch", 2, 2)]


async def test_conflate_keeps_the_newest() -> None:
    s = Subscription("x", 4, "conflate")
    for n in range(5):
        s.put(batch(n, 2))
    assert (s.depth, s.dropped) == (4, 6)
    missed, *rest = await taken(s)
    assert (missed.first_seq, missed.seq, missed.events) == (0, 2, 6)
    assert spans(rest) == [("Batch", 3, 3), ("Batch", 4, 4)]


async def test_a_quiet_feed_does_not_fill_the_queue_of_one_who_never_looks() -> None:
    """Batches without events still move the position, but a million of them are one."""
    s = Subscription("x", 10, "drop")
    s.put(batch(0, 1))
    for n in range(1, 100_000):
        s.put(batch(n, 0))
    assert spans(await taken(s)) == [("Batch", 0, 99_999)]
    assert s.delivered == 1


async def test_nothing_is_not_missed() -> None:
    """A sink would catch up from the tape at the marker, for a batch without events."""
    s = Subscription("x", 1, "drop")
    s.put(batch(0, 3))
    s.put(batch(1, 0))
    assert spans(await taken(s)) == [("Batch", 0, 1)]


async def test_what_is_missed_at_the_end_is_told() -> None:
    s = Subscription("x", 1, "drop")
    s.put(batch(0, 1))
    s.put(batch(1, 3))
    assert spans(await taken(s)) == [("Batch", 0, 0), ("Missed", 1, 1)]


async def test_a_waiting_reader_is_woken_by_a_batch_and_by_the_end() -> None:
    bus = Bus()
    s = bus.subscribe("x")
    reader = asyncio.create_task(taken_later(s))
    await asyncio.sleep(0)
    bus.publish(batch(0, 1))
    await asyncio.sleep(0)
    bus.close()
    assert spans(await reader) == [("Batch", 0, 0)]
    assert [item async for item in bus.subscribe("late")] == []


async def taken_later(s: Subscription) -> list[Batch | Missed]:
    return [item async for item in s]


async def test_unsubscribed_is_out() -> None:
    bus = Bus()
    s = bus.subscribe("x")
    bus.unsubscribe(s)
    bus.unsubscribe(s)
    bus.publish(batch(0, 1))
    assert bus.subscriptions == [] and [item async for item in s] == []


@pytest.mark.parametrize("policy", ["drop", "conflate"])
@settings(max_examples=200)
@given(st.lists(st.integers(0, 8) | st.none(), max_size=60), st.integers(1, 10))
@example([0, 2, 0, 2, 0, 2, 0], 1)  # batches larger than the queue, and empty ones between them
def test_every_frame_is_covered_once_and_in_order(policy: Any, steps: list[int | None], capacity: int) -> None:
    """A number publishes a batch of so many events, None reads one item; batches and markers together cover all seqs."""

    async def run() -> None:
        s, seq, got = Subscription("x", capacity, policy), 0, []
        for step in steps:
            if step is None:
                got += [await anext(s)] if s._queue else []
            else:
                s.put(batch(seq, step))
                seq += 1
                assert s.depth <= max(capacity, 8)
                assert len(s._queue) <= 2 * capacity + 2
        got += await taken(s)
        edges = [(i.first_seq, i.seq) for i in got]
        assert [n for first, last in edges for n in range(first, last + 1)] == list(range(seq))
        assert s.delivered + s.dropped == sum(step or 0 for step in steps)
        assert s.dropped == sum(i.events for i in got if isinstance(i, Missed))

    asyncio.run(run())
