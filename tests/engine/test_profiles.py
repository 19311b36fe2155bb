"""The volume profile that a running engine samples is that of its trades, bin for bin."""

import gzip
from itertools import islice

from tapeline.clock import ReplayClock
from tapeline.config import PipelineSettings
from tapeline.engine.engine import Engine
from tapeline.engine.lines import frames
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Metrics, Trade
from tapeline.market.profile import profile
from tapeline.venues.registry import venue_class

BTC = "binance:BTC-USDT"


def test_the_profile_of_a_recording(shared_frames):
    clock = ReplayClock()
    engine = Engine(Pipeline(PipelineSettings(metrics=("profile_1h",))), "recorded", clock, "replay")
    events = []
    engine.bus.tap(lambda batch: events.extend(batch.events))
    with gzip.open(shared_frames / "recorded" / "binance-spot" / "btcusdt_20240808.gz") as lines:
        for n, frame in enumerate(islice(frames(venue_class("binance")(), lines, "recorded"), 6000)):
            clock.set(frame.ts_recv)
            engine.handle(n, [frame])
    sampled = max((n for n, e in enumerate(events) if isinstance(e, Metrics) and e.values), default=0)
    trades = [e for e in events[:sampled] if isinstance(e, Trade)]
    (found,) = engine.profiles(BTC).values()
    assert len(trades) > 100
    twin = profile([t.price for t in trades], [t.size for t in trades], [t.side for t in trades], step=found.step)
    assert [(b.low, b.high, b.volume) for b in found.bins] == [(b.low, b.high, b.volume) for b in twin.bins]
    assert (found.volume, found.poc, found.val, found.vah) == (twin.volume, twin.poc, twin.val, twin.vah)
    assert engine.profiles("binance:NO-USDT") == {}
