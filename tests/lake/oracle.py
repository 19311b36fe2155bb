"""The engine's own books, frame by frame: what the lake's must equal."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event, Level
from tapeline.frames import Frame
from tapeline.market.sync import State


class Seen(NamedTuple):
    at: int
    bids: list[Level]
    asks: list[Level]
    edges: tuple[float | None, float | None]
    seq: int | None
    synced: bool


def watched(
    frames: Iterable[Frame], pipeline: Pipeline, share: float, seed: int = 1
) -> tuple[list[Event], dict[str, list[Seen]]]:
    """All events, and the books of every instrument after a random share of the frames."""
    r, out, seen = random.Random(seed), [], {}  # type: random.Random, list[Event], dict[str, list[Seen]]
    before: Frame | None = None
    for frame in frames:
        if before is not None and frame.ts_recv > before.ts_recv and r.random() < share:
            look(pipeline, before.ts_recv, seen)
        pipeline.feed(frame, out)
        pipeline.requests.clear()
        before = frame
    if before is not None:
        look(pipeline, before.ts_recv, seen)
    return out, seen


def look(pipeline: Pipeline, at: int, seen: dict[str, list[Seen]]) -> None:
    for name, lane in pipeline.lanes.items():
        book = lane.sync.book
        bids, asks = book.depth(book.max_levels)
        edges = book.bid_floor, book.ask_ceiling
        seen.setdefault(name, []).append(Seen(at, bids, asks, edges, book.seq, lane.sync.state is State.SYNCED))


def same(view: Any, seen: Seen) -> None:
    assert (view.state == "synced") == seen.synced, (view.state, view.reason)
    assert view.bids == seen.bids
    assert view.asks == seen.asks
    assert (view.bid_floor, view.ask_ceiling) == seen.edges
    assert view.seq == seen.seq


def some(seen: Sequence[Seen], count: int, seed: int = 2) -> Iterator[Seen]:
    yield from random.Random(seed).sample(list(seen), min(count, len(seen)))
