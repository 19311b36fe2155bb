"""The contract of `sinks/base.py`, for every sink of the registry. What is in a sink is read without our code."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeline.config import Settings, SinkSettings
from tapeline.errors import ConfigError, IntegrityError
from tapeline.events import Event, Status, Trade
from tapeline.sinks.base import Sink
from tapeline.sinks.registry import SINKS, make
from tests.sinks.helpers import BTC, MANY, T0, Nursery, batches, frames, in_order, one_of_each
from tests.sinks.subjects import NAMES, subject

LOCAL = [name for name in NAMES if subject(name).local]
local_only = pytest.mark.parametrize("name", LOCAL)
KILLS = int(os.environ.get("KILLS", "6"))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    subject(request.param).settings(Path())  # a server that it needs starts here, and not in a child that is killed
    return request.param


@pytest.fixture
def sink(name: str, tmp_path: Path) -> Iterator[Sink]:
    made = subject(name).make(tmp_path)
    made.open()
    yield made
    made.close()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as started:
        yield started


def holds(name: str, data: Path, *sessions: list[Event]) -> None:
    assert in_order(subject(name).read(data)) == in_order(subject(name).kept(sessions))


def flat(made: list[list[Event]]) -> list[Event]:
    return [e for events in made for e in events]


def test_every_sink_is_tried_here():
    assert set(NAMES) == set(SINKS)


def test_all_event_types_come_back_as_they_were_given(name, sink, tmp_path):
    sink.commit("s", 3, one_of_each())
    holds(name, tmp_path, one_of_each())


def test_a_new_sink_stands_nowhere_and_a_batch_without_events_moves_it(name, sink, tmp_path):
    assert sink.position("s") == -1
    sink.commit("s", 7, [])
    assert sink.position("s") == 7
    holds(name, tmp_path, [])


def test_what_was_committed_cannot_be_committed_again(name, sink, tmp_path):
    sink.commit("s", 7, one_of_each())
    for seq in (7, 3):
        with pytest.raises(IntegrityError, match="not past the committed 7"):
            sink.commit("s", seq, one_of_each())
    holds(name, tmp_path, one_of_each())


def test_closed_and_opened_again_it_goes_on(name, sink, tmp_path):
    made = frames(60)
    sink.commit("s", 29, flat(made[:30]))
    sink.close()
    sink.close()
    sink.open()
    assert sink.position("s") == 29
    sink.commit("s", 59, flat(made[30:]))
    holds(name, tmp_path, flat(made))


@pytest.mark.parametrize("name", [name for name in NAMES if subject(name).refuses_second_writer])
def test_a_second_writer_is_refused_and_the_first_goes_on(name, sink, tmp_path):
    second = subject(name).make(tmp_path)
    with pytest.raises(ConfigError, match="another tapeline writes there"):
        second.open()
    sink.commit("s", 1, one_of_each())
    holds(name, tmp_path, one_of_each())


def test_sessions_have_positions_of_their_own(name, sink, tmp_path):
    one, two = frames(50, seed=1), frames(40, seed=2)
    for a, b in zip(batches(one, "s1", 10), batches(two, "s2", 8), strict=True):
        sink.commit("s1", a.seq, a.events)
        sink.commit("s2", b.seq, b.events)
    assert (sink.position("s1"), sink.position("s2"), sink.position("s3")) == (49, 39, -1)
    assert len(subject(name).read(tmp_path)) == len(subject(name).kept([flat(one), flat(two)]))


def test_finished_sessions_are_remembered(sink):
    sink.commit("s1", 5, one_of_each())
    sink.finish("s1")
    sink.finish("empty")
    sink.commit("s2", 5, [])
    sink.close()
    sink.open()
    assert sorted(sink.finished()) == ["empty", "s1"]
    assert (sink.position("s1"), sink.position("empty")) == (5, -1)


def test_an_event_that_no_table_holds_does_not_stop_the_sink(name, sink, tmp_path):
    odd = [
        Trade(BTC, 1 << 70, T0, 0, 1.0, 2.0, "buy", "\ud800"),
        Status(BTC, T0, T0, 0, "gap", "binance", "book", "ids of 65 bits", 1 << 64, None, 3),
        Trade(BTC, T0, T0, 0, 1.0, 2.0, "buy", "fine"),
    ]
    sink.commit("s", 0, odd)
    holds(
        name,
        tmp_path,
        [
            Trade(BTC, (1 << 63) - 1, T0, 256, 1.0, 2.0, "buy", "?"),
            Status(BTC, T0, T0, 0, "gap", "binance", "book", "ids of 65 bits", None, None, 3),
            odd[2],
        ],
    )


def test_make_gives_the_sinks_that_are_switched_on(tmp_path):
    assert [s.name for s in make(tmp_path, Settings())] == ["lake", "sqlite"]
    assert [s.name for s in make(tmp_path, Settings(sinks=SinkSettings(lake=False)))] == ["sqlite"]


def test_killed_at_any_moment_it_holds_every_event_once(name, nursery, tmp_path):
    made, r, killed = frames(MANY), random.Random(name), 0
    for n in range(KILLS):
        step, quiet = r.choice((1, 7, 20)), n % 3  # some are killed while opening, some after their first commits
        pid = nursery.start("write", name, tmp_path, "s", len(made), step, quiet, len(made) // (KILLS + 2))
        time.sleep(r.uniform(0.0, subject(name).kill_within))
        killed += nursery.kill(pid) == "killed"
    assert killed == KILLS
    sink = subject(name).make(tmp_path)
    sink.open()
    reached = sink.position("s")
    assert -1 < reached < len(made) - 1
    if subject(name).whole_commits:
        holds(name, tmp_path, flat(made[: reached + 1]))
    else:
        there = subject(name).read(tmp_path)
        assert len(there) >= len(flat(made[: reached + 1]))
        assert in_order(there) == in_order(subject(name).kept([flat(made)[: len(there)]]))
    sink.commit("s", len(made) - 1, flat(made[reached + 1 :]))
    sink.close()
    holds(name, tmp_path, flat(made))


@local_only
def test_a_folder_that_may_only_be_read_is_refused_in_words(name, nursery, tmp_path_factory):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        nursery.start("forbidden", name, f"{folder}/data")
        nursery.wait()
        assert nursery.said.startswith("ConfigError setting data = ")
        assert "cannot be" in nursery.said


@local_only
def test_without_space_the_earlier_state_stands_and_afterwards_it_goes_on(name, nursery, tmp_path):
    made = frames(3000)
    nursery.start("full", name, tmp_path, "s", len(made))
    assert nursery.wait() == "ended"
    position, said = nursery.said.split(" ", 1)
    assert int(position) == len(made) // 2 - 1
    assert said.startswith("OSError")
    assert str(tmp_path) in said
    holds(name, tmp_path, flat(made))
