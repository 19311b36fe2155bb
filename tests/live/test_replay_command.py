"""`tapeline replay`: page, API and sinks as live; events as lines that a reader may stop reading."""

import asyncio
import json
import subprocess
import sys

import httpx
import pytest

from tapeline.cli.live import LiveSession
from tapeline.config import SinkSettings
from tapeline.engine.replay import batches
from tapeline.events import to_json
from tapeline.sim import SimServer
from tapeline.tape import reader
from tests.live.program import ROOT, SOON, Program
from tests.live.rig import settings
from tests.sinks.helpers import everything, in_order
from tests.sinks.subjects.lake_subject import read_lake
from tests.sinks.subjects.sqlite_subject import read_sqlite, without_repetition
from tests.waiting import until, wait_until


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session that no sink has seen; (its directory, its events)."""
    data = tmp_path_factory.mktemp("recorded") / "data"

    async def record():
        async with SimServer(seed=61, rate=5.0) as sim:
            chosen = settings(sim, data, sinks=SinkSettings(lake=False, sqlite=False))
            async with LiveSession(chosen) as session:
                await session.connect("live")
                await until(lambda: session.collector.events > 4000)

    asyncio.run(record())
    (info,) = reader.sessions(data)
    return data, [e for b in batches(data, info.id) for e in b.events]


@pytest.mark.parametrize("speed", ["max", "50"])
def test_the_api_and_the_sinks_are_fed_as_live(recorded, speed):
    data, events = recorded
    fast = ["--set", "sinks.commit_seconds=0.1", "--set", "sinks.lake_seconds=0.2"]
    with Program("replay", data, "--speed", speed, "--port", 0, *fast, cwd=data.parent) as program:
        address = program.hear(r"on (http://\S+);")[1]
        ask = lambda path: httpx.get(f"{address}/api/v1/{path}", trust_env=False, timeout=30).json()  # noqa: E731
        wait_until(lambda: (status := ask("status"))["finished"] and all(s["depth"] == 0 for s in status["sinks"]))
        status = ask("status")
        assert status["mode"] == "replay"
        assert status["events"] == len(events)
        trades = ask("trades?instrument=sim:BTC-USDT")["trades"]
        code, seconds = program.stop()
    assert (code, seconds < SOON) == (130, True)
    last = [e for e in events if to_json(e).startswith(b'{"type":"trade","instrument":"sim:BTC-USDT"')][-1]
    assert trades[-1]["id"] == last.id
    assert "Traceback" not in program.said
    assert read_lake(data) == everything([events])
    assert in_order(read_sqlite(data)) == in_order(without_repetition([events]))


def test_events_as_lines_are_the_live_events(recorded):
    data, events = recorded
    with Program("replay", data, "--events", cwd=data.parent) as program:
        assert program.wait() == 0
    assert program.printed.encode().splitlines() == [to_json(e) for e in events]


def test_a_reader_that_goes_away_is_no_failure(recorded):
    data, _ = recorded
    command = f"{sys.executable} -m tapeline replay {data} --events --instruments sim:BTC-USDT | head -n 3"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 3
