"""GET /api/v1/instruments/search: what fits, in which order, by which name it is added, and how other venues are asked."""

import asyncio

import httpx
import pytest

from tapeline.clock import SECOND, ReplayClock
from tapeline.config import ServerSettings
from tapeline.errors import Unreachable
from tapeline.instruments import Instrument
from tapeline.server.app import Server
from tapeline.server.search import Finder, Found, choose, real_name
from tests.server.fakes import BTC, T0, FakeSource, instrument
from tests.server.test_rest import get, refused
from tests.server.test_subscriptions import FakeControl

SOL = Instrument(id="kraken:SOL-USD", venue="kraken", native="SOL/USD", kind="spot", base="SOL", quote="USD")
BTCS = Instrument(id="kraken:BTC-USD", venue="kraken", native="XBT/USD", kind="spot", base="BTC", quote="USD")
APPLE = Instrument(id="yahoo:AAPL", venue="yahoo", native="AAPL", kind="stock", base="AAPL", quote="USD")


class Venues:
    """Two venues that are not connected, one of which answers when told; a third is down, a fourth only searches."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answer = asyncio.Event()

    async def ask(self, venue: str, words: str) -> Found:
        self.asked.append((venue, words))
        if venue == "okx":
            raise Unreachable("okx does not answer")
        if venue == "yahoo":
            return Found([("yahoo:AAPL", APPLE)] if words == "apple" else [], searched=True)
        await self.answer.wait()
        return Found([("kraken:SOL-USD", SOL), ("kraken:BTC-USD", BTCS)])


@pytest.fixture
def venues():
    return Venues()


@pytest.fixture
def clock():
    return ReplayClock(T0)


@pytest.fixture
async def http(source, venues, clock, tmp_path):
    source.control = FakeControl()
    finder = Finder(("binance", "kraken", "okx", "yahoo"), venues.ask)
    async with (
        Server(source, ServerSettings(port=0), clock, page=tmp_path / "none", finder=finder) as address,
        httpx.AsyncClient(base_url=address, trust_env=False, timeout=30) as client,
    ):
        yield client


async def search(http, q, **params):
    return await get(http, "instruments/search", q=q, **params)


async def test_what_is_streamed_and_listed_is_found_at_once_by_its_real_name(http):
    row = await search(http, "usdt")
    assert [(i["id"], i["name"], i["streaming"]) for i in row["instruments"]] == [
        (BTC, "binance:BTC-USDT", True), ("sim:ETH-USDT", "binance:ETH-USDT", True), ("sim:DOGE-USDT", "binance:DOGE-USDT", False),
    ]  # fmt: skip
    assert row["pending"] == ["kraken", "okx", "yahoo"]  # binance is connected: nobody asks it again
    assert [i["id"] for i in (await search(http, "usdt", limit=1))["instruments"]] == [BTC]
    assert (await search(http, "usdt", limit=1))["more"] is True


async def test_other_venues_are_asked_once_and_told_of_as_they_answer(http, venues, clock):
    await search(http, "btc")
    venues.answer.set()
    row = await search(http, "btc usd")
    assert [(i["id"], i["name"], i["streaming"]) for i in row["instruments"]] == [
        (BTC, "binance:BTC-USDT", True), ("kraken:BTC-USD", "kraken:BTC-USD", False),
    ]  # fmt: skip
    assert row["failed"] == [] or row["failed"][0]["venue"] == "okx"
    again = await search(http, "btc")
    assert [f["venue"] for f in again["failed"]] == ["okx"]
    assert "does not answer" in again["failed"][0]["message"]
    assert [venue for venue, _ in venues.asked].count("kraken") == 1
    clock.set(T0 + 61 * SECOND)
    await search(http, "btc")
    await search(http, "btc")
    assert [venue for venue, _ in venues.asked].count("okx") > 1  # a failure is tried again, a list is kept
    assert [venue for venue, _ in venues.asked].count("kraken") == 1


async def test_a_venue_without_a_list_is_searched_for_each_words(http, venues):
    await search(http, "apple")
    row = await search(http, "apple")
    assert "yahoo" not in row["pending"]
    assert [i["id"] for i in row["instruments"]] == ["yahoo:AAPL"]  # by its own search: the name does not hold the word
    assert "yahoo" in (await search(http, "msft"))["pending"]


async def test_a_replay_searches_itself_only(http, source, venues):
    source.control = None
    row = await search(http, "btc")
    assert (row["pending"], venues.asked) == ([], [])
    assert [i["id"] for i in row["instruments"]] == [BTC]


async def test_what_is_refused(http):
    assert "?q=" in (await refused(http, "instruments/search", 400, "missing_parameter"))["hint"]
    await refused(http, "instruments/search", 400, "missing_parameter", q="  ")
    await refused(http, "instruments/search", 400, "bad_parameter", q="x" * 65)
    await refused(http, "instruments/search", 400, "bad_parameter", q="btc", limit=201)
    await refused(http, "instruments/search", 400, "unknown_parameter", q="btc", venue="kraken")


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("btcusd", ["kraken:BTC-USD", BTC]),
        ("XBT/USD", ["kraken:BTC-USD"]),
        ("kraken", ["kraken:BTC-USD", "kraken:SOL-USD"]),
        ("kraken:sol", ["kraken:SOL-USD"]),
        ("sol kraken", ["kraken:SOL-USD"]),
        ("spot sol", ["kraken:SOL-USD"]),
        ("nothing", []),
    ],
)
def test_words_fit_names_of_ours_or_the_venues(q, ids):
    named = [(i.id, i) for i in (SOL, BTCS, instrument(BTC))]
    assert [i.id for _, i in choose(q, named, set())] == ids


def test_of_simulated_venues_that_share_a_label_the_kind_tells_which_is_meant():
    status = {"venues": [{"protocol": p, "label": "sim"} for p in ("binance", "binance-usdm", "binance-coinm")]}

    def sim(symbol: str, kind: str, *, inverse: bool = False) -> Instrument:
        return Instrument(id=f"sim:{symbol}", venue="sim", native=symbol, kind=kind, base="BTC", quote="USD", inverse=inverse)  # type: ignore[arg-type]

    assert real_name(sim("BTC-USDT", "spot"), status) == "binance:BTC-USDT"
    assert real_name(sim("BTC-USDT-PERP", "perpetual"), status) == "binance-usdm:BTC-USDT-PERP"
    assert real_name(sim("BTC-USD-PERP", "perpetual", inverse=True), status) == "binance-coinm:BTC-USD-PERP"
    assert real_name(sim("BTC-USDT-PERP", "perpetual"), {"venues": status["venues"][1:2]}) == "binance-usdm:BTC-USDT-PERP"


def test_a_source_without_venues_finds_what_it_streams():
    source = FakeSource()
    assert [i.id for _, i in choose("eth", [("", i) for i in source.instruments()], set())] == ["sim:ETH-USDT"]
