"""HTTP: shapes, limits, weights, errors."""

from decimal import Decimal

import pytest

from tapeline.sim import SimServer
from tapeline.sim.limits import Weights

SECOND = 1_000_000_000


async def get(session, sim, venue, path, **params):
    answer = await session.get(sim.http_url(venue) + path, params=params)
    return answer, await answer.json()


async def test_depth_is_cut_at_the_limit(sim, session):
    for venue, path, limits in (("binance", "/api/v3/depth", (1, 7, 100)), ("binance-usdm", "/fapi/v1/depth", (5, 20, 100))):
        truth = sim.book(venue, "BTCUSDT")
        for limit in limits:
            _, body = await get(session, sim, venue, path, symbol="BTCUSDT", limit=limit)
            assert [(float(p), float(q)) for p, q in body["bids"]] == truth.bids[:limit]
            assert [(float(p), float(q)) for p, q in body["asks"]] == truth.asks[:limit]


@pytest.mark.parametrize(
    ("path", "status", "answer"),
    [
        ("/api/v3/depth?symbol=NOPE", 400, {"code": -1121, "msg": "Invalid symbol."}),
        (
            "/api/v3/depth",
            400,
            {"code": -1102, "msg": "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."},
        ),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, {"code": -1120, "msg": "Invalid interval."}),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, {"code": -4021, "msg": "7 is not valid depth limit"}),
        ("/fapi/v1/premiumIndex?symbol=NOPE", 400, {"code": -1121, "msg": "Invalid symbol."}),
        ("/api/v3/ping", 200, {}),
    ],
)
async def test_errors_are_the_venues_own(sim, session, path, status, answer):
    got = await session.get(sim.http_url("binance") + path)
    assert (got.status, await got.json()) == (status, answer)


async def test_weight_is_counted_as_the_venue_does(sim, session):
    used = []
    for limit in (100, 500, 1000, 5000):
        answer, _ = await get(session, sim, "binance", "/api/v3/depth", symbol="BTCUSDT", limit=limit)
        used.append(int(answer.headers["X-MBX-USED-WEIGHT-1M"]))
    assert used == [5, 30, 80, 330]


async def test_past_the_budget_there_is_429_and_then_418(session):
    async with SimServer(seed=1, live=False, instruments=["BTCUSDT"], weight_budget=10) as sim:
        statuses = []
        for _ in range(14):
            answer, body = await get(session, sim, "binance", "/api/v3/depth", symbol="BTCUSDT")
            statuses.append(answer.status)
            if answer.status != 200:
                assert int(answer.headers["Retry-After"]) > 0
                assert body["code"] == -1003
        assert statuses == [200] * 2 + [429] * 10 + [418] * 2


def test_the_budget_comes_back_and_a_ban_ends():
    weights = Weights(10)
    assert weights.charge(10, 0).status == 200
    assert weights.charge(1, 59 * SECOND).retry_after == 1
    assert weights.charge(1, 60 * SECOND).status == 200
    assert [weights.charge(10, 61 * SECOND).status for _ in range(11)] == [429] * 10 + [418]
    assert weights.charge(1, 180 * SECOND).status == 418
    assert weights.charge(1, 182 * SECOND).status == 200


async def test_trades_bars_and_tickers_agree_with_one_another(sim, session):
    await sim.play(5)
    sim.pause()
    _, trades = await get(session, sim, "binance", "/api/v3/trades", symbol="BTCUSDT", limit=1000)
    ids = [t["id"] for t in trades]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(Decimal(t["quoteQty"]) == Decimal(t["price"]) * Decimal(t["qty"]) for t in trades)
    _, seconds = await get(session, sim, "binance", "/api/v3/klines", symbol="BTCUSDT", interval="1s")
    assert sum(Decimal(k[5]) for k in seconds) == sum(Decimal(t["qty"]) for t in trades)
    _, minutes = await get(session, sim, "binance", "/api/v3/klines", symbol="BTCUSDT", interval="1m", limit=3)
    assert minutes[-1][4] == trades[-1]["price"]
    _, some = await get(
        session, sim, "binance", "/api/v3/klines", symbol="BTCUSDT", interval="1m", startTime=minutes[0][0], limit=2
    )
    assert some == minutes[:2]
    _, aggregates = await get(session, sim, "binance", "/api/v3/aggTrades", symbol="BTCUSDT", limit=1000)
    assert sum(Decimal(a["q"]) for a in aggregates) == sum(Decimal(t["qty"]) for t in trades)
    _, later = await get(session, sim, "binance", "/api/v3/aggTrades", symbol="BTCUSDT", fromId=aggregates[3]["a"], limit=2)
    assert later == aggregates[3:5]


async def test_exchange_information_gives_the_grid_that_prices_stand_on(sim, session):
    for venue, base in (("binance", "/api/v3/"), ("binance-usdm", "/fapi/v1/")):
        _, info = await get(session, sim, venue, base + "exchangeInfo")
        for symbol in info["symbols"]:
            filters = {f["filterType"]: f for f in symbol["filters"]}
            _, book = await get(session, sim, venue, base + "depth", symbol=symbol["symbol"], limit=100)
            for price, size in book["bids"] + book["asks"]:
                assert Decimal(price) % Decimal(filters["PRICE_FILTER"]["tickSize"]) == 0
                assert Decimal(size) % Decimal(filters["LOT_SIZE"]["stepSize"]) == 0


async def test_mark_index_and_funding(sim, session):
    _, one = await get(session, sim, "binance-usdm", "/fapi/v1/premiumIndex", symbol="BTCUSDT")
    assert abs(float(one["markPrice"]) / float(one["indexPrice"]) - 1) < 0.01
    assert one["nextFundingTime"] % (8 * 3600 * 1000) == 0
    _, every = await get(session, sim, "binance-usdm", "/fapi/v1/premiumIndex")
    assert {o["symbol"] for o in every} == {"BTCUSDT", "ETHUSDT"}
