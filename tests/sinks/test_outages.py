"""The durable logs when their server dies, hangs, or goes away for a while: nothing lost, nothing twice, nothing held up."""

import importlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeline.engine.replay import batches
from tapeline.errors import ConfigError
from tapeline.sinks.base import Sink
from tests.live.program import Program
from tests.sinks.helpers import frames
from tests.sinks.peers import PEERS, Peer, expected
from tests.waiting import wait_until

MADE = frames(400)


def flat(made):
    return [e for events in made for e in events]


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest, monkeypatch) -> Iterator[Peer]:
    module = importlib.import_module(f"tapeline.sinks.{request.param}")
    for patience in ("CONNECT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(module, patience, PEERS[request.param].patience)
    made = PEERS[request.param]()
    yield made
    made.server.end()


@pytest.fixture
def sink(peer: Peer, tmp_path) -> Iterator[Sink]:
    made = peer.sink(tmp_path)
    made.open()
    yield made
    made.close()


def persist(sink: Sink, seq: int, upto: int) -> None:
    """As the runner does: again until it goes through, from where the sink says that it stands."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if sink.position("s") < upto:
                sink.commit("s", upto, flat(MADE[seq + 1 : upto + 1]))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_a_server_that_dies_and_comes_back_has_everything_once(peer, sink):
    at = -1
    for upto in range(49, 400, 50):
        if upto % 100 == 49:
            peer.server.kill()
            with pytest.raises(OSError):
                sink.commit("s", upto, flat(MADE[at + 1 : upto + 1]))
            peer.server.start()
        persist(sink, at, upto)
        at = upto
    assert peer.bodies() == expected("s", flat(MADE))


def test_a_server_that_hangs_is_an_error_within_a_known_time_and_then_it_goes_on(peer, sink, tmp_path):
    persist(sink, -1, 99)
    peer.server.pause()
    began = time.monotonic()
    with pytest.raises(OSError):
        sink.commit("s", 199, flat(MADE[100:200]))
    with pytest.raises(ConfigError):
        peer.sink(tmp_path / "other").open()
    assert time.monotonic() - began < 20 * peer.patience
    peer.server.resume()
    persist(sink, 99, 199)
    persist(sink, 199, 299)
    assert peer.bodies() == expected("s", flat(MADE[:300]))


def test_closing_does_not_wait_for_a_server_that_hangs(peer, sink):
    persist(sink, -1, 99)
    peer.server.pause()
    began = time.monotonic()
    sink.close()
    assert time.monotonic() - began < 10 * peer.patience
    peer.server.resume()


def test_what_a_finished_session_had_is_known_after_a_crash_of_the_server(peer, sink, tmp_path):
    persist(sink, -1, 99)
    sink.finish("s")
    peer.server.kill()
    peer.server.start()
    sink.close()
    again = peer.sink(tmp_path)
    again.open()
    assert list(again.finished()) == ["s"]
    assert again.position("s") == 99
    again.close()


def switched_on(peer: Peer, tmp_path: Path) -> list[str]:
    """What makes `record` write to this sink alone."""
    sets = {**peer.assignments(), f"sinks.{peer.name}": "true", "sinks.lake": "false", "sinks.sqlite": "false"}
    sets |= {"sinks.commit_seconds": "0.2", "data": str(tmp_path / "data")}
    return [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]


def test_the_program_ends_in_time_while_the_server_hangs(peer, tmp_path):
    with Program("record", "--simulate", "binance:BTC-USDT", *switched_on(peer, tmp_path), cwd=tmp_path) as program:
        wait_until(lambda: len(peer.bodies(settled=False)) > 20)
        peer.server.pause()
        time.sleep(0.5)  # so that a commit is under way
        code, seconds = program.stop()
        peer.server.resume()
    assert code == 130
    assert seconds < 15, "it is not waited for: the server never answers"


def test_a_recording_catches_up_with_a_server_that_was_away(peer, tmp_path):
    arguments = switched_on(peer, tmp_path)
    with Program("record", "--simulate", "binance:BTC-USDT", *arguments, cwd=tmp_path) as program:
        wait_until(lambda: len(peer.bodies(settled=False)) > 100)
        peer.server.kill()
        program.hear("a sink cannot be written")
        peer.server.start()
        program.hear("the sink is written again")
        before = len(peer.bodies(settled=False))
        wait_until(lambda: len(peer.bodies(settled=False)) > before + 100)
        code, seconds = program.stop()
    assert code == 130
    assert seconds < 20
    (session,) = {session for session, _ in peer.bodies()}
    events = [e for batch in batches(tmp_path / "data", session) for e in batch.events]
    found = peer.bodies()
    assert found == expected(session, events[: len(found)])
    with Program("record", "--simulate", "binance:BTC-USDT", *arguments, "--for", "1s", cwd=tmp_path) as program:
        assert program.wait() == 0
    rest = {key: body for key, body in peer.bodies().items() if key[0] == session}
    assert rest == expected(session, events)
