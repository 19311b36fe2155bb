"""`/api/v1/query` over a real socket, against a real lake; what it may cost, and who may ask."""

import asyncio
import io
import os
import signal
from collections import Counter

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tapeline.clock import SECOND, ReplayClock
from tapeline.config import QuerySettings
from tapeline.events import Trade
from tapeline.server.app import Server
from tapeline.server.query import query
from tapeline.server.query.query import Queries
from tests.server.conftest import SETTINGS
from tests.server.fakes import T0, instrument
from tests.sinks.helpers import BTC, frames
from tests.waiting import until

EVENTS = [e for events in frames(300) for e in events]
TRADES = [e for e in EVENTS if type(e) is Trade]
ENDLESS = "select count(*) from range(10000000) a, range(10000000) b where a.range + b.range = 7"
HANGS_UP = httpx.Timeout(30, read=0.3)


async def ask(http, sql, code=200, **params):
    answer = await http.get("/api/v1/query", params={"sql": sql, **params})
    assert answer.status_code == code, answer.text
    assert answer.headers["x-tapeline-mode"] == "simulated"
    return answer


async def refused(http, sql, status, code, **params):
    error = (await ask(http, sql, status, **params)).json()["error"]
    assert error["code"] == code
    return error


async def test_an_answer_in_json(http):
    row = (await ask(http, "select instrument, count(*) as c from trades group by 1 order by 1")).json()
    counts = Counter(e.instrument for e in TRADES)
    assert row == {
        "mode": "simulated",
        "truncated": False,
        "up_to": None,
        "columns": [{"name": "instrument", "type": "string"}, {"name": "c", "type": "int64"}],
        "rows": [{"instrument": name, "c": counts[name]} for name in sorted(counts)],
    }
    assert (await ask(http, "select 1 as a where false")).json()["rows"] == []


async def test_known_times_are_microseconds_and_in_arrow_and_parquet_nanoseconds(http):
    sql = "select ts_event, ts_recv, max(ts_event) over () as last, time, id from trades order by n limit 3"
    first, last = TRADES[0], max(e.ts_event for e in TRADES)
    row = (await ask(http, sql)).json()["rows"][0]
    assert (row["ts_event"], row["ts_recv"], row["last"]) == (first.ts_event // 1000, first.ts_recv // 1000, last)
    assert row["time"].endswith("Z")
    lines = (await ask(http, sql, format="csv")).text.splitlines()
    assert lines[0] == "ts_event,ts_recv,last,time,id"
    assert lines[1].split(",")[0] == str(first.ts_event // 1000)
    arrow = pa.ipc.open_stream((await ask(http, sql, format="arrow")).content).read_all()
    parquet = pq.read_table(io.BytesIO((await ask(http, sql, format="parquet")).content))
    for table in (arrow, parquet):
        assert table["ts_event"].to_pylist() == [e.ts_event for e in TRADES[:3]]
        assert table.schema.metadata[b"tapeline.time_unit"] == b"ns"
        assert table.schema.metadata[b"tapeline.mode"] == b"simulated"


async def test_a_post_with_parameters(http):
    wish = {"sql": "select count(*) c from trades where instrument = $name", "params": {"name": BTC}}
    answer = await http.post("/api/v1/query", json=wish)
    assert answer.json()["rows"] == [{"c": sum(e.instrument == BTC for e in TRADES)}]
    for content, kind, status, code in (
        ("{}", "application/json", 400, "bad_parameter"),
        ('{"sql": 5}', "application/json", 400, "bad_parameter"),
        ('{"sql": "select 1", "other": 1}', "application/json", 400, "bad_parameter"),
        ("{", "application/json", 400, "bad_json"),
        ("select 1", "text/plain", 415, "not_json"),
        ('{"sql": "' + "x" * 200_000 + '"}', "application/json", 413, "too_large"),
    ):
        answer = await http.post("/api/v1/query", content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_mistakes_are_said(http):
    error = await refused(http, "select pric from trades", 400, "bad_query")
    assert "LINE 1: select pric from trades" in error["message"]
    assert "price" in error["message"]
    await refused(http, "copy trades to '/tmp/x'", 400, "bad_query")
    await refused(http, "select 1", 400, "bad_parameter", format="xml")
    await refused(http, "select 1", 400, "bad_parameter", limit="0")
    await refused(http, "select 1", 400, "unknown_parameter", rows="5")
    await refused(http, "", 400, "missing_parameter")


async def test_the_limit_cuts_and_says_so(http):
    row = (await ask(http, "select id from trades order by n", limit=5)).json()
    assert [r["id"] for r in row["rows"]] == [e.id for e in TRADES[:5]]
    assert row["truncated"] is True


@pytest.mark.parametrize("limits", [QuerySettings(seconds=0.3)])
async def test_time_is_capped(http):
    error = await refused(http, ENDLESS, 408, "query_stopped")
    assert "0.3 s" in error["message"]


@pytest.mark.parametrize("limits", [QuerySettings(rows=50)])
async def test_rows_are_capped(http):
    assert len((await ask(http, "from range(1000)")).json()["rows"]) == 50


@pytest.mark.parametrize("limits", [QuerySettings(memory_mb=60)])
async def test_memory_is_capped(http):
    error = await refused(http, "select array_agg(range) from range(30000000)", 400, "query_too_big")
    assert "60 MB" in error["message"]


async def begun(queries):
    """A process that works on a question."""
    await until(lambda: any(box.pid and box.asked for box in queries.pool.boxes))


@pytest.mark.parametrize("limits", [QuerySettings(at_once=1, seconds=60)])
async def test_others_wait_then_are_told_that_it_is_busy(http, monkeypatch, queries):
    monkeypatch.setattr(query, "WAIT_SECONDS", 0.2)
    first = asyncio.create_task(ask(http, ENDLESS, 400))
    await begun(queries)
    await refused(http, "select 1", 503, "busy")
    (box,) = queries.pool.boxes
    os.kill(box.pid, signal.SIGKILL)
    await first
    await ask(http, "select 1")


async def test_a_query_is_ended_when_its_asker_hangs_up(http, queries):
    await ask(http, "select 1")
    with pytest.raises(httpx.ReadTimeout):
        await http.get("/api/v1/query", params={"sql": ENDLESS}, timeout=HANGS_UP)
    await until(lambda: not queries.pool.boxes)
    await ask(http, "select 1")


async def test_the_end_of_the_server_ends_it(http, server, queries):
    asking = asyncio.create_task(http.get("/api/v1/query", params={"sql": ENDLESS}))
    await begun(queries)
    await server.stop()
    with pytest.raises((httpx.HTTPError, AssertionError)):
        (await asking).raise_for_status()
    assert not queries.pool.boxes


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_page_of_another_site_may_not_make_a_browser_ask(http, site):
    answer = await http.get("/api/v1/query", params={"sql": "select 1"}, headers={"sec-fetch-site": site})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_refused")


@pytest.mark.parametrize("kept", [True, False])
async def test_there_is_no_lake(source, tmp_path, limits, kept):
    server = Server(
        source,
        SETTINGS,
        ReplayClock(T0),
        page=tmp_path / "none",
        queries=Queries(tmp_path / "empty", limits) if kept else None,
    )
    async with server as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        await refused(http, "select 1", 404, "no_lake")


async def test_so_is_what_a_chart_of_another_maker_asks(http, queries, source):
    source.streams.append(instrument(BTC))
    first = min(t.ts_event for t in TRADES if t.instrument == BTC) // SECOND
    wish = {"symbol": BTC, "resolution": "1S", "from": 0, "to": first + 100}
    assert (await http.get("/udf/history", params=wish)).json()["t"][0] == first
    (warm,) = queries.pool.boxes
    os.kill(warm.pid, signal.SIGSTOP)  # it answers no more
    with pytest.raises(httpx.ReadTimeout):
        await http.get("/udf/history", params=wish, timeout=HANGS_UP)
    await until(lambda: not queries.pool.boxes)
    assert (await http.get("/udf/history", params=wish)).json()["s"] == "ok"
