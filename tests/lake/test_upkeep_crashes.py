"""The upkeep killed, starved and refused beside the commits: nothing lost, nothing twice, and told."""

import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from tapeline.lake.compaction import level
from tapeline.sinks.lake import LakeSink
from tests.lake.upkeep_helpers import flat, folders, listed, rows
from tests.sinks.helpers import MANY, Nursery, frames, in_order
from tests.sinks.subjects.lake_subject import read_lake

KILLS = int(os.environ.get("KILLS", "8"))
COUNT = 6000


@pytest.fixture(scope="module")
def nursery():
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def anybodys():
    """A folder that a child that is nobody may write. Not pytest's own, in whose parents nobody may look around."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_killed_at_any_moment_of_commits_and_merges(nursery, tmp_path):
    made = frames(MANY)[:COUNT]
    r = random.Random(7)
    before = [0]
    for events in made:
        before.append(before[-1] + len(events))
    ends, merged = Counter(), 0
    for kill in range(KILLS):
        pid = nursery.start("kept_up", tmp_path, "s", COUNT, 5, kill % 2)
        time.sleep(r.uniform(0.0, 0.15))
        ends[nursery.kill(pid)] += 1
        sink = LakeSink(tmp_path)
        sink.open()
        files, position = sink.store.state.files(), sink.position("s")
        assert list(sink.store.pending.iterdir()) == []
        sink.close()
        merged += any(level(f) for f in files)
        folders(tmp_path)
        assert listed(tmp_path) == [("s", n) for n in range(before[position + 1])]
    assert ends["killed"] >= KILLS * 3 // 4
    assert merged >= KILLS * 3 // 4, "it was to be killed while it merges"
    count = min(position + 101, COUNT)
    nursery.start("kept_up", tmp_path, "s", count, 20, 1)
    assert nursery.wait() == "ended"
    assert nursery.said == ""
    assert in_order(read_lake(tmp_path)) == rows(flat(made[:count]))


def test_a_disk_that_is_full_while_files_are_merged(nursery, tmp_path):
    nursery.start("crowded", tmp_path, "s", 100)
    nursery.wait()
    told = json.loads(nursery.said)
    assert told["failed"] == [False, False]
    assert told["left"] == []
    assert told["same"]
    assert told["went"]
    assert told["error"] == ""
    assert len(told["said"]) == 1
    assert "cannot be put together now" in told["said"][0]
    assert set(folders(tmp_path).values()) == {1}
    assert in_order(read_lake(tmp_path)) == rows(flat(frames(100)))


def test_folders_that_cannot_be_written_while_files_are_merged(nursery, anybodys):
    """The commits of other folders, and the merges of those, are not held up by it."""
    nursery.start("locked", anybodys, "s", 100)
    nursery.wait()
    told = json.loads(nursery.said)
    assert told["failed"] == [False, False]
    assert told["left"] == []
    assert told["went"]
    assert told["error"] == ""
    assert len(told["said"]) == 1
    assert "Permission denied" in told["said"][0]
    assert in_order(read_lake(anybodys)) == rows(flat(frames(100)))
    assert set(folders(anybodys).values()) == {1}
