"""What messages held, counted where they are decoded; the state of a pipeline that is watched is that of one that is not."""

import json

from tapeline.engine import checkpoint
from tapeline.engine.lines import frames
from tapeline.engine.pipeline import Pipeline
from tapeline.engine.tally import Tally
from tapeline.events import Trade, to_json
from tapeline.venues.registry import venue_class

T = 1_795_132_800_000
BTC = "binance:BTC-USDT"


def trade(n: int, price: str = "5", symbol: str = "BTCUSDT", **more: str) -> bytes:
    data = {"e": "trade", "E": T + n, "T": T + n, "s": symbol, "t": n, "p": price, "q": "1", "m": True, **more}
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": data}).encode()


SAID = [
    trade(1),
    trade(1),
    trade(2, price="0", X="NA"),
    trade(3, X="ADL"),
    trade(1, symbol="ETHUSDT"),
    b"no message",
    b'{"result":null,"id":1}',
    b'{"stream":"btcusdt@new","data":{"e":"new","s":"BTCUSDT"}}',
]


def play(pipeline: Pipeline, said: list[bytes]) -> list[bytes]:
    out = []
    pipeline.feed_many(0, list(frames(venue_class("binance")(), said, "ws://x/stream")), out)
    return [to_json(e) for e in out]


def test_each_message_is_counted_by_what_it_held():
    tally, pipeline = Tally(), Pipeline()
    pipeline.carriers.watch = tally.watch
    play(pipeline, SAID)
    assert tally.messages == {"trade": 5, "malformed": 1, "control": 1, "other": 1}
    assert tally.trades == {BTC: 2, "binance:ETH-USDT": 1}
    assert tally.skipped == {(BTC, "zero"): 1, (BTC, "ADL"): 1}


def test_whoever_watches_changes_nothing():
    watched = Pipeline()
    watched.carriers.watch = Tally().watch
    assert play(watched, SAID) == play(Pipeline(), SAID)


def test_a_pipeline_that_is_watched_is_put_away_without_its_watcher():
    tally, pipeline = Tally(), Pipeline()
    pipeline.carriers.watch = tally.watch
    play(pipeline, SAID)
    loaded = checkpoint.load(checkpoint.dump(pipeline))
    assert loaded.carriers.watch is None
    before = tally.messages.copy()
    made: list[Trade] = []
    (frame,) = list(frames(venue_class("binance")(), [trade(4)], "ws://x/stream"))[1:]
    loaded.feed(frame, made)
    assert [e.id for e in made if isinstance(e, Trade)] == ["4"]
    assert tally.messages == before
    pipeline.feed(frame, [])  # and the one that was put away is watched as before
    assert tally.messages["trade"] == before["trade"] + 1
