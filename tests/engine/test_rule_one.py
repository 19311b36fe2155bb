"""Rule 1: what comes out depends on the frames alone, not on how they were batched, and a tape plays back as what was live."""

import asyncio
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.clock import ReplayClock
from tapeline.config import TapeSettings
from tapeline.engine import replay
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event
from tapeline.frames import Frame, FrameKind, Session
from tapeline.tape.writer import TapeWriter
from tests.engine.feeds import (
    MS,
    SECOND,
    T0,
    Market,
    answer,
    closed,
    lost,
    opened,
    recv,
    same,
    sent,
    session,
    spot_diff,
    tick,
    ticker,
    trade,
)


def story(seed: int, count: int = 250) -> list[Frame]:
    """A session in which everything happens: books, trades, quiet, gaps, rubbish, reconnects, refusals, a lost tape."""
    r, market = random.Random(seed), Market(seed)
    frames: list[Frame] = []
    now, conn, number = T0, 1, 1
    ask = {"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1}
    begin = [lambda: frames.append(opened(now, conn)), lambda: frames.append(sent(now, ask, conn))]
    for act in begin:
        act()
    for _ in range(count):
        now += r.choice([0, MS, 40 * MS, 700 * MS, 3 * SECOND, 25 * SECOND])
        match r.randint(0, 19):
            case 0 | 1 | 2 | 3 | 4 | 5:
                frames.append(recv(now, market.diff(now // MS), conn))
            case 6 | 7 | 8 | 9 | 10:
                number += r.choice([1, 1, 1, 1, 2, 0])
                late = r.choice([0, 0, 0, 900, 20_000, -200])
                frames.append(recv(now, trade(number, now // MS - late, size=f"{r.randint(1, 9)}.5"), conn))
            case 11 | 12:
                frames.append(recv(now, ticker(number), conn))
            case 13 | 14:
                frames.append(answer(now, market.snapshot()))
            case 15:
                market.diff()  # nobody hears of it
            case 16:
                frames.append(
                    recv(
                        now, r.choice([b"{", b'{"result":null,"id":1}', b'{"e":"serverShutdown","E":1}', b'{"e":"new"}']), conn
                    )
                )
            case 17:
                frames += [
                    opened(now, conn + 1, replaces=conn),
                    recv(now, market.diff(), conn + 1),
                    closed(now, conn, 1000, planned=True),
                ]
                conn += 1
            case 18:
                frames += [closed(now, conn), opened(now + MS, conn + 1, attempt=1)]
                now, conn = now + MS, conn + 1
            case 19:
                frames.append(
                    r.choice([answer(now, b"", status=429), answer(now, b"", status=0, error="timed out"), tick(now)])
                )
    if seed % 5 == 0:
        middle = len(frames) // 2
        frames.insert(middle, lost(frames[middle].ts_recv))
    return frames


def one_by_one(frames: list[Frame]) -> list[Event]:
    pipeline, out = Pipeline(), []
    for frame in frames:
        pipeline.feed(frame, out)
    pipeline.finish(out)
    return out


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.data())
def test_batches_of_any_size_make_the_same_events(seed: int, data: st.DataObject) -> None:
    frames = story(seed)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=20)))
    pipeline, out = Pipeline(), []
    for first, last in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        pipeline.feed_many(first, frames[first:last], out)
    pipeline.finish(out)
    assert pipeline.faults == 0
    same(out, one_by_one(frames))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.data())
def test_ticks_at_any_time_change_nothing(seed: int, data: st.DataObject) -> None:
    """A TICK only lets a timer fire before the next frame instead of with it; the events bear the time they were due."""
    frames = story(seed)
    ticked: list[Frame] = []
    for i, frame in enumerate(frames):
        ticked.append(frame)
        until = frames[i + 1].ts_recv if i + 1 < len(frames) else frame.ts_recv
        ticked += (
            [tick(t) for t in sorted(data.draw(st.lists(st.integers(frame.ts_recv, until), max_size=2)))]
            if i % 10 == seed % 10 and i + 1 < len(frames)  # behind the last frame nothing would fire it
            else []
        )
    same(one_by_one(ticked), one_by_one(frames))


def test_what_follows_a_loss_needs_nothing_from_it() -> None:
    """The tape lacks frames; live and replayed begin anew alike, names of instruments included."""
    listing = {"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BT", "quoteAsset": "CUSDT"}]}
    tail = [opened(T0 + SECOND, 7), recv(T0 + SECOND, spot_diff(1, 2), 7), recv(T0 + 2 * SECOND, trade(9, T0 // MS + 2000), 7)]
    unseen = [answer(T0, listing, purpose="instruments", native=""), recv(T0, trade(5, T0 // MS)), recv(T0, spot_diff(8, 9))]
    live, replayed = Pipeline(), Pipeline()
    live.feed_many(0, [session(), opened(), *unseen, lost(T0)], [])
    replayed.feed_many(0, [session(), opened(), lost(T0)], [])
    one: list[Event] = []
    other: list[Event] = []
    live.feed_many(6, tail, one)
    replayed.feed_many(6, tail, other)
    same(one, other)
    assert {e.instrument for e in one} == {"", "binance:BTC-USDT"}


def taped(root: Path, frames: list[Frame], batch: int) -> tuple[str, list[Event]]:
    """Write the frames as the collector does; (session, the events that were live)."""
    head = Session(id="20261121T100500Z-0001", version="1", pipeline={"imbalance_levels": 3})
    tape = TapeWriter(root, head, TapeSettings(), ReplayClock(T0))
    pipeline, out = Pipeline.of_session(tape.head), []
    pipeline.feed_many(0, [tape.head], out)
    for i in range(0, len(frames), batch):
        part = frames[i : i + batch]
        last = tape.append_many(part)
        pipeline.feed_many(last - len(part) + 1, part, out)
    asyncio.run(tape.close())
    return head.id, out


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_tape_plays_back_as_what_was_live(tmp_path: Path, seed: int) -> None:
    frames = story(seed, 900)
    name, live = taped(tmp_path, frames, 1 + 37 * (seed % 3))
    assert any(getattr(e, "kind", "") == "gap" for e in live)
    same([e for batch in replay.batches(tmp_path, name) for e in batch.events], live)
    same(list(replay.replay(tmp_path)), live)


def test_the_tail_after_any_frame(tmp_path: Path) -> None:
    frames = story(3, 700)
    name, _ = taped(tmp_path, frames, 50)
    by_frame: list[list[Event]] = []
    pipeline = Pipeline.of_session(Frame(T0, FrameKind.SESSION, 0, session(imbalance_levels=3).data))
    for seq, frame in enumerate([session(imbalance_levels=3), *frames]):
        out: list[Event] = []
        pipeline.feed_many(seq, [frame], out)
        by_frame.append(out)
    count = len(by_frame)
    for after in [-1, 0, 1, 254, 255, 256, 257, count - 2, *random.Random(1).sample(range(count), 12)]:
        batches = list(replay.batches(tmp_path, name, after))
        same([e for b in batches for e in b.events], [e for events in by_frame[after + 1 :] for e in events])
        assert batches[0].first_seq == after + 1
        assert batches[-1].seq == count - 1
        assert all(a.seq + 1 == b.first_seq for a, b in pairwise(batches))
    assert list(replay.batches(tmp_path, name, count - 1)) == []


def test_a_range_of_time_and_some_instruments(tmp_path: Path) -> None:
    frames = story(4, 600)
    _, live = taped(tmp_path, frames, 100)
    middle = frames[len(frames) // 2].ts_recv
    same(list(replay.replay(tmp_path, start=middle)), [e for e in live if e.ts_recv >= middle])
    same(list(replay.replay(tmp_path, end=middle)), [e for e in live if e.ts_recv < middle])
    only: Any = list(replay.replay(tmp_path, instruments=["binance:ETH-USDT"]))
    same(only, [e for e in live if not e.instrument])


def test_a_fault_inside_a_frame_is_counted_reported_and_left_behind() -> None:
    """Frames that are no frames of ours: each is one fault; those around it are handled as if it had not been."""
    rubbish = [Frame(T0, FrameKind.HTTP, 0, b"no json"), Frame(T0, FrameKind.OPENED, 2, b"{"), opened(T0, 3, venue="nowhere")]
    rubbish.append(Frame(T0, FrameKind.CLOSED, 1, b"\xff"))
    good = [opened(), recv(T0, trade(1, T0 // MS)), recv(T0, trade(2, T0 // MS))]
    pipeline, out = Pipeline(), []
    pipeline.feed_many(10, [good[0], *rubbish[:3], good[1], good[2], rubbish[3]], out)
    told = [e for e in out if getattr(e, "kind", "") == "rejected"]
    assert [e.reason.split()[1] for e in told] == ["11", "12", "13", "16"]
    assert pipeline.faults == 4
    assert [e.id for e in out if hasattr(e, "id")] == ["1", "2"]
