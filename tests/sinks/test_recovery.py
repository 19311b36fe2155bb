"""Repair at start, with real sinks and a tape in memory."""

from pathlib import Path

import pytest

from tapeline.config import Settings
from tapeline.sinks import recovery
from tapeline.sinks.base import Sink
from tapeline.sinks.recovery import repair
from tapeline.sinks.registry import make
from tests.sinks.fakes import Forgets, Tape, Trying
from tests.sinks.helpers import frames, in_order
from tests.sinks.subjects import subject


@pytest.fixture
def sinks(tmp_path):
    made = make(tmp_path, Settings())
    for sink in made:
        sink.open()
    yield made
    for sink in made:
        sink.close()


def flat(made):
    return [e for events in made for e in events]


def holds(sink: Sink, data: Path, *sessions) -> None:
    assert in_order(subject(sink.name).read(data)) == in_order(subject(sink.name).kept([flat(s) for s in sessions]))


def test_each_sink_goes_on_from_where_it_stood(sinks, tmp_path):
    made = frames(200)
    tape = Tape(s=made)
    sinks[0].commit("s", 149, flat(made[:150]))
    sinks[1].commit("s", 20, flat(made[:21]))
    reports = repair(tmp_path, sinks, ["s"], tape.catch_up)
    assert [(r.sink, r.first_seq, r.last_seq, r.events, r.error) for r in reports] == [
        (sinks[0].name, 150, 199, len(flat(made[150:])), ""),
        (sinks[1].name, 21, 199, len(flat(made[21:])), ""),
    ]
    for sink in sinks:
        holds(sink, tmp_path, made)
        assert list(sink.finished()) == ["s"]
    assert repair(tmp_path, sinks, ["s"], tape.catch_up) == []


def test_one_replay_is_for_all_from_where_the_last_of_them_stands(sinks, tmp_path):
    made = frames(200)
    tape = Tape(s=made)
    sinks[0].commit("s", 149, flat(made[:150]))
    sinks[1].commit("s", 20, flat(made[:21]))
    repair(tmp_path, sinks, ["s"], tape.catch_up)
    assert tape.replays == [("s", 20)]


def test_where_a_batch_straddles_a_position_that_sink_has_a_replay_of_its_own(sinks, tmp_path):
    made = frames(200)
    tape = Tape(s=made)
    tape.step = 64
    sinks[0].commit("s", 149, flat(made[:150]))
    sinks[1].commit("s", 20, flat(made[:21]))
    repair(tmp_path, sinks, ["s"], tape.catch_up)
    assert tape.replays == [("s", 20), ("s", 149)]
    for sink in sinks:
        holds(sink, tmp_path, made)


def test_a_sink_that_fails_keeps_none_of_the_others_waiting(sinks, tmp_path):
    made = frames(50)
    tape = Tape(s=made)
    failing = Trying(sinks[0], tape)
    tape.durable = 1 << 60
    failing.failures = 1
    reports = repair(tmp_path, [failing, sinks[1]], ["s"], tape.catch_up)
    assert [bool(r.error) for r in reports] == [True, False]
    assert sinks[1].position("s") == 49
    assert [r.error for r in repair(tmp_path, [failing, sinks[1]], ["s"], tape.catch_up)] == [""]
    holds(sinks[0], tmp_path, made)


def test_a_session_that_is_all_there_is_not_replayed(sinks, tmp_path):
    made = frames(20)
    tape = Tape(s=made)
    for sink in sinks:
        sink.commit("s", 19, flat(made))
    reports = repair(tmp_path, sinks, {"s": 19}, tape.catch_up)
    assert tape.replays == []
    assert [r.events for r in reports] == [0, 0]
    assert all(list(sink.finished()) == ["s"] for sink in sinks)


def test_sessions_come_oldest_first_and_can_be_stopped(sinks, tmp_path):
    tape = Tape(s1=frames(10), s2=frames(10, seed=2))
    calls = iter((False, False, False, False))
    reports = repair(tmp_path, sinks, ["s2", "s1"], tape.catch_up, stop=lambda: next(calls, True))
    assert {r.session for r in reports} == {"s1"}
    assert sinks[1].position("s2") == -1
    assert len(repair(tmp_path, sinks, ["s2", "s1"], tape.catch_up)) == 4 - sum(len(list(s.finished())) > 2 for s in sinks)


def test_a_damaged_tape_gives_what_it_has_and_is_tried_again(sinks, tmp_path):
    made = frames(60)
    tape = Tape(s=made)
    tape.broken_at = 40
    for report in repair(tmp_path, sinks, ["s"], tape.catch_up):
        assert report.last_seq == 39
        assert "segment damaged at frame 40" in report.error
        assert str(tmp_path) in report.error
    tape.broken_at = None
    assert [r.error for r in repair(tmp_path, sinks, ["s"], tape.catch_up)] == ["", ""]
    for sink in sinks:
        holds(sink, tmp_path, made)


def test_holes_of_the_tape_are_no_obstacle(sinks, tmp_path):
    made = frames(30)
    tape = Tape(s=made)
    tape.holes = {5, 6, 7, 29}
    repair(tmp_path, sinks, ["s"], tape.catch_up)
    for sink in sinks:
        assert sink.position("s") == 28
        holds(sink, tmp_path, made[:5] + made[8:29])


def test_what_a_server_loses_while_it_is_repaired_leaves_no_hole(tmp_path, monkeypatch):
    """It is said, and the next repair brings in all of it."""
    monkeypatch.setattr(recovery, "COMMIT_EVENTS", 50)
    made = frames(200)
    tape = Tape(s=made)
    sink = Forgets()

    def losing(session: str, after: int):
        for batch in tape.catch_up(session, after):
            if batch.seq == 120 and len(tape.replays) == 1:
                sink.forget()
            yield batch

    (first,) = repair(tmp_path, [sink], ["s"], losing)
    assert "stands at frame -1" in first.error
    (second,) = repair(tmp_path, [sink], ["s"], losing)
    assert second.error == ""
    assert sink.kept == flat(made)
