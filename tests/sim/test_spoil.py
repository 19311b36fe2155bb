"""Faults on messages in the shapes of all venues: what is spoiled is what was meant, and nothing else."""

import json

import pytest

from tapeline.sim import spoil

BOOKS = {
    "binance": '{"e":"depthUpdate","E":1790000000123,"s":"BTCUSDT","U":1,"u":2,"b":[["97000.10","1.5"]],"a":[["97000.20","2"]]}',
    "bybit": '{"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1790000000123,"data":{"s":"BTCUSDT","b":[["97000.10","1.5"]],'
    '"a":[],"u":18521288,"seq":7961638724},"cts":1790000000120}',
    "okx": '{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["97000.2","2","0","3"]],'
    '"bids":[["97000.1","1.5","0","1"]],"ts":"1790000000123","checksum":-855196043,"prevSeqId":10,"seqId":15}]}',
    "kraken": '{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":97000.1,"qty":1.50000000}],'
    '"asks":[],"checksum":2505869009,"timestamp":"2026-09-21T13:33:20.123456Z"}]}',
    "coinbase": '{"type":"l2update","product_id":"BTC-USD","time":"2026-09-21T13:33:20.123456Z",'
    '"changes":[["sell","97000.10","1.5"]]}',
    "coinbase-advanced": '{"channel":"l2_data","client_id":"","timestamp":"2026-09-21T13:33:20.123456789Z","sequence_num":7,'
    '"events":[{"type":"update","product_id":"BTC-USD","updates":[{"side":"offer","event_time":"2026-09-21T13:33:20.12Z",'
    '"price_level":"97000.1","new_quantity":"1.5"}]}]}',
}
TRADES = {
    "binance": '{"e":"trade","E":1790000000123,"s":"BTCUSDT","t":12345,"p":"97000.10","q":"1.5","T":1790000000123,"m":true}',
    "bybit": '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1790000000123,"data":[{"T":1790000000123,"s":"BTCUSDT",'
    '"S":"Buy","v":"1.5","p":"97000.10","i":"20f43950-d8dd-5b31-9112-a178eb6023af","seq":99}]}',
    "okx": '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474","px":"97000.1",'
    '"sz":"1.5","side":"buy","ts":"1790000000123","count":"3","seqId":1234}]}',
    "kraken": '{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":97000.1,"qty":1.50000000,'
    '"ord_type":"limit","trade_id":123,"timestamp":"2026-09-21T13:33:20.123456Z"}]}',
    "coinbase": '{"type":"match","trade_id":10,"sequence":50,"time":"2026-09-21T13:33:20.123456Z","product_id":"BTC-USD",'
    '"size":"1.5","price":"97000.10","side":"sell"}',
    "finnhub": '{"type":"trade","data":[{"c":["1","8"],"p":97000.1,"s":"BINANCE:BTCUSDT","t":1790000000123,"v":1}]}',
}
EACH_BOOK = pytest.mark.parametrize("body", BOOKS.values(), ids=BOOKS)
EACH_TRADE = pytest.mark.parametrize("body", TRADES.values(), ids=TRADES)


def leaves(node):
    """Every number and text in a message, by path."""
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, list):
        pairs = enumerate(node)
    else:
        return {(): node}
    return {(key, *path): leaf for key, child in pairs for path, leaf in leaves(child).items()}


def changed(body, spoiled):
    """The leaves that differ, before and after."""
    before, after = leaves(json.loads(body)), leaves(json.loads(spoiled))
    return {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }


@EACH_TRADE
@pytest.mark.parametrize(("how", "wrong"), [("negative", -1.0), ("exponent", 1e-7), ("zero_exponent", 0), ("minus_zero", 0)])
def test_one_number_is_spoiled_and_nothing_else(body, how, wrong):
    ((path, (before, after)),) = changed(body, spoil.malform(body.encode(), how)).items()
    assert float(before) in {97000.1, 1.5, 1}
    assert path[-1] in {"p", "q", "v", "px", "sz", "price", "qty", "size"}
    assert float(after) == wrong


@EACH_BOOK
def test_a_price_or_size_of_a_book_is_spoiled(body):
    for how in ("negative", "wrong_type", "zero_price"):
        found = changed(body, spoil.malform(body.encode(), how))
        assert any(
            isinstance(before, str | float) and float(before) in {97000.1, 97000.2, 1.5, 2} for before, _ in found.values()
        )


@pytest.mark.parametrize("body", [*BOOKS.values(), *TRADES.values()])
def test_times_are_moved_and_nothing_else(body):
    found = changed(body, spoil.skew(body.encode(), -60_000))
    assert found
    for before, after in found.values():
        if isinstance(before, str) and "T" in before:
            assert (before[:17], after[:17]) == ("2026-09-21T13:33:", "2026-09-21T13:32:")
            assert float(before[17:-1]) == pytest.approx(float(after[17:-1]), abs=1e-6)
        else:
            assert int(before) - 60_000 == int(after)


@pytest.mark.parametrize("body", [*BOOKS.values(), *TRADES.values()])
def test_times_before_there_were_any(body):
    epoch, one = (spoil.malform(body.encode(), how) for how in ("epoch", "year_one"))
    assert all(str(after) in {"0", "1970-01-01T00:00:00Z"} for _, after in changed(body, epoch).values())
    assert all(str(after).startswith(("-62135596800000", "0001-01-01")) for _, after in changed(body, one).values())
    assert changed(body, epoch)
    assert changed(body, one)


@pytest.mark.parametrize("venue", ["binance", "okx", "kraken", "coinbase"])
def test_an_id_past_what_an_integer_holds(venue):
    body = TRADES[venue]
    ((_, (before, after)),) = changed(body, spoil.malform(body.encode(), "huge_id")).items()
    assert int(before) in {12345, 130639474, 123, 10}
    assert int(after) > 2**63


@EACH_BOOK
def test_a_book_is_crossed_in_its_own_shape(body):
    message = spoil.cross(body.encode())
    added = {path: after for path, (before, after) in changed(body, message).items() if before is None}
    assert any(isinstance(one, str | float) and str(one).startswith("9797") for one in added.values())
    assert all(before is None for before, _ in changed(body, message).values())
    assert spoil.cross(b'{"topic":"tickers"}') == b'{"topic":"tickers"}'


def test_a_checksum_is_made_wrong_where_there_is_one():
    for venue, body in BOOKS.items():
        found = changed(body, spoil.corrupt(body.encode()))
        assert [path[-1] for path in found] == (["checksum"] if venue in {"okx", "kraken"} else [])


@pytest.mark.parametrize("body", [*BOOKS.values(), *TRADES.values()])
def test_what_cannot_be_read(body):
    for how in ("truncated", "utf8", "empty", "not_json"):
        with pytest.raises((UnicodeDecodeError, json.JSONDecodeError)):
            json.loads(spoil.malform(body.encode(), how))
    assert {k: v for k, v in json.loads(spoil.oversize(body.encode(), 0.01)).items() if k != "padding"} == json.loads(body)
