"""Questions that want everything, over the API: each ends within its limits, the server does not grow, and the next is answered."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from tapeline.config import QuerySettings
from tapeline.lake.lake import Lake
from tests.waiting import until, wait_until

LIMITS = QuerySettings(seconds=10, memory_mb=256, answer_mb=32)
BRIEF = QuerySettings(seconds=2, memory_mb=256, answer_mb=32)
ATTACKS = {
    "select length(repeat('x', 3000000000))": {"query_too_big"},
    "select repeat('x', 1000000000)": {"query_too_big"},
    "select lpad('x', 1000000000, 'y')": {"query_too_big", "query_stopped"},
    "select printf('%1000000000d', 1)": {"query_too_big"},
    "select string_agg(repeat('x', 1000000), '') from range(3000)": {"query_too_big"},
    "select array_agg(range) from range(100000000)": {"query_too_big"},
    "select range(1000000000)": {"query_too_big"},
    "select regexp_replace(repeat('x', 100000000), 'x', 'yyyyyyyyyyyy', 'g')": {"query_too_big", "query_stopped"},
    "select " + ", ".join(f"true as a{n}" for n in range(1000)) + " from range(100000)": {"query_too_big", "query_stopped"},
}
ENDLESS = (
    "with recursive r as (select 1 n union all select n + 1 from r) select count(*) from r",
    "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7",
)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process to an address space")


@pytest.fixture
def limits() -> QuerySettings:
    return LIMITS


async def asked(http: httpx.AsyncClient, sql: str) -> httpx.Response:
    return await http.get("/api/v1/query", params={"sql": sql}, timeout=60)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.timeout(400)
async def test_each_is_refused_and_the_next_is_answered(http):
    """With more time than a busy machine needs to fill the memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for attack, codes in ATTACKS.items():
        answer = await asked(http, attack)
        assert answer.json()["error"]["code"] in codes, (attack, answer.text[:300])
        assert "MB" in answer.text or "longer than 10 s" in answer.text
    assert (await asked(http, "select 1 as a")).json()["rows"] == [{"a": 1}]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KB


@pytest.mark.parametrize("limits", [BRIEF])
async def test_the_endless_are_stopped(http):
    for attack in ENDLESS:
        answer = await asked(http, attack)
        assert answer.json()["error"]["code"] == "query_stopped", answer.text[:300]
        assert "longer than 2 s" in answer.text


async def test_the_answers_are_those_of_the_lake(http, tmp_path):
    for sql in ("select * from trades order by n", "select kind, count(*) c from status group by 1 order by 1"):
        wanted = Lake(tmp_path).sql(sql)
        answer = await http.get("/api/v1/query", params={"sql": sql, "format": "arrow"}, timeout=60)
        assert pa.ipc.open_stream(answer.content).read_all().replace_schema_metadata(None) == wanted


async def test_the_process_has_nothing_of_the_servers_and_stays_within_its_bounds(http, queries, monkeypatch):
    monkeypatch.setenv("TAPELINE_SECRET_KEY", "the-secret")
    await asked(http, "select 1")
    (box,) = queries.pool.boxes
    process = Path(f"/proc/{box.pid}")
    assert b"the-secret" not in (process / "environ").read_bytes()
    assert not [link for fd in (process / "fd").iterdir() if (link := str(fd.readlink())).startswith("socket:")]
    limits = (process / "limits").read_text()
    assert "unlimited" not in next(line for line in limits.splitlines() if line.startswith("Max address space")).split()[3]
    assert os.getpriority(os.PRIO_PROCESS, box.pid) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    assert (await asked(http, "select 1")).status_code == 200
    assert [b.pid for b in queries.pool.boxes] == [box.pid]


async def test_one_that_dies_is_told_and_replaced(http, queries):
    await asked(http, "select 1")
    (box,) = queries.pool.boxes
    asking = asyncio.create_task(asked(http, ENDLESS[1]))
    await until(lambda: box.asked)
    os.kill(box.pid, signal.SIGKILL)
    assert (await asking).json()["error"]["code"] == "query_too_big"
    assert (await asked(http, "select 1")).status_code == 200


async def test_one_that_dies_while_idle_is_replaced(http, queries):
    await asked(http, "select 1")
    (box,) = queries.pool.boxes
    os.kill(box.pid, signal.SIGKILL)
    await until(lambda: not box.alive)
    assert (await asked(http, "select 1")).status_code == 200


async def test_one_that_does_not_start_is_told(http, queries, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    answer = await asked(http, "select 1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert "does not start" in answer.text
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    assert "does not start" in (await asked(http, "select 1")).text
    monkeypatch.undo()
    assert (await asked(http, "select 1")).status_code == 200


async def test_the_idle_end(http, queries, monkeypatch):
    monkeypatch.setattr("tapeline.server.query.box.IDLE_SECONDS", 0.05)
    assert (await asked(http, "select 1")).status_code == 200
    pids = [box.pid for box in queries.pool.boxes]
    await until(lambda: not queries.pool.boxes)
    assert all(map(gone, pids))


async def test_none_is_left_and_those_that_wait_are_told_when_the_server_ends(http, server, queries, caplog):
    warm = await asked(http, "select 1")  # a busy machine takes longer to start a process than they wait
    assert warm.status_code == 200
    asking = [asyncio.create_task(asked(http, "from range(100000000000) a, range(10000) b where a.range<0")) for _ in range(8)]
    while not (queries._waiting and any(box.asked for box in queries.pool.boxes)):
        assert not all(task.done() for task in asking)
        await asyncio.sleep(0.01)
    pids = [box.pid for box in queries.pool.boxes if box.pid]
    await server.stop()
    await until(lambda: all(map(gone, pids)))
    for answer in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(answer, httpx.HTTPError) or answer.json()["error"]["code"] == "ending"
    assert "Traceback" not in caplog.text
    assert "Cancelled" not in caplog.text


def test_none_is_left_when_the_server_is_killed():
    """Amid a question: the end of its standard input is seen all the same."""
    code = """
import asyncio
from tapeline.server.query.box import Pool
from tapeline.server.query.piped import Ask
async def main():
    box = Pool().take()
    await box.start()
    print(box.pid, flush=True)
    sql = "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7"
    await box.ask(Ask(data="/", sql=sql, params={}, form="json", mode="live", rows=1, answer_bytes=1 << 20, seconds=60,
                      memory_mb=256, threads=1))
asyncio.run(main())
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env) as server:
        pid = int(server.stdout.readline())
        server.kill()
    wait_until(lambda: gone(pid))
