"""Rule 1 with every metric on: samples are the same in any batches, with ticks anywhere, and cut and put away anywhere."""

import random
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.config import PipelineSettings
from tapeline.engine.lines import frames as frames_of
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event, Metrics
from tapeline.frames import Frame
from tapeline.market.metrics import registry
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, SECOND, T0, opened, play, recv, same, tick, trade
from tests.engine.test_checkpoint import RECORDED, lines_of, put_away
from tests.engine.test_following import begin, end
from tests.engine.test_rule_one import story

EVERY = tuple(map(registry.form, registry.METRICS.values()))
SHORT = (
    "spread_10s", "effective_spread_20s", "realised_spread_20s_2s", "ofi_10s", "twap_10s", "mid_twap_10s", "profile_20s",
    "vol_yang_zhang_5_1s", "vol_two_scale_30s_5", "kyle_lambda_1m_2s", "vpin_30s_10", "vpin_bulk_10_5_1s", "rsi_5_1s",
    "trade_size_10s", "large_trades_20s_2",
)  # fmt: skip
GROUPS = ("all: binance:BTC-USDT binance-usdm:BTC-USDT-PERP",)


def played(frames: Sequence[Frame], cuts: Sequence[int] = (), *, put: bool = False) -> list[Event]:
    pipeline, out = Pipeline(PipelineSettings(metrics=(*EVERY, *SHORT), groups=GROUPS)), list[Event]()
    for first, last in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        pipeline.feed_many(first, frames[first:last], out)
        pipeline = put_away(pipeline) if put else pipeline
    pipeline.finish(out)
    assert pipeline.faults == 0
    return out


def samples(events: Sequence[Event]) -> list[Metrics]:
    return [e for e in events if isinstance(e, Metrics) and e.values is not None]


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.data())
def test_batches_and_cuts_change_nothing(seed: int, put: bool, data: st.DataObject) -> None:
    frames = story(seed, 50)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=6)))
    expected = played(frames)
    assert len(samples(expected)) > 10
    same(played(frames, cuts, put=put), expected)


@pytest.mark.parametrize("seed", [3, 5, 10])
def test_ticks_change_nothing(seed: int) -> None:
    frames, dice = story(seed, 50), random.Random(seed)
    ticked: list[Frame] = []
    for before, after in zip(frames, [*frames[1:], frames[-1]], strict=True):
        ticked += [before, tick(dice.randint(before.ts_recv, max(before.ts_recv, after.ts_recv)))]
    same(played(ticked), played(frames))


@pytest.mark.parametrize("venue", ["binance", "binance-usdm"])
def test_recorded_sessions(shared_frames: Path, venue: str) -> None:
    path = shared_frames / "recorded" / RECORDED[venue]
    frames = list(islice(frames_of(venue_class(venue)(), lines_of(path), path.name), 6_000))
    expected, dice = played(frames), random.Random(venue)
    names = {name.partition(".")[0] for e in samples(expected) for name in e.values or {}}
    assert names >= {"vwap_5m", "depth_10bps", "effective_spread_20s", "profile_20s", "vpin_30s_10"}
    same(played(frames, sorted(dice.randrange(len(frames)) for _ in range(4)), put=True), expected)


def test_trades_that_are_subscribed_again_begin_the_samples_anew_and_incomplete() -> None:
    def trades(start: int, first: int) -> list[Frame]:
        return [recv(start + n * SECOND // 2, trade(first + n, (start + n * SECOND // 2) // MS)) for n in range(60)]

    streams = ("btcusdt@trade", "btcusdt@depth@100ms")
    frames = [opened(T0, streams=streams), *trades(T0, 1)]
    again = T0 + 40 * SECOND
    frames += [end(T0 + 30 * SECOND, streams[0]), begin(again, streams[0]), *trades(again, 1000)]
    out = samples(play(frames, metrics=("trades_10s", "volume_session")))
    told = {(e.ts_recv - T0) // SECOND: e for e in out}
    assert (told[20].values or {})["trades_10s"] == 19, "before the trade of the same instant"
    assert told[20].incomplete == "volume_session"
    assert (told[45].values or {})["volume_session"] == 5.0, "ten trades of 0.5"
    assert told[45].incomplete == "trades_10s,volume_session"
    assert told[60].incomplete == "volume_session"
