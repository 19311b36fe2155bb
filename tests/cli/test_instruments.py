import json
import socket

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tapeline.cli import context
from tapeline.cli.instruments import instruments
from tapeline.errors import Refused, Unreachable, UsageError, VenueError
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
    assert ["binance:BTC-USDT", "BTCUSDT", "spot", "0.01", "0.00001", "TRADING"] in rows
    assert f"4 instruments from {address}" in err


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("eth", {"binance:ETH-USDT", "binance:ETH-BTC"}),
        ("ETHBTC", {"binance:ETH-BTC"}),
        ("binance:sol-usdt", {"binance:SOL-USDT"}),
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
        assert rows == [["yahoo:AAPL", "AAPL", "stock", "XNYS"], ["yahoo:APC.DE", "APC.DE", "stock", "XETR"]]
        assert asked == ["q=APPLE&quotesCount=25&newsCount=0"]
        body["quotes"] = [{"symbol": "MSFT", "exchange": "NMS", "quoteType": "EQUITY"}]
        await instruments("yahoo:micro")
        body["quotes"] = []
        with pytest.raises(UsageError, match="no instrument like 'XYZZY' at yahoo"):
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
