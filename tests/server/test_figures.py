"""The sampled metrics over a real socket: latest, history, catalogue, groups; and the channel with one kind of them."""

import csv
import io
import json

import pyarrow as pa
import pytest
import websockets

from tapeline.market.metrics import registry
from tests.server.fakes import BTC, ETH, T0, metrics, sample
from tests.server.test_rest import get, refused

US = T0 // 1000
GROUP = "group:btc"


@pytest.fixture
def full(source, server):
    source.push(metrics(1), sample(1, {"vwap_5m": 10.0}, "vwap_5m"), metrics(2), sample(2, {"vwap_5m": 11.0, "volume_1m": 0.5}))
    source.push(metrics(3, ETH), sample(2, {"best_bid": 99.5}, instrument=GROUP))
    return source


async def test_the_latest_of_the_book_and_of_the_samples(http, full):
    rows = (await get(http, "metrics"))["metrics"]
    assert [(r["instrument"], r["values"]) for r in rows] == [
        (BTC, None), (ETH, None), (BTC, {"vwap_5m": 11.0, "volume_1m": 0.5}), (GROUP, {"best_bid": 99.5}),
    ]  # fmt: skip
    (row,) = (await get(http, "metrics", instrument=BTC, kind="sample"))["metrics"]
    assert (row["ts_event"], row["incomplete"]) == (US + 2_000_000, None)
    (row,) = (await get(http, "metrics", instrument=BTC, kind="book"))["metrics"]
    assert row["ts_event"] == US + 2000
    assert [r["instrument"] for r in (await get(http, "metrics", instrument=GROUP))["metrics"]] == [GROUP]
    await refused(http, "metrics", 400, "bad_parameter", kind="bok")


async def test_values_in_the_other_formats(http, full):
    text = (await http.get("/api/v1/metrics", params={"instrument": BTC, "kind": "sample", "format": "csv"})).text
    assert next(csv.DictReader(io.StringIO(text)))["values"] == '{"vwap_5m":11.0,"volume_1m":0.5}'
    raw = (await http.get("/api/v1/metrics", params={"instrument": BTC, "format": "arrow"})).content
    table = pa.ipc.open_stream(raw).read_all()
    assert table["values"].to_pylist() == [None, [("vwap_5m", 11.0), ("volume_1m", 0.5)]]


async def test_history(http, full):
    row = await get(http, "metrics/history", instrument=BTC)
    assert row == {
        "mode": "simulated", "instrument": BTC, "times": [US + 1_000_000, US + 2_000_000],
        "values": {"vwap_5m": [10.0, 11.0], "volume_1m": [None, 0.5]}, "incomplete": {"vwap_5m": [0]},
    }  # fmt: skip
    assert (await get(http, "metrics/history", instrument=BTC, metric="volume_1m", limit=1))["values"] == {"volume_1m": [0.5]}
    assert (await get(http, "metrics/history", instrument=ETH))["times"] == []
    await refused(http, "metrics/history", 400, "missing_parameter")
    await refused(http, "metrics/history", 404, "unknown_instrument", instrument="group:etc")
    await refused(http, "metrics/history", 400, "bad_parameter", instrument=BTC, limit=601)
    await refused(http, "metrics/history", 400, "bad_parameter", instrument=BTC, metric=["x"] * 101)


async def test_the_catalogue_says_what_each_metric_means(http):
    rows = (await get(http, "metrics/catalogue"))["catalogue"]
    assert [r["name"] for r in rows] == sorted(registry.METRICS)
    (vwap,) = [r for r in rows if r["name"] == "vwap"]
    assert vwap["text"].startswith("Mean price of the last `window`, weighted by size:")
    assert (vwap["form"], vwap["unit"], vwap["gap"]) == ("vwap_5m", "price", "window")
    assert vwap["parameters"] == [{"name": "window", "kind": "time", "default": "5m"}]
    for row in rows:
        assert registry.metric(row["form"]).name == row["name"]


async def test_one_kind_of_metrics_on_the_channel(server, full):
    async with websockets.connect(f"{server.address.replace('http', 'ws')}/api/v1/ws") as ws:
        params = {"channel": "metrics", "instruments": ["*"], "kind": "sample"}
        await ws.send(json.dumps({"method": "subscribe", "params": params, "id": 1}))
        assert json.loads(await ws.recv())["result"]["kind"] == "sample"
        snapshot = json.loads(await ws.recv())
        assert (snapshot["type"], snapshot["kind"]) == ("snapshot", "sample")
        assert [m["instrument"] for m in snapshot["data"]] == [BTC, GROUP]
        full.push(metrics(9))
        full.push(sample(9, {"best_bid": 100.0}, instrument=GROUP))
        update = json.loads(await ws.recv())
        assert [(m["instrument"], m["values"]) for m in update["data"]] == [(GROUP, {"best_bid": 100.0})]
        await ws.send(json.dumps({"method": "subscribe", "params": {"channel": "metrics", "instruments": ["group:*"]}}))
        assert json.loads(await ws.recv())["result"]["instruments"] == ["group:*"]
        assert [m["instrument"] for m in json.loads(await ws.recv())["data"]] == [GROUP]
