"""Groups within a session: who is in and who is not by what the pipeline knows, whatever the batches, put away or lost."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tapeline.config import PipelineSettings
from tapeline.engine import checkpoint
from tapeline.engine.checking import absent, check
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import ConfigError
from tapeline.events import Event, Flag, Metrics, Status
from tapeline.frames import Frame, FrameKind, Switched, pack
from tests.engine.feeds import FUTURES, MS, SECOND, T0, closed, lost, opened, recv, same, session

GROUP = "btc: binance:BTC-USDT binance-usdm:BTC-USDT-PERP"
STREAM = ["btcusdt@bookTicker"]


def quote(at: int, conn: int, bid: float, ask: float) -> Frame:
    data = {"u": at // MS, "s": "BTCUSDT", "b": str(bid), "B": "1", "a": str(ask), "A": "2"}
    if conn == 2:
        data |= {"e": "bookTicker", "E": (T0 + at) // MS, "T": (T0 + at) // MS}
    return recv(T0 + at, {"stream": "btcusdt@bookTicker", "data": data}, conn)


def both(**more: Any) -> list[Frame]:
    return [opened(T0, 1, streams=STREAM, **more), opened(T0, 2, FUTURES, STREAM, **more)]


def story(**more: Any) -> list[Frame]:
    """Both venues speak each second for a minute; the second one is gone from 10 to 15 s, and silent from 20 to 40 s."""
    frames = both(**more)
    for second in range(60):
        at = second * SECOND + 500 * MS
        if second == 10:
            frames.append(closed(T0 + at, 2))
        if second == 15:
            frames.append(opened(T0 + at, 2, FUTURES, STREAM, **more))
        frames.append(quote(at, 1, 100 + second / 100, 101 + second / 100))
        if second < 10 or 15 <= second < 20 or second >= 40:
            frames.append(quote(at + MS, 2, 102 + second / 100, 103 + second / 100))
    return frames


def groups(events: Sequence[Event]) -> list[Metrics]:
    return [e for e in events if isinstance(e, Metrics) and e.instrument.startswith("group:")]


def play(frames: Sequence[Frame], batch: int = 1000, **settings: Any) -> list[Event]:
    pipeline, out = Pipeline.of_session(session(**settings)), list[Event]()
    for first in range(0, len(frames), batch):
        pipeline.feed_many(first, frames[first : first + batch], out)
    return out


def counts(events: Sequence[Event]) -> dict[int, float]:
    """How many were in, by the second of our clock."""
    return {(e.ts_recv - T0) // SECOND: (e.values or {})["members"] for e in groups(events)}


def test_who_is_disconnected_or_stale_is_out_and_comes_back() -> None:
    events = play(story(), groups=[GROUP])
    found = counts(events)
    assert [found[n] for n in (5, 10)] == [2, 2]
    assert [found[n] for n in range(11, 16)] == [1] * 5, "disconnected at 10.5 s"
    assert [found[n] for n in (16, 20, 25)] == [2, 2, 2], "back at 15.5 s"
    (stale,) = [e for e in events if isinstance(e, Status) and e.kind == "stale"]
    fell = (stale.ts_recv - T0) // SECOND
    assert 29 <= fell <= 36
    assert [found[n] for n in range(fell + 1, 41)] == [1] * (40 - fell)
    assert found[41] == 2
    last = groups(events)[-1]
    assert (last.flags, last.values and last.values["bid_member"], last.values and last.values["ask_member"]) == (0, 2, 1)
    assert not [e for e in events if isinstance(e, Metrics) and e.values is not None and e not in groups(events)]


def test_a_real_name_means_the_simulated_venue() -> None:
    events = play(story(simulated=True), groups=[GROUP])
    assert counts(events)[5] == 2
    assert all(e.flags & Flag.SIMULATED for e in groups(events))


@pytest.mark.parametrize("batch", [1, 7])
def test_it_does_not_depend_on_the_batches(batch: int) -> None:
    same(play(story(), batch, groups=[GROUP]), play(story(), groups=[GROUP]))


@pytest.mark.parametrize("cut", [3, 40, 90])
def test_put_away_it_goes_on_as_before(cut: int) -> None:
    frames, out, rest = story(), list[Event](), list[Event]()
    pipeline = Pipeline.of_session(session(groups=[GROUP], metrics=["spread_1m", "ofi_1m", "quote_rate_1m"]))
    pipeline.feed_many(0, frames[:cut], out)
    again = checkpoint.load(checkpoint.dump(pipeline))
    out.clear()
    pipeline.feed_many(cut, frames[cut:], out)
    again.feed_many(cut, frames[cut:], rest)
    assert groups(out)
    same(rest, out)


def test_what_is_lost_begins_anew() -> None:
    """Frames that the tape does not have must not shape what follows."""
    later = (Frame(f.ts_recv + 80 * SECOND, f.kind, f.conn, f.data) for f in story())
    then = [lost(T0 + 70 * SECOND, 5), *later]
    after = play([*story(), *then], groups=[GROUP])
    alone = play(then, groups=[GROUP])
    same([e for e in after if e.ts_recv > T0 + 75 * SECOND], [e for e in alone if e.ts_recv > T0 + 75 * SECOND])


def test_switched_on_while_it_runs() -> None:
    switched = Frame(T0 + 30 * SECOND, FrameKind.SWITCHED, 0, pack(Switched(groups=[GROUP, "btc: a:X b:Y", "wrong"])))
    frames = story()
    at = next(n for n, f in enumerate(frames) if f.ts_recv > switched.ts_recv)
    events = play([*frames[:at], switched, *frames[at:]])
    assert min(counts(events)) == 31
    assert {e.instrument for e in groups(events)} == {"group:btc"}
    (said,) = [e for e in events if isinstance(e, Status) and e.channel == "groups"]
    assert (said.kind, "begins with its name" in said.reason) == ("rejected", True)


@pytest.mark.parametrize(
    ("texts", "said"), [(("nonsense",), "begins with its name"), ((GROUP, GROUP), "there is a group btc already")]
)
def test_a_live_session_does_not_begin_with_a_wrong_group(texts: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(PipelineSettings(groups=texts))


def test_sampled_seldom_it_says_the_same() -> None:
    """What the grid reads must not be let go before it is read."""
    frames, dice = both(), Random(1)
    for second in range(600):
        at, price = second * SECOND + 500 * MS, 100 + dice.random()
        frames += [quote(at, 1, price, price + 1), quote(at + MS, 2, price + 2 + dice.random() / 9, price + 3)]
    often, seldom = (
        {e.ts_recv: (e.values, e.incomplete) for e in groups(play(frames, groups=[GROUP], metrics_ms=ms))}
        for ms in (1000, 60_000)
    )
    assert seldom == {ts: often[ts] for ts in seldom}
    assert "correlation.2" in (seldom[max(seldom)][0] or {})


def test_a_touch_of_the_venues_quotes_is_lost_with_their_connection() -> None:
    frames = [f for f in story() if f.conn == 2][:25]
    events = play(frames, metrics=["spread_10s"])
    told = {(e.ts_recv - T0) // SECOND: e for e in events if isinstance(e, Metrics) and e.values is not None}
    assert told[9].mid == pytest.approx(102.5 + 0.08)
    assert told[11].mid is None
    assert told[11].incomplete == "spread_10s"


def test_members_that_are_not_streamed_are_told() -> None:
    settings = PipelineSettings(
        groups=("btc: binance:BTC-USDT kraken:BTC-USD okx:BTC-USDT", "eth: binance:ETH-USDT okx:ETH-USDT")
    )
    (told,) = absent(settings, {"binance:BTC-USDT": (), "binance:ETH-USDT": (), "okx:ETH-USDT": ()})
    assert told.startswith("group btc: kraken:BTC-USD, okx:BTC-USDT not streamed")
