"""With any one diff taken out of a recorded session, the gap is told at that place with its ids, no touch is given out until a new
snapshot comes, and then every touch is right again. The snapshot is made from the plain book, which saw the missing diff."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest

from tapeline.engine.pipeline import Pipeline
from tapeline.events import BookUpdate, Event, Flag, Quote
from tests.engine.feeds import answer, opened, play, recv, statuses
from tests.engine.recordings import Book, Recording, recording, touches

FOLLOWING = 12  # diffs that are played after the missing one
SNAPSHOT_AFTER = 4  # of them, the snapshot comes after so many


def positions(venue: str) -> list[Any]:
    """Indices into the diffs: the join, the one after it, the last but one, and thirty at random."""
    join, count = {"binance": (2, 3451), "binance-usdm": (4, 6551)}[venue]
    chosen = random.Random(venue).sample(range(join + 2, count - 2), 30)
    return [pytest.param(venue, i, id=f"{venue}-{i}") for i in (join, join + 1, join + 2, *chosen, count - 2)]


def message(file: Recording, i: int) -> bytes:
    return file.lines[i].partition(b" ")[2]


def received(file: Recording, i: int) -> int:
    return int(file.lines[i].partition(b" ")[0])


def without(file: Recording, venue: str, missing: int) -> tuple[list[list[Event]], list[Event]]:
    """(events of each diff after the missing one up to the new snapshot, events from that snapshot on)."""
    place = file.diffs.index(missing)
    end = min(place + FOLLOWING, len(file.diffs) - 1)
    until = min(place + SNAPSHOT_AFTER, len(file.diffs) - 1)
    pipeline, truth = Pipeline(), Book()
    play([opened(received(file, 0), venue=venue, streams=())], pipeline)
    before: list[list[Event]] = []
    after: list[Event] = []
    for i in sorted([file.snapshot, *file.diffs[: end + 1]]):
        m = file.messages[i]
        if i == file.snapshot:
            truth.begin(m)
            for j in file.diffs:
                if j < i and file.messages[j]["u"] > truth.id:
                    truth.apply(file.messages[j])
        elif i > file.snapshot:
            truth.apply(m)
        if i == missing:
            continue
        events = play([recv(received(file, i), message(file, i))], pipeline)
        if missing < i <= file.diffs[until]:
            before.append(events)
        elif i > missing:
            after += events
        if i == file.diffs[until]:
            after += play([answer(received(file, i), truth.snapshot(), venue=venue)], pipeline)
    return before, after


@pytest.mark.parametrize(("venue", "place"), [*positions("binance"), *positions("binance-usdm")])
def test_one_missing_diff(shared_frames: Path, venue: str, place: int) -> None:
    file = recording(shared_frames, venue)
    missing = file.diffs[place]
    lacking, last = file.messages[missing], file.messages[file.diffs[place - 1]]["u"]
    whole = file.messages[file.snapshot]
    before, after = without(file, venue, missing)
    first = next(events for events in before if statuses(events, "gap"))
    told = [e for events in before for e in events]
    (gap,) = statuses([*told, *after], "gap")
    if missing < file.snapshot < file.diffs[place + 1]:  # the book stands at the snapshot when the hole shows
        last = max(last, whole["lastUpdateId"])
    assert (gap.from_seq, gap.to_seq, gap.count) == (last + 1, lacking["u"], lacking["u"] - last)
    assert first is before[0 if missing > file.snapshot or file.diffs[place + 1] < file.snapshot else 1]
    assert gap.ts_recv == received(file, file.diffs[place + 1])
    since = told[told.index(gap) :]
    assert not [e for e in since if isinstance(e, Quote)]
    assert all(e.flags & Flag.BOOK_UNPROVEN for e in since if isinstance(e, BookUpdate))
    right = touches(shared_frames, venue)
    quotes = [e for e in after if isinstance(e, Quote)]
    assert [(q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes] == [right[q.seq] for q in quotes]
    wanted = [
        file.messages[i]["u"] for i in file.diffs[min(place + SNAPSHOT_AFTER, len(file.diffs) - 1) : place + FOLLOWING + 1]
    ]
    assert [q.seq for q in quotes] == wanted
    if len(wanted) > 1:
        assert [s.kind for s in statuses(after)] == ["synced"]


@pytest.mark.parametrize("venue", ["binance", "binance-usdm"])
def test_what_came_before_the_join_does_not_matter(shared_frames: Path, venue: str) -> None:
    """The first diffs are older than the snapshot: without them the same book stands, and a hole among them is told."""
    file = recording(shared_frames, venue)
    right = touches(shared_frames, venue)
    for place, gaps in ((0, 0), (1, 1)):
        frames = [opened(received(file, 0), venue=venue, streams=())]
        for i in sorted([file.snapshot, *file.diffs[:40]]):
            if i == file.snapshot:
                frames.append(answer(received(file, i), message(file, i), venue=venue))
            elif i != file.diffs[place]:
                frames.append(recv(received(file, i), message(file, i)))
        events = play(frames)
        assert len(statuses(events, "gap")) == gaps
        quotes = [e for e in events if isinstance(e, Quote) and not e.flags & Flag.SNAPSHOT]
        assert [(q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes] == [right[q.seq] for q in quotes]
        assert len(quotes) > 30


def test_the_plain_book_is_not_moved_by_looking(shared_frames: Path) -> None:
    file = recording(shared_frames, "binance")
    before = copy.deepcopy(file.messages[file.snapshot])
    assert list(file.books())
    assert file.messages[file.snapshot] == before
