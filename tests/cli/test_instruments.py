import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapeline.cli import context, listing
from tapeline.cli.instruments import instruments
from tapeline.errors import Refused, Unreachable, UsageError, VenueError
from tapeline.instruments import Instrument
from tapeline.sim import SimServer
from tapeline.venues.registry import VENUES
from tests.cli.venue import venue


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(context, "config", None)
    monkeypatch.setattr(context, "assignments", {})
    return tmp_path


def at(monkeypatch, address: str) -> None:
    monkeypatch.setitem(context.assignments, "venues.binance.http_url", address)


def nobody() -> str:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


async def test_the_list_is_the_venues_own_with_tick_and_lot(monkeypatch, capsys):
    with venue() as address:
        at(monkeypatch, address)
        await instruments(venue=["binance"])
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert rows[0] == ["id", "native", "kind", "tick", "lot", "contract", "session", "status"]
    assert ["binance:BTC-USDT", "BTCUSDT", "spot", "0.01", "0.00001", "-", "24/7", "TRADING"] in rows
    assert f"4 instruments from {address}" in err


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("eth", {"binance:ETH-USDT", "binance:ETH-BTC"}),
        ("ETHBTC", {"binance:ETH-BTC"}),
        ("binance:sol-usdt", {"binance:SOL-USDT"}),
        ("eth/usd", {"binance:ETH-USDT"}),
        ("SOL USDT", {"binance:SOL-USDT"}),
        ("BINANCE:SOL-", {"binance:SOL-USDT"}),
    ],
)
async def test_a_query_is_part_of_a_name_of_ours_or_the_venues(monkeypatch, capsys, query, ids):
    with venue() as address:
        at(monkeypatch, address)
        await instruments(query, venue=["binance"], json=True)
    assert {i["id"] for i in json.loads(capsys.readouterr().out)} == ids


async def test_a_wrong_name_gets_the_three_nearest(monkeypatch):
    with venue() as address:
        at(monkeypatch, address)
        with pytest.raises(UsageError, match=r"'BTC-USDC' at binance; nearest are binance:BTC-USDT, .*:.*, .*:"):
            await instruments("binance:BTC-USDC")


async def test_without_a_network_the_kept_list_is_used_and_that_is_said(monkeypatch, capsys, place):
    with venue() as address:
        at(monkeypatch, address)
        await instruments(venue=["binance"])
    live = capsys.readouterr().out
    assert (place / "data" / "instruments" / "binance.json").is_file()
    at(monkeypatch, nobody())
    await instruments(venue=["binance"])
    out, err = capsys.readouterr()
    assert out == live
    assert "binance does not answer" in err
    assert "kept since" in err
    await instruments(venue=["binance"], offline=True)
    assert capsys.readouterr().out == live


async def test_without_network_and_list_it_is_the_venues_fault(monkeypatch):
    at(monkeypatch, nobody())
    with pytest.raises(Unreachable, match="binance does not answer"):
        await instruments(venue=["binance"])
    with pytest.raises(VenueError, match="leave out --offline"):
        await instruments(venue=["binance"], offline=True)


@pytest.mark.parametrize(
    ("status", "words"), [(451, "does not serve this region"), (403, "refuses this address"), (418, "banned")]
)
async def test_a_refusal_is_said_plainly(monkeypatch, status, words):
    with venue(status) as address:
        at(monkeypatch, address)
        with pytest.raises(Refused, match=words) as caught:
            await instruments(venue=["binance"])
    assert caught.value.status == status


async def test_a_simulated_list_is_labelled_and_not_kept_as_the_venues(monkeypatch, capsys, place):
    with venue(headers={"X-Tapeline-Simulated": "1"}) as address:
        at(monkeypatch, address)
        await instruments("BTC-USDT", venue=["binance"], json=True)
    assert [i["id"] for i in json.loads(capsys.readouterr().out)] == ["sim:BTC-USDT"]
    assert not (place / "data").exists()


async def test_a_damaged_kept_list_is_left_aside(monkeypatch, capsys, place):
    (place / "data" / "instruments").mkdir(parents=True)
    (place / "data" / "instruments" / "binance.json").write_text("{")
    with venue() as address:
        at(monkeypatch, address)
        await instruments("BTC-USDT", venue=["binance"])
    assert "left aside" in capsys.readouterr().err


async def test_an_unknown_venue_names_those_there_are():
    with pytest.raises(UsageError, match="binance-usdm"):
        await instruments(venue=["binanse"])


# Several venues


@pytest.fixture(scope="module")
def markets():
    """Lists of every shape: pairs, contracts in coins, contracts in dollars."""
    with SimServer.in_thread(venues=["kraken", "binance-coinm"], seed=1) as sim:
        yield sim


def at_market(monkeypatch, sim, *venues):
    for name in venues:
        monkeypatch.setitem(context.assignments, f"venues.{name}.http_url", sim.http_url(name))


def rows_of(text):
    return {row[0]: row for row in (line.split() for line in text.splitlines())}


async def test_contracts_say_what_one_is_worth(monkeypatch, capsys, markets):
    at_market(monkeypatch, markets, "kraken", "binance-coinm")
    await instruments("BTC-USD", venue=["kraken", "binance-coinm"])
    out, err = capsys.readouterr()
    rows = rows_of(out)
    assert rows["id"][4:] == ["lot", "contract", "session", "status"]
    assert rows["sim-kraken:BTC-USD"][1:] == ["BTC/USD", "spot", "0.1", "0.00000001", "-", "24/7", "online"]
    assert rows["sim:BTC-USD-PERP"][2] == "perpetual"
    assert rows["sim:BTC-USD-PERP"][5] == "100_USD"  # inverse: so many dollars
    assert len(err.splitlines()) == 2


async def test_what_a_row_says(monkeypatch, capsys, place):
    """A contract in coins, and a stock, which has hours; tiny steps as a person writes them."""
    i = Instrument(id="okx:BTC-USDT-PERP", venue="okx", native="BTC-USDT-SWAP", kind="perpetual", base="BTC", quote="USDT",
                   tick=0.1, lot=1e-18, contract_size=0.01, status="live")  # fmt: skip
    stock = Instrument(id="okx:AAPL", venue="okx", native="AAPL", kind="stock", base="AAPL", quote="USD", session="XNYS")
    (place / "data" / "instruments").mkdir(parents=True)
    kept = listing.Listing(venue="okx", source="somewhere", fetched=1, instruments=[i, stock])
    (place / "data" / "instruments" / "okx.json").write_bytes(msgspec.json.encode(kept))
    await instruments(venue=["okx"], offline=True)
    rows = rows_of(capsys.readouterr().out)
    assert rows["okx:BTC-USDT-PERP"][3:] == ["0.1", "0.000000000000000001", "0.01_BTC", "24/7", "live"]
    assert rows["okx:AAPL"][2:] == ["stock", "-", "-", "-", "XNYS", "-"]


async def test_one_name_at_every_venue(monkeypatch, capsys, markets):
    """BTC is not XBT."""
    at_market(monkeypatch, markets, "kraken")
    await instruments(venue=["kraken"])
    assert not [name for name in rows_of(capsys.readouterr().out) if "XBT" in name or "XDG" in name]


class Found(BaseHTTPRequestHandler):
    """Yahoo's search: Apple, whatever is asked."""

    def do_GET(self):
        body = json.dumps(
            {"quotes": [{"symbol": "AAPL", "exchange": "NMS", "quoteType": "EQUITY", "shortname": "Apple Inc."}]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextmanager
def serving(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent():
    """An address that takes connections and never says a word."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(64)
        yield f"http://127.0.0.1:{s.getsockname()[1]}"


async def test_venues_that_do_not_answer_cost_one_line_each(monkeypatch, capsys, place):
    monkeypatch.setitem(context.assignments, "answer_seconds", "0.5")
    with venue() as address, silent() as nothing:
        for name in VENUES:
            monkeypatch.setitem(context.assignments, f"venues.{name}.http_url", nothing)
        at(monkeypatch, address)
        await instruments("BTC")
    out, err = capsys.readouterr()
    assert set(rows_of(out)) == {"id", "binance:BTC-USDT", "binance:ETH-BTC"}
    failed = [line for line in err.splitlines() if "does not answer" in line or "API key" in line]
    assert len(failed) == len(VENUES) - 1 == len(err.splitlines()) - 1
    assert all(any(name in line for line in failed) for name in VENUES if name not in {"binance", "finnhub"})


async def test_venues_are_asked_side_by_side(monkeypatch, capsys):
    """None gets its answer before all have asked."""
    names = ("binance", "binance-usdm", "kraken")
    together = threading.Barrier(len(names), timeout=60)

    class Waiting(Found):
        def do_GET(self):
            together.wait()
            super().do_GET()

    with serving(Waiting) as address:
        for name in names:
            monkeypatch.setitem(context.assignments, f"venues.{name}.http_url", address)
        with pytest.raises(VenueError):  # it is no list
            await instruments(venue=list(names))
    assert not together.broken


async def test_where_none_answers_every_reason_is_said(monkeypatch, capsys):
    dead = nobody()
    for name in ("binance", "kraken"):
        monkeypatch.setitem(context.assignments, f"venues.{name}.http_url", dead)
    with pytest.raises(Unreachable, match="kraken does not answer"):
        await instruments(venue=["binance", "kraken"])
    assert "binance does not answer" in capsys.readouterr().err


async def test_a_kept_list_is_not_waited_for_long(monkeypatch, capsys):
    monkeypatch.setattr(listing, "KEPT_PATIENCE", 0.2)
    with venue() as address:
        at(monkeypatch, address)
        await instruments(venue=["binance"])
    live = capsys.readouterr().out
    with silent() as nothing:
        at(monkeypatch, nothing)
        await instruments(venue=["binance"])
    out, err = capsys.readouterr()
    assert out == live
    assert "within 0.2 s" in err
    assert "using the list that was kept" in err


async def test_offline_searches_what_was_kept_and_names_the_nearest(monkeypatch, capsys):
    with venue() as address:
        at(monkeypatch, address)
        await instruments(venue=["binance"])
    at(monkeypatch, nobody())
    capsys.readouterr()
    await instruments("solusdt", offline=True, json=True, venue=["binance"])
    assert [i["id"] for i in json.loads(capsys.readouterr().out)] == ["binance:SOL-USDT"]
    with pytest.raises(UsageError, match="nearest are binance:SOL-USDT, "):
        await instruments("SOL-USTD", offline=True, venue=["binance"])


async def test_a_venue_without_a_list_is_searched_and_what_was_found_is_kept(monkeypatch, capsys, place):
    """Yahoo finds by the company's name, which is no part of the symbol."""
    body = {
        "quotes": [
            {"symbol": "AAPL", "exchange": "NMS", "quoteType": "EQUITY"},
            {"symbol": "APC.DE", "exchange": "GER", "quoteType": "EQUITY"},
        ]
    }
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query_string)
        return web.json_response(body)

    app = web.Application()
    app.router.add_get("/v1/finance/search", answer)
    async with TestServer(app) as server:
        monkeypatch.setitem(context.assignments, "venues.yahoo.http_url", str(server.make_url("")).rstrip("/"))
        await instruments("yahoo:apple")
        rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
        assert rows == [
            ["yahoo:AAPL", "AAPL", "stock", "-", "-", "-", "XNYS", "-"],
            ["yahoo:APC.DE", "APC.DE", "stock", "-", "-", "-", "XETR", "-"],
        ]
        assert asked == ["q=apple&quotesCount=25&newsCount=0"]
        body["quotes"] = [{"symbol": "MSFT", "exchange": "NMS", "quoteType": "EQUITY"}]
        await instruments("yahoo:micro")
        body["quotes"] = []
        with pytest.raises(UsageError, match="no instrument like 'xyzzy' at yahoo"):
            await instruments("yahoo:xyzzy")
    capsys.readouterr()
    await instruments("yahoo:AAP", offline=True)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["yahoo:AAPL"]
    await instruments(venue=["yahoo"])  # nothing to look for: what is kept is shown
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    assert "gives no list: name what you look for" in err
    (place / "data" / "instruments" / "yahoo.json").unlink()
    with pytest.raises(UsageError, match="gives no list"):
        await instruments(venue=["yahoo"])


async def test_a_list_that_cannot_be_kept_is_shown_all_the_same(monkeypatch, capsys, place):
    (place / "data").write_text("a file stands where the directory should")
    with venue() as address:
        at(monkeypatch, address)
        await instruments("SOL", venue=["binance"])
    out, err = capsys.readouterr()
    assert "binance:SOL-USDT" in out
    assert "cannot be kept" in err or "left aside" in err
