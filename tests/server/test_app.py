"""The server as a whole: where it listens, how it stops, whom it refuses, the page, the metrics."""

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.errors import ConfigError
from tapeline.server.access.access import Lock
from tapeline.server.access.gate import Gate
from tapeline.server.access.guard import host_name
from tapeline.server.app import Server
from tapeline.server.prometheus import exposed_names
from tests.server.fakes import BTC, T0, FakeSource, trade


def make(source, page, **settings):
    return Server(source, ServerSettings(**{"port": 0, **settings}), ReplayClock(T0), page=page)


async def test_a_taken_port_is_named(server, source, tmp_path):
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"server.port = {port}: another program listens there") as error:
        await make(source, tmp_path, port=port).start()
    assert error.value.key == "server.port"


async def test_an_impossible_address_is_named(source, tmp_path):
    with pytest.raises(ConfigError, match=r"server.host = '192.0.2.1'"):
        await make(source, tmp_path, host="192.0.2.1").start()
    with pytest.raises(ConfigError, match=r"server.host = 'no.such.host.invalid'"):
        await make(source, tmp_path, host="no.such.host.invalid").start()


async def test_a_server_starts_again_on_the_same_port(source, tmp_path):
    server = make(source, tmp_path)
    port = int((await server.start()).rpartition(":")[2])
    await server.stop()
    await server.stop()  # a second time does nothing
    async with make(source, tmp_path, port=port) as address:
        assert address == f"http://127.0.0.1:{port}"
    assert source.bus.taps == []


async def test_stop_is_quick_with_viewers_reading_or_not(source, tmp_path):
    server = make(source, tmp_path)
    address = (await server.start()).replace("http", "ws") + "/api/v1/ws"
    call = '{"method": "subscribe", "params": {"channel": "trades", "instruments": ["sim:BTC-USDT"]}}'
    async with connect(address, proxy=None) as good, connect(address, proxy=None, max_queue=1) as stuck:
        await good.send(call)
        await stuck.send(call)
        await good.recv()
        await stuck.recv()
        stuck.transport.pause_reading()
        states = list(server.hub.viewers)
        while not any(s.pipe.backlog() for s in states):
            source.push(*(trade(n) for n in range(1000)))
            await asyncio.sleep(0.02)
        async with asyncio.timeout(10):  # a second by itself, and a busy machine; who is stuck alone would take twenty and more
            await server.stop()
        with pytest.raises(ConnectionClosed) as closed:
            await read_all(good)
        assert closed.value.rcvd.code == 1012
        stuck.transport.abort()


async def read_all(ws):
    while True:
        await ws.recv()


async def test_history_is_kept_from_before_the_start(source, tmp_path):
    server = make(source, tmp_path)
    source.push(trade(1))
    async with server as address, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        rows = (await http.get(f"{address}/api/v1/trades", params={"instrument": BTC})).json()["trades"]
    assert [t["id"] for t in rows] == ["1"]


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:1234", None, 200),
        ("127.0.0.1", None, 200),
        ("[::1]:8700", None, 200),
        ("LOCALHOST", "http://localhost", 200),
        ("evil.example", None, 403),
        ("localhost.evil.example", None, 403),
        ("192.168.1.5", None, 403),
        ("localhost:8700", "http://localhost:8700", 200),
        ("localhost:8700", "http://localhost:9999", 403),
        ("localhost:8700", "https://evil.example", 403),
        ("localhost:8700", "null", 403),
    ],
)
async def test_host_and_origin(http, server, host, origin, status):
    headers = {"host": host} | ({"origin": origin} if origin else {})
    answer = await http.get("/api/v1/status", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == ("origin_refused" if host.startswith("localhost:") else "host_refused")
        assert "connections" not in answer.text
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}])
async def test_a_viewer_of_another_origin_is_refused(server, headers):
    with pytest.raises(InvalidStatus) as refused:
        await connect(server.address.replace("http", "ws") + "/api/v1/ws", proxy=None, additional_headers=headers)
    assert refused.value.response.status_code == 403
    assert b"origin_refused" in refused.value.response.body
    assert not server.hub.viewers


async def test_a_viewer_of_the_same_origin_is_let_in(server):
    async with connect(server.address.replace("http", "ws") + "/api/v1/ws", proxy=None, origin=server.address) as ws:
        await ws.send('{"method": "ping"}')
        assert b"pong" in await ws.recv(decode=False)


def test_on_all_addresses_any_literal_address_and_no_foreign_name():
    gate = Gate(ServerSettings(host="0.0.0.0"), Lock())
    assert gate.known("192.168.1.5")
    assert gate.known("fe80::1")
    assert gate.known("localhost")
    assert not gate.known("evil.example")
    assert Gate(ServerSettings(host="market.lan"), Lock()).known(host_name("Market.LAN:8700"))


async def test_without_a_built_page_it_says_how_to_build_it(http):
    answer = await http.get("/")
    assert answer.status_code == 200
    assert "make setup" in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (await http.get("/assets/x.js")).status_code == 404


async def test_the_page_and_its_headers(source, tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Tapeline</title>")
    (tmp_path / "theme.js").write_text("1")
    (tmp_path / "assets" / "index-abc123.js").write_text("2")
    (tmp_path / "assets" / "index-abc123.css").write_text("3")
    secret = tmp_path.parent / "secret.txt"
    secret.write_text("no")
    async with make(source, tmp_path) as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        index = await http.get("/")
        assert index.text.startswith("<!doctype html>")
        assert index.headers["content-type"].startswith("text/html")
        assert index.headers["cache-control"] == "no-cache"
        script, style, theme = [await http.get(p) for p in ("/assets/index-abc123.js", "/assets/index-abc123.css", "/theme.js")]
        assert script.headers["content-type"].startswith("text/javascript")
        assert style.headers["content-type"].startswith("text/css")
        assert "immutable" in script.headers["cache-control"]
        assert theme.headers["cache-control"] == "no-cache"
        for answer in (index, script, await http.get("/api/v1/status"), await http.get("/none")):
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await http.get("/none")).status_code == 404
        assert (await http.get("/%2e%2e/secret.txt")).status_code == 404
        again = await http.get("/theme.js", headers={"if-none-match": theme.headers["etag"]})
        assert again.status_code == 304


async def test_metrics_have_the_values_of_the_status(http, server, source):
    source.bus.subscribe("sqlite", capacity=2)
    source.push(trade(1))
    answer = await http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert values["tapeline_frames_total", ()] == 123
    assert values["tapeline_gaps_total", ()] == 1
    assert values["tapeline_info", ("simulated", "s", "0.1.0")] == 1
    assert values["tapeline_started_seconds", ()] == T0 / 1e9
    assert values["tapeline_connection_up", ("1", "sim")] == 1
    assert values["tapeline_connection_latency_seconds", ("1", "sim")] == 0.0015
    assert values["tapeline_venue_cpu_seconds_total", ("sim", "binance")] == 0.25
    assert values["tapeline_instrument_live", ("sim:ETH-USDT",)] == 0
    assert values["tapeline_book_synced", (BTC,)] == 1
    assert values["tapeline_tape_lag_frames", ()] == 3
    assert values["tapeline_sink_events_total", ("sqlite",)] == 50
    assert values["tapeline_sink_due_seconds", ("sqlite",)] == 1.0
    assert values["tapeline_bus_depth", ("sqlite",)] == 1
    assert values["tapeline_viewers", ()] == 0
    assert values["tapeline_alert_rules_raised", ()] == 1
    assert values["tapeline_alerts_lost_total", ()] == 5
    assert values["tapeline_alert_target_failures_total", ("ops",)] == 7
    assert {name for name, _ in values} == set(exposed_names())


@pytest.mark.parametrize("mode", ["live", "simulated", "replay"])
async def test_the_mode_is_on_everything(tmp_path, mode):
    source = FakeSource(mode)
    async with make(source, tmp_path) as address, httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as http:
        for path in ("status", "instruments", "quotes", "metrics", "book?instrument=sim:BTC-USDT", "trades", "nothing"):
            answer = await http.get(f"/api/v1/{path}")
            assert (answer.json()["mode"], answer.headers["x-tapeline-mode"]) == (mode, mode)
        assert (await http.get("/api/v1/quotes?format=csv")).headers["x-tapeline-mode"] == mode
        async with connect(address.replace("http", "ws") + "/api/v1/ws", proxy=None) as ws:
            for channel in ("trades", "quotes", "book", "bars", "metrics", "status"):
                await ws.send(f'{{"method": "subscribe", "params": {{"channel": "{channel}", "instruments": ["{BTC}"]}}}}')
                await ws.recv()
                assert f'"mode":"{mode}"'.encode() in await ws.recv(decode=False)
                await ws.send(f'{{"method": "unsubscribe", "params": {{"channel": "{channel}", "instruments": ["{BTC}"]}}}}')
                while b'"result"' not in await ws.recv(decode=False):
                    pass
