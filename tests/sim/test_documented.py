"""Our payloads have the documented keys in the documented order, and values of the documented kinds."""

import json

import pytest

from tests.sim.client import drain

SPOT = {
    "trade": "trade_streams_1",
    "aggTrade": "aggregate_trade_streams_1",
    "depth": "diff_depth_stream_1",
    "depth5": "partial_book_depth_streams_1",
    "bookTicker": "individual_symbol_book_ticker_streams_1",
    "kline_1m": "kline_candlestick_streams_for_utc_1",
    "avgPrice": "average_price_1",
    "miniTicker": "individual_symbol_mini_ticker_stream_1",
    "ticker": "individual_symbol_ticker_streams_1",
}
PUBLIC = {
    "depth": "diff_book_depth",
    "depth5": "partial_book_depth",
    "bookTicker": "book_ticker_real_capture",
    "trade": "trade_real_capture",
}
MARKET = {
    "aggTrade": "agg_trade",
    "kline_1m": "nautilus_kline_stream_open",
    "markPrice": "mark_price_fields",
    "ticker": "nautilus_ticker_stream",
    "forceOrder": "nautilus_liquidation_stream",
}
REST = {
    "ping": "test_connectivity",
    "time": "check_server_time",
    "depth?symbol=BTCUSDT": "order_book",
    "trades?symbol=BTCUSDT": "recent_trades_list",
    "aggTrades?symbol=BTCUSDT": "compressed_aggregate_trades_list",
    "klines?symbol=BTCUSDT&interval=1m": "kline_candlestick_data",
    "avgPrice?symbol=BTCUSDT": "current_average_price",
}
ADDED_LATER = {"st", "ps"}


def shape(value):
    """Keys in order, and the kinds of what stands under them; lists by their first element."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items() if key not in ADDED_LATER]
    if isinstance(value, list):
        return ["list", shape(value[0])] if value else ["list"]
    return type(value).__name__


def row(value):
    """A REST bar is a list of unlike things."""
    return [[type(cell).__name__ for cell in value[0]]]


def documented(frames, folder, name):
    payload = json.loads((frames / "documented" / folder / f"{name}.json").read_text())["payload"]
    return payload.get("data", payload) if isinstance(payload, dict) else payload


async def streams(sim, session, venue, path, names, seconds):
    query = "/".join(f"btcusdt@{name}" for name in names)
    async with session.ws_connect(f"{sim.ws_url(venue)}{path}/stream?streams={query}", max_msg_size=0) as ws:
        await sim.play(seconds)
        first = {}
        for message in await drain(ws, session):
            data = message["data"]
            complete = all(data.get(side) for side in ("b", "a")) if data.get("e") == "depthUpdate" else True
            if complete:
                first.setdefault(message["stream"].partition("@")[2], data)
        return first


@pytest.mark.parametrize(
    ("venue", "path", "folder", "names", "seconds"),
    [
        ("binance", "", "binance_spot", SPOT, 4),
        ("binance-usdm", "/public", "binance_usdm", PUBLIC, 4),
        ("binance-usdm", "/market", "binance_usdm", MARKET, 150),
    ],
)
async def test_streams(shared_frames, sim, session, venue, path, folder, names, seconds):
    got = await streams(sim, session, venue, path, names, seconds)
    assert set(got) == set(names)
    for name, document in names.items():
        assert shape(got[name]) == shape(documented(shared_frames, folder, document)), name


async def test_answers(shared_frames, sim, session):
    await sim.play(2)
    for address, document in REST.items():
        got = await (await session.get(f"{sim.http_url('binance')}/api/v3/{address}")).json()
        expected = documented(shared_frames, "binance_spot_rest", f"rest_api_{document}_1")
        compare = row if address.startswith("klines") else shape
        assert compare(got) == compare(expected), address
    info = await (await session.get(f"{sim.http_url('binance')}/api/v3/exchangeInfo")).json()
    expected = documented(shared_frames, "binance_spot_rest", "rest_api_exchange_information_1")
    assert list(info["symbols"][0]) == list(expected["symbols"][0])
