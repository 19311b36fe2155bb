"""Which states stay beside a tape: enough to seek by, evenly spread, and never more than a small part of it."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

from tapeline.tape import states

STAMP = bytes(range(32))


def grown(directory: Path, size: int, count: int, name: str = "000000000000.tape") -> list[states.State]:
    """What is left of `count` states, one each 1,000 frames, tidied each time as a live session does."""
    (directory / name).write_bytes(bytes(size))
    for n in range(1, count + 1):
        states.write(directory, 1000 * n, n, STAMP, os.urandom(400))
        states.tidy(directory, STAMP)
    return states.states(directory)


def test_they_take_a_twentieth_of_the_tape_and_lie_evenly(tmp_path: Path) -> None:
    found = grown(tmp_path, 100_000, 60)
    assert 3_000 < sum(s.bytes for s in found) <= 5_000
    assert [s.seq for s in (found[0], *found[-2:])] == [1000, 59_000, 60_000]
    assert max(b.seq - a.seq for a, b in pairwise(found)) <= 20_000


def test_a_segment_that_is_still_open_will_be_smaller(tmp_path: Path) -> None:
    assert len(grown(tmp_path, 100_000, 20, "000000000000.open")) == 3


def test_there_are_never_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "MOST", 9)
    found = grown(tmp_path, 10_000_000, 40)
    assert len(found) == 9
    assert max(b.seq - a.seq for a, b in pairwise(found)) <= 12_000
