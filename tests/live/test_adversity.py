"""A disk that fills up, a folder that may not be written, servers that go away: the feed goes on, everything is said, nothing is lost.

The whole program as its user starts it, with everything on and everything happening many times a second. What it did is read
afterwards by other code than wrote it.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tapeline.tape import reader
from tests.live.adverse import (
    MARKET,
    Filler,
    Status,
    assert_ended,
    assert_sinks_hold_the_tape,
    session,
    sink_rows,
    small_disk,
    tapeline,
    words,
)
from tests.live.program import Program
from tests.services import postgres
from tests.services.postgres import Server as Postgres
from tests.sinks.helpers import in_order
from tests.sinks.peers import PEERS, Peer, expected
from tests.sinks.subjects.postgres_subject import latest_bars
from tests.sinks.subjects.postgres_subject import read as read_postgres

pytestmark = pytest.mark.timeout(400)
LOCAL = ("lake", "sqlite", "csv")
LOCAL_SINKS = ("lake", "sqlite")


def says_why(row: dict[str, Any]) -> bool:
    """The disk was full, or, where everything that is on the tape was in the sink by then, what came later never reached the tape."""
    return any(text in row["error"] for text in ("o space left", "full", "are not on the tape"))


def still_full(filler: Filler, found: dict[str, Any]) -> bool:
    """Whether every sink says so, while what anybody frees is taken again."""
    filler.fill()
    return all(map(says_why, found["sinks"]))


@pytest.mark.slow
@pytest.mark.parametrize("hold_mb", [64, 0])
def test_a_disk_that_fills_up_and_is_freed(tmp_path: Path, hold_mb: int) -> None:
    with small_disk(tmp_path / "disk", "24m") as disk:
        data = disk / "data"
        sets = {"sinks.csv": "true", "tape.hold_mb": str(hold_mb)}
        with session(data, tmp_path, sets) as (program, status):
            status.until(lambda s: all(row["events"] for row in s["sinks"]))
            filler = Filler(disk)
            filler.fill()
            failing = status.until(lambda s: s["tape"]["state"] == "failing")
            assert "No space left" in failing["tape"]["reason"]
            for _ in range(3):
                filler.fill()
                status.goes_on()
            found = status.until(lambda s: s["tape"]["held_frames" if hold_mb else "lost_frames"] > 0)
            if hold_mb == 0:  # a sink's next commit may be seconds away
                status.until(lambda s: still_full(filler, s))
            filler.free()
            status.well()
            status.goes_on()
            assert_ended(program, data, sets)
        said = program.said
        assert "the tape cannot be written; the feed goes on" in said
        assert "the tape is written again" in said
        assert "Traceback" not in said
        assert (found["tape"]["held_frames"] > 0, found["tape"]["lost_frames"] > 0) == (hold_mb > 0, hold_mb == 0)
        proof = tapeline("verify", data, cwd=tmp_path)
        assert proof.returncode == 0, proof.stdout
        assert ("as a LOST frame says: No space left" in proof.stdout) == (hold_mb == 0)
        sessions = assert_sinks_hold_the_tape(data, *LOCAL)
        assert sum(map(len, sessions)) > 500


def test_a_disk_that_is_full_to_the_end_is_not_called_kept(tmp_path: Path) -> None:
    """What waited in memory is gone then: it is counted, it is a failure, and nobody is sent to look for it on the tape."""
    with small_disk(tmp_path / "disk", "24m") as disk:
        arguments = ("record", *MARKET, "--data", disk / "data", "--for", "5s", *words({}))
        with Program(*arguments, cwd=tmp_path) as program:
            filler = Filler(disk)
            program.hear("SIMULATED")
            filler.fill()
            program.hear("the tape cannot be written")
            assert program.wait() == 1
        last = program.said.splitlines()[-1]
        assert re.search(r"without [1-9]\d* frames? that the disk did not take: LOST$", last), last
        assert "are on the tape only" not in program.said
        assert "Traceback" not in program.said
        filler.free()


def shut(folder: Path, writable: bool) -> None:
    """As an administrator would: every folder below, too."""
    for place, _, _ in os.walk(folder):
        with suppress(FileNotFoundError):  # what was merged meanwhile may be gone
            Path(place).chmod(0o755 if writable else 0o555)


def obedient() -> list[str]:
    """Modes mean nothing to root; so as root the program runs without that privilege."""
    if os.getuid() != 0:
        return []
    if (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("setpriv is not installed, and modes mean nothing to root")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.slow
def test_a_folder_that_may_not_be_written_for_a_while(tmp_path: Path) -> None:
    data, sets = tmp_path / "data", {"sinks.csv": "true"}
    with session(data, tmp_path, sets, through=obedient()) as (program, status):
        status.until(lambda s: all(row["events"] for row in s["sinks"]))
        shut(data, writable=False)
        status.until(lambda s: sink_rows(s)["lake"]["error"])
        status.goes_on()
        status.until(lambda s: "ermission denied" in sink_rows(s)["lake"]["error"])
        shut(data, writable=True)
        status.well()
        status.goes_on()
        assert_ended(program, data, sets)
    assert "the sink is written again" in program.said
    assert "Traceback" not in program.said
    proof = tapeline("verify", data, cwd=tmp_path)
    assert proof.returncode == 0, proof.stdout
    assert_sinks_hold_the_tape(data, *LOCAL)


def test_a_folder_that_may_never_be_written_is_one_line_and_exit_3(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    data = place / "data"
    data.mkdir()
    for shape in ("the data directory", "the directory above it"):
        if shape == "the directory above it":
            data.rmdir()
        (data if data.exists() else place).chmod(0o555)
        with Program("record", *MARKET, "--data", data, *words({}), cwd=tmp_path, through=obedient()) as program:
            assert program.wait() == 3, shape
        place.chmod(0o755)
        (line,) = [line for line in program.said.splitlines() if line]
        assert f"setting data = '{data}" in line
        assert "ermission denied" in line
        assert "another directory" in line or "set a directory that can" in line


def settings_of(postgres: Postgres, peers: list[Peer]) -> dict[str, str]:
    sets = {"postgres.url": postgres.url(), "postgres.schema": "market", "sinks.queue_events": "1000"}
    for name in ("postgres", *(peer.name for peer in peers)):
        sets[f"sinks.{name}"] = "true"
    for peer in peers:
        sets |= peer.assignments()
    return sets


@pytest.fixture
def servers() -> Iterator[tuple[Postgres, list[Peer]]]:
    database, peers = postgres.own("adversity"), [PEERS[name]() for name in ("redis", "nats")]
    yield database, peers
    for peer in peers:
        peer.server.end()
    database.remove()


def of(status: dict[str, Any], names: set[str]) -> list[dict[str, Any]]:
    return [row for name, row in sink_rows(status).items() if name in names]


def assert_only_these_suffer(status: Status, away: set[str]) -> None:
    """The feed and the others go on; whoever is away lags, and misses what its queue cannot hold."""
    here = LOCAL_SINKS
    before = sink_rows(status.now())
    status.until(lambda s: all(sink_rows(s)[name]["events"] > before[name]["events"] + 300 for name in here))
    found = sink_rows(status.until(lambda s: all(row["missed"] and row["lag_seconds"] > 0.5 for row in of(s, away))))
    assert all(found[name]["depth"] <= 1000 + 4000 for name in away), (
        found
    )  # the queue, and what was gathered before the trouble
    assert not any(found[name]["error"] or found[name]["dropped"] for name in here), found


@pytest.mark.slow
def test_servers_that_stand_still_or_die_for_a_while(tmp_path: Path, servers: tuple[Postgres, list[Peer]]) -> None:
    """Three at once, with everything on: first they hang, then they crash and come back at the same place."""
    database, peers = servers
    data, away = tmp_path / "data", {"postgres", "redis", "nats"}
    sets = settings_of(database, peers)
    with session(data, tmp_path, sets) as (program, status):
        status.until(lambda s: all(row["events"] for row in s["sinks"]))
        wake = database.pause()
        for peer in peers:
            peer.server.pause()
        assert_only_these_suffer(status, away)
        wake()
        for peer in peers:
            peer.server.resume()
        status.well()
        database.stop()
        for peer in peers:
            peer.server.kill()
        status.until(lambda s: all(sink_rows(s)[name]["error"] for name in away))
        assert_only_these_suffer(status, away)
        database.start()
        for peer in peers:
            peer.server.start()
        status.well()
        assert not any(row["dropped"] for row in status.now()["sinks"])
        assert program.stop()[0] == 130
    assert "Traceback" not in program.said
    mended = tapeline("repair", data, *words(sets), cwd=tmp_path)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    sessions = assert_sinks_hold_the_tape(data, *LOCAL_SINKS)
    (name,) = [info.id for info in reader.sessions(data)]
    assert in_order(read_postgres(database, "market")) == in_order(latest_bars(sessions))
    for peer in peers:
        assert peer.bodies() == expected(name, sessions[0]), peer.name
