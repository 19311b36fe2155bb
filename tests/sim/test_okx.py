"""OKX's simulated wire: shapes as documented, acknowledgements, refusals, chains proved by an independent client, REST."""

import json
import zlib
from decimal import Decimal

import pytest

from tapeline.sim import SimServer
from tapeline.sim import faults as f

SHAPES = {
    "trades": "ws_trades_channel_push_data_example_1",
    "trades-all": "ws_all_trades_channel_push_data_example_1",
    "tickers": "ws_tickers_channel_push_data_example_1",
    "bbo-tbt": "ws_order_book_channel_push_data_example_of_bbo_tbt_channel_1",
    "books5": "ws_order_book_channel_push_data_example_of_books5_channel_1",
    "candle1m": "ws_candlesticks_channel_push_data_example_1",
}


@pytest.fixture
async def okx():
    """Time stands until `sim.play(seconds)`, which may take a busy machine longer than the venue waits for a word."""
    async with SimServer(venues=["okx"], seed=3, live=False, patience=10.0) as sim:
        yield sim


def connect(sim, session, kind="public"):
    return session.ws_connect(f"{sim.ws_url('okx')}/ws/v5/{kind}", max_msg_size=0)


async def ask(ws, *streams, op="subscribe", number="1512"):
    args = [dict(zip(("channel", "instId"), stream.split(":"), strict=True)) for stream in streams]
    await ws.send_json({"id": number, "op": op, "args": args})


async def until_pong(ws):
    """All that was sent up to now."""
    await ws.send_str("ping")
    got = []
    while (text := await ws.receive_str(timeout=30)) != "pong":
        got.append(json.loads(text))
    return got


def documented(frames, name):
    return json.loads((frames / "documented" / "okx_v5" / f"{name}.json").read_text())["payload"]


def shape(value):
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


class Client:
    """A book from its messages, by the documented rules and nothing else."""

    def __init__(self):
        self.sides, self.seq, self.broken = ({}, {}), None, 0

    def take(self, message):
        row = message["data"][0]
        if message["action"] == "snapshot":
            assert row["prevSeqId"] == -1
            self.sides = ({}, {})
        elif row["prevSeqId"] != self.seq:
            self.broken += 1
        self.seq = row["seqId"]
        for side, key in zip(self.sides, ("bids", "asks"), strict=True):
            for price, size, *_ in row[key]:
                side[Decimal(price)] = size
                if not Decimal(size):
                    del side[Decimal(price)]

    def levels(self):
        bids, asks = self.sides
        return [[(p, side[p]) for p in sorted(side, reverse=down)] for side, down in ((bids, True), (asks, False))]


def equal(client, sim, native, worth=1.0):
    truth = sim.book("okx", native)
    for mine, theirs in zip(client.levels(), (truth.bids, truth.asks), strict=True):
        assert [(float(p), float(s) * worth) for p, s in mine] == [(p, pytest.approx(s)) for p, s in theirs[:400]]


async def test_messages_have_the_documented_shape(okx, session, shared_frames):
    async with connect(okx, session) as public, connect(okx, session, "business") as business:
        await ask(public, *(f"{c}:BTC-USDT" for c in ("books", "books5", "bbo-tbt", "trades", "tickers")))
        await ask(business, "candle1m:BTC-USDT", "trades-all:BTC-USDT")
        await okx.play(3)
        got = [m for ws in (public, business) for m in await until_pong(ws) if "data" in m]
    seen = {}
    for message in got:
        seen[message["arg"]["channel"], message.get("action", "")] = message
    for channel, name in SHAPES.items():
        wanted = shape(documented(shared_frames, name))
        if channel in {"trades", "trades-all"}:
            wanted["data"][0]["source"] = "str"  # added in 2025-11
        assert shape(seen[channel, ""]) == wanted, channel
    for action, name in (("snapshot", "full_snapshot_1"), ("update", "incremental_data_1")):
        wanted = documented(shared_frames, f"ws_order_book_channel_push_data_example_{name}")
        assert seen["books", action].keys() == wanted.keys()
        assert {k: type(v) for k, v in seen["books", action]["data"][0].items()} == {
            k: type(v) for k, v in wanted["data"][0].items()
        }
        assert seen["books", action]["data"][0]["checksum"] == 0


async def test_one_answer_a_stream_then_what_it_begins_with(okx, session, shared_frames):
    async with connect(okx, session) as ws:
        await ask(ws, "books:BTC-USDT", "trades:NO-SUCH", "tickers:BTC-USDT")
        first, second, refused, book, ticker = await until_pong(ws)
    assert {**first, "connId": ""} == {**documented(shared_frames, "ws_order_book_channel_response_example_1"), "connId": ""}
    assert (second["id"], second["arg"]["channel"]) == ("1512", "tickers")
    assert (refused["event"], refused["code"], refused["id"]) == ("error", "60018", "1512")
    assert "channel:trades,instId:NO-SUCH doesn't exist" in refused["msg"]
    assert (book["action"], ticker["arg"]["channel"]) == ("snapshot", "tickers")


@pytest.mark.parametrize(
    ("kind", "stream", "code"),
    [
        ("public", "candle1m:BTC-USDT", "60018"),
        ("public", "trades-all:BTC-USDT", "60018"),
        ("business", "books:BTC-USDT", "60018"),
        ("public", "books-l2-tbt:BTC-USDT", "60029"),
        ("public", "books50-l2-tbt:BTC-USDT", "60030"),
        ("public", "funding-rate:BTC-USDT", "60018"),
    ],
)
async def test_refusals(okx, session, kind, stream, code):
    async with connect(okx, session, kind) as ws:
        await ask(ws, stream)
        (refused,) = await until_pong(ws)
        assert (refused["event"], refused["code"]) == ("error", code)


async def test_requests_that_make_no_sense(okx, session, shared_frames):
    wrong = documented(shared_frames, "ws_trades_channel_failure_response_example_1")
    async with connect(okx, session) as ws:
        await ws.send_str('{"id":"1512","op":"subscribe","argss":[{"channel":"trades","instId":"BTC-USD-191227"}]}')
        (refused,) = await until_pong(ws)
        assert (refused.keys(), refused["code"], refused["id"]) == (wrong.keys(), wrong["code"], wrong["id"])
        await ws.send_str("nonsense")
        (refused,) = await until_pong(ws)
        assert refused["event"] == "error"
        await ask(ws, *[f"trades:{'X' * 60}-{n}" for n in range(1000)])
        (refused,) = await until_pong(ws)
        assert refused["code"] == "60013"


async def test_480_subscriptions_an_hour(okx, session):
    async with connect(okx, session) as ws:
        for _ in range(481):
            await ask(ws, "trades:BTC-USDT", op="unsubscribe")
        answers = await until_pong(ws)
    assert [a["event"] for a in answers] == ["unsubscribe"] * 480 + ["error"]
    assert answers[-1]["code"] == "60014"


@pytest.mark.parametrize(("native", "worth"), [("BTC-USDT", 1.0), ("BTC-USDT-SWAP", 0.01), ("BTC-USD-SWAP", 1.0)])
async def test_chains_rebuild_the_book(okx, session, native, worth):
    """Resets and all; latecomers get a snapshot that the next message continues."""
    async with connect(okx, session) as one, connect(okx, session) as late:
        await ask(one, f"books:{native}")
        await okx.play(7)
        await ask(late, f"books:{native}")
        await okx.play(2.04)
        okx.fault(f.Reset(venue="okx", last=40))
        await okx.play(5)
        okx.pause()
        for ws in (one, late):
            client, resets = Client(), 0
            for m in await until_pong(ws):
                if "data" in m:
                    client.take(m)
                    resets += m["action"] == "update" and m["data"][0]["seqId"] < m["data"][0]["prevSeqId"]
            assert (client.broken, resets) == (0, 1)
            equal(client, okx, native, worth)


async def test_a_dropped_update_breaks_the_chain(okx, session):
    async with connect(okx, session) as ws:
        await ask(ws, "books:BTC-USDT")
        okx.fault(f.Drop(after=5))
        await okx.play(5)
        client = Client()
        for m in await until_pong(ws):
            if "data" in m:
                client.take(m)
    assert client.broken == 1


async def test_a_quiet_book_says_every_minute_that_it_lives(okx, session):
    async with connect(okx, session) as ws:
        await ask(ws, "books:BTC-USDT", "books5:BTC-USDT")
        await okx.play(1)
        okx.fault(f.Halt(venue="okx", symbol="BTC-USDT", seconds=0))
        await okx.play(1)
        await until_pong(ws)
        await okx.play(125)
        quiet = [m for m in await until_pong(ws) if "data" in m]
    books = [m["data"][0] for m in quiet if m["arg"]["channel"] == "books"]
    assert [(m["bids"], m["asks"], m["prevSeqId"] == m["seqId"]) for m in books] == [([], [], True)] * 2
    assert sum(m["arg"]["channel"] == "books5" for m in quiet) == 2


async def test_books_as_announced_and_as_they_were(okx, session):
    """Without the first snapshot; HTTP then tells a book that the stream continues. And with the checksum of before."""
    wire = okx.wires["okx"]
    wire.snapshots, wire.checksums = False, True
    async with connect(okx, session) as ws:
        await ask(ws, "books:BTC-USDT")
        await okx.play(3.07)
        async with session.get(f"{okx.http_url('okx')}/api/v5/market/books?instId=BTC-USDT&sz=400&source=0") as answer:
            (whole,) = (await answer.json())["data"]
        await okx.play(2)
        okx.pause()
        updates = [m for m in await until_pong(ws) if "data" in m]
    assert {m["action"] for m in updates} == {"update"}
    client = Client()
    client.take({"action": "snapshot", "data": [{**whole, "prevSeqId": -1}]})
    for m in updates:
        row = m["data"][0]
        if row["seqId"] > whole["seqId"]:
            client.take(m)
            bids, asks = (side[:25] for side in client.levels())
            text = ":".join(f"{p}:{s}" for pair in zip(bids, asks, strict=True) for p, s in pair)
            assert row["checksum"] == zlib.crc32(text.encode()) - (1 << 32) * (zlib.crc32(text.encode()) >> 31)
    assert client.broken == 0
    equal(client, okx, "BTC-USDT")


async def test_trades_add_up(okx, session):
    """Rows of `trades` are the sums of the single ones that they stand for; both are told to whoever asks later, over HTTP."""
    async with connect(okx, session) as public, connect(okx, session, "business") as business:
        await ask(public, "trades:BTC-USDT")
        await ask(business, "trades-all:BTC-USDT")
        await until_pong(public), await until_pong(business)
        await okx.play(20)
        rows = [m["data"][0] for m in await until_pong(public) if "data" in m]
        single = {int(m["data"][0]["tradeId"]): m["data"][0] for m in await until_pong(business) if "data" in m}
        assert any(row["count"] != "1" for row in rows)
        for row in rows:
            ids = range(int(row["tradeId"]) - int(row["count"]) + 1, int(row["tradeId"]) + 1)
            parts = [single.pop(n) for n in ids]
            assert Decimal(row["sz"]) == sum(Decimal(p["sz"]) for p in parts)
            assert {(p["px"], p["side"]) for p in parts} == {(row["px"], row["side"])}
        assert not single
        last = int(rows[-1]["tradeId"])
        get = f"{okx.http_url('okx')}/api/v5/market/"
        async with session.get(f"{get}history-trades?instId=BTC-USDT&type=1&after={last - 4}&limit=5") as answer:
            past = (await answer.json())["data"]
        assert [int(t["tradeId"]) for t in past] == [last - 5 - n for n in range(5)]
        async with session.get(f"{get}trades?instId=BTC-USDT&limit=3") as answer:
            assert [int(t["tradeId"]) for t in (await answer.json())["data"]] == [last, last - 1, last - 2]
        await ask(public, "trades:BTC-USDT", op="unsubscribe")
        await ask(public, "trades:BTC-USDT")
        assert (await until_pong(public))[-1]["data"][0]["tradeId"] == str(last)  # the last one, said again


async def test_http(okx, session):
    base = okx.http_url("okx")

    async def get(path):
        async with session.get(f"{base}/api/v5/{path}") as answer:
            return answer.status, await answer.json()

    _, spot = await get("public/instruments?instType=SPOT")
    _, swaps = await get("public/instruments?instType=SWAP")
    assert {i["instId"] for i in spot["data"]} >= {"BTC-USDT", "ETH-USDT"}
    rows = {i["instId"]: (i["ctVal"], i["ctValCcy"], i["ctType"], i["lotSz"], i["tickSz"]) for i in swaps["data"]}
    assert rows["BTC-USDT-SWAP"] == ("0.01", "BTC", "linear", "0.01", "0.1")
    assert rows["BTC-USD-SWAP"] == ("100", "USD", "inverse", "1", "0.1")
    _, candles = await get("market/candles?instId=BTC-USD-SWAP&bar=1m&limit=300")
    assert 299 <= len(candles["data"]) <= 300
    assert [c[8] for c in candles["data"]][:2] == ["0", "1"] or candles["data"][0][8] == "1"
    volume, in_coins, in_dollars = (Decimal(x) for x in candles["data"][5][5:8])
    assert in_dollars == volume * 100
    assert float(in_coins) == pytest.approx(float(in_dollars / Decimal(candles["data"][5][4])), rel=0.01)
    status, refused = await get("market/books?instId=NO-SUCH")
    assert (status, refused["code"], refused["data"]) == (200, "51001", [])
    assert (await get("market/candles?instId=BTC-USDT&limit=x"))[1]["code"] == "51000"
    assert (await get("nothing"))[0] == 404


async def test_the_notice_before_the_end(okx, session, shared_frames):
    async with connect(okx, session) as ws:
        await ask(ws, "trades:BTC-USDT")
        await until_pong(ws)
        okx.fault(f.Shutdown(venue="okx", grace=30))
        (notice,) = await until_pong(ws)
    assert {**notice, "connId": ""} == {**documented(shared_frames, "notification_notification_1"), "connId": ""}


async def test_a_connection_without_a_word_is_closed(okx, session):
    okx.wires["okx"].patience = 0.005
    async with connect(okx, session) as ws:
        message = await ws.receive(timeout=30)
    assert (message.data, message.extra) == (4004, "No data received in 30s")
