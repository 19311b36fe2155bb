"""Books out of the lake against the engine's own, level for level, at random instants; with derived snapshots and without."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tapeline.config import PipelineSettings
from tapeline.engine import lines
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import UsageError
from tapeline.events import BookUpdate, Event, Flag, Status
from tapeline.frames import Frame
from tapeline.lake import books as books_room
from tapeline.lake import catalogue, derived, snapshots, tables
from tapeline.lake.books import book, books
from tapeline.lake.catalogue import Catalogue
from tapeline.lake.layout import DAY
from tapeline.lake.snapshots import SnapshotMaker
from tapeline.lake.store import Store
from tapeline.lake.updates import Piece, Updates
from tapeline.market.intervals import interval_of
from tapeline.tape import reader
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, SECOND, T0, Market, answer, closed, lost, opened, recv, tick
from tests.engine.recordings import recording
from tests.lake.keeping import NAME, keep
from tests.lake.oracle import Seen, same, some, watched

SIMULATED = {
    "binance:BTC-USDT": "sim:BTC-USDT",
    "binance-usdm:BTC-USDT-PERP": "sim:BTC-USDT-PERP",
    "binance-coinm:BTC-USD-PERP": "sim:BTC-USD-PERP",
    "coinbase:BTC-USD": "sim-coinbase:BTC-USD",
    "coinbase-advanced:BTC-USD": "sim-coinbase-advanced:BTC-USD",
    "kraken:BTC-USD": "sim-kraken:BTC-USD",
    "bybit:BTC-USDT": "sim-bybit:BTC-USDT",
    "okx:BTC-USDT": "sim-okx:BTC-USDT",
}
"""Those of the simulated venues that have books."""
STREAMS = ("btcusdt@depth@100ms",)


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots as often as in a long day."""
    monkeypatch.setattr(snapshots, "LEAST", 200)
    monkeypatch.setattr(snapshots, "TIMES", 2)
    monkeypatch.setattr(snapshots, "FAN", 3)


def with_snapshots(data: Path) -> Catalogue:
    store = Store(data)
    store.open()
    try:
        maker = SnapshotMaker(store, lambda: None)
        first, again = maker.run(), maker.run()
    finally:
        store.close()
    assert first.snapshots
    assert not again.snapshots
    return catalogue.read(data)


def check(lake: Catalogue, name: str, seen: list[Seen], count: int) -> None:
    for one in some(seen, count):
        same(book(lake, name, one.at), one)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Seen]]]:
    """A recording of every simulated venue with books, put into a lake in small commits; and the books that there were."""
    tape, data = tmp_path_factory.mktemp("tape"), tmp_path_factory.mktemp("lake")
    command = [sys.executable, "-m", "tapeline", "record", *SIMULATED, "--simulate", "--channels", "book,trades", "--for", "9s"]
    subprocess.run([*command, "--data", str(tape)], check=True, capture_output=True, timeout=200)
    (info,) = reader.sessions(tape)
    frames = [frame for _, frame in reader.read(tape, info.id)]
    events, seen = watched(frames, Pipeline.of_session(frames[0]), 0.1)
    keep(data, events, info.id, 500)
    return data, seen


@pytest.mark.parametrize("name", SIMULATED.values())
def test_every_simulated_venue(simulated: tuple[Path, dict[str, list[Seen]]], name: str) -> None:
    data, seen = simulated
    views = seen[name]
    assert sum(bool(v.synced and v.bids) for v in views) > 10
    check(catalogue.read(data), name, views, 25)


def test_snapshots_change_nothing(simulated: tuple[Path, dict[str, list[Seen]]]) -> None:
    data, seen = simulated
    without = catalogue.read(data)
    lake = with_snapshots(data)
    for name in SIMULATED.values():
        check(lake, name, seen[name], 12)
        assert derived.pieces(lake, name, None, None)
        for one in some(seen[name], 4):
            assert book(without, name, one.at) == book(lake, name, one.at)
            assert book(without, name, one.at, by="event") == book(lake, name, one.at, by="event")


def test_resampled_books_are_the_books_of_the_instants(simulated: tuple[Path, dict[str, list[Seen]]]) -> None:
    data, seen = simulated
    lake, every = catalogue.read(data), interval_of("1s")
    for name in ("sim:BTC-USDT", "sim-kraken:BTC-USD"):
        start, end = seen[name][0].at - 2 * SECOND, seen[name][-1].at
        table = books(lake, name, start, end, every, depth=5).to_pylist()
        assert [row["at"] for row in table] == list(range(start, end, SECOND))
        for row in table:
            view = book(lake, name, row["at"], depth=5)
            assert list(zip(row["bid_prices"], row["bid_sizes"], strict=True)) == view.bids
            assert list(zip(row["ask_prices"], row["ask_sizes"], strict=True)) == view.asks
            assert (row["state"], row["reason"], row["seq"], row["ts_event"]) == (
                view.state, view.reason, view.seq, view.ts_event,
            )  # fmt: skip


@pytest.mark.parametrize("venue", ["binance", "binance-usdm"])
def test_the_recorded_sessions(shared_frames: Path, tmp_path: Path, venue: str) -> None:
    path = recording(shared_frames, venue).path
    with lines.open_lines(path) as file:
        frames = list(lines.frames(venue_class(venue)(), file, path.name))
    events, seen = watched(frames[: len(frames) // 2], Pipeline(), 0.02)
    (name,) = seen
    lake = keep(tmp_path, [e for e in events if isinstance(e, BookUpdate | Status)], "s", 3_000)
    check(lake, name, seen[name], 4)
    check(with_snapshots(tmp_path), name, seen[name], 15)


def story(seed: int, count: int = 700) -> Iterator[Frame]:
    """A book with everything that befalls one: gaps, late and old snapshots, lost connections, rubbish, a hole in the tape."""
    r, market, now, conn = random.Random(seed), Market(seed), T0, 1
    yield opened(now, conn, streams=STREAMS)
    for _ in range(count):
        now += r.randrange(1, 40) * MS
        fate = r.random()
        diff = market.diff(now // MS - r.randrange(3))
        if fate > 0.02:
            yield recv(now, diff, conn)
        if fate < 0.05 or r.random() < 0.06:
            yield answer(now + MS // 2, market.snapshot())
        if 0.05 < fate < 0.06:
            yield closed(now, conn)
            conn += 1
            yield opened(now + 5 * MS, conn, streams=STREAMS)
        elif 0.06 < fate < 0.064:
            yield lost(now)
            conn += 1
            yield opened(now + 5 * MS, conn, streams=STREAMS)
        elif 0.07 < fate < 0.08:
            yield tick(now + 2 * SECOND)
            now += 2 * SECOND


@pytest.mark.parametrize("seed", range(4))
def test_whatever_befalls_a_book(tmp_path: Path, seed: int) -> None:
    events, seen = watched(story(seed), Pipeline(), 0.4, seed)
    lake = keep(tmp_path, events, "s", 150)
    assert len({one.synced for one in seen[NAME]}) == 2
    check(lake, NAME, seen[NAME], 40)
    check(with_snapshots(tmp_path), NAME, seen[NAME], 40)


def test_a_book_that_forgets_its_farthest_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides grow past what is kept, and sweeps decide when the farthest go."""
    r, most = random.Random(3), 600
    bids, asks = {}, {}  # type: dict[str, str], dict[str, str]
    frames, now, number = [opened(T0, streams=STREAMS)], T0, 10
    first = [[[f"{1000 - i / 100:.2f}", "1"] for i in range(1900)], [[f"{1001 + i / 100:.2f}", "1"] for i in range(500)]]
    frames.append(recv(now, _diff(number, [], [], now)))
    frames.append(
        answer(now + MS, {"lastUpdateId": number, "bids": first[0], "asks": first[1]}, url="http://venue/depth?limit=5000")
    )
    for _ in range(600):
        now, number = now + 50 * MS, number + 1
        bids = {f"{1000 - r.randrange(3000) / 100:.2f}": r.choice(("0", "2", "3")) for _ in range(20)}
        asks = {f"{1001 + r.randrange(3000) / 100:.2f}": r.choice(("0", "2", "3")) for _ in range(20)}
        frames.append(recv(now, _diff(number, list(bids.items()), list(asks.items()), now)))
    monkeypatch.setattr(books_room, "book_levels", lambda *_: most)
    monkeypatch.setattr(snapshots, "book_levels", lambda *_: most)
    events, seen = watched(frames, Pipeline(PipelineSettings(book_levels=most)), 0.3)
    assert len({one.edges for one in seen[NAME]}) > 3
    lake = keep(tmp_path, events)
    check(lake, NAME, seen[NAME], 20)
    check(with_snapshots(tmp_path), NAME, seen[NAME], 60)


def _diff(number: int, bids: list[Any], asks: list[Any], ts: int) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": ts // MS, "s": "BTCUSDT", "U": number, "u": number, "b": bids, "a": asks}
    return {"stream": "btcusdt@depth@100ms", "data": data}


def one_session(start: int, seed: int, count: int = 60) -> list[Event]:
    market, frames = Market(seed), [opened(start, streams=STREAMS)]
    frames.append(recv(start + MS, market.diff(start // MS)))
    frames.append(answer(start + 2 * MS, market.snapshot()))
    frames += [recv(start + i * 100 * MS, market.diff(start // MS + i * 100)) for i in range(1, count)]
    return watched(frames, Pipeline(), 0.0)[0]


def test_a_new_session_begins_empty_and_the_old_one_is_over(tmp_path: Path) -> None:
    first, second = one_session(T0, 1), one_session(T0 + 600 * SECOND, 2)
    keep(tmp_path, first, "20260101T000000Z-aaaa")
    lake = keep(tmp_path, second, "20260101T001000Z-bbbb")
    before = book(lake, NAME, T0 - SECOND)
    assert (before.state, before.reason, before.bids, before.n) == ("unproven", "before the first snapshot", [], -1)
    during = book(lake, NAME, T0 + 3 * SECOND)
    assert (during.state, during.session_id) == ("synced", "20260101T000000Z-aaaa")
    between = book(lake, NAME, T0 + 300 * SECOND)
    assert between.state == "unproven"
    assert between.reason.startswith("the recording ends at 2026-11-21T10:05:05")
    assert between.bids
    begins = book(lake, NAME, T0 + 600 * SECOND + 1 * MS)
    assert (begins.state, begins.session_id, begins.bids) == ("unproven", "20260101T001000Z-bbbb", [])
    assert "snapshot is asked for" in begins.reason
    assert book(lake, NAME, T0 + 601 * SECOND).state == "synced"
    still = book(lake, NAME, T0 + 606 * SECOND)
    assert (still.state, still.session_id) == ("synced", "20260101T001000Z-bbbb")  # it is not over, as far as the lake knows


def test_a_book_whose_beginning_retention_took_is_not_taken_for_whole(tmp_path: Path) -> None:
    """The session's only snapshot lies on a day that is removed; with derived snapshots made afterwards, and without."""
    midnight = T0 - T0 % DAY + DAY
    keep(tmp_path, one_session(midnight - 3 * SECOND, 1, count=400))
    assert book(catalogue.read(tmp_path), NAME, midnight + SECOND).state == "synced"
    store = Store(tmp_path)
    store.open()
    store.swap([f for f in store.state.files() if f.date == "2026-11-21"], [], retired="2026-11-21")
    for _ in range(2):
        cut = book(catalogue.read(tmp_path), NAME, midnight + 30 * SECOND)
        assert (cut.state, cut.bids, cut.asks, cut.ts_event) == ("unproven", [], [], None)
        assert cut.reason == "before the first snapshot"
        SnapshotMaker(store, lambda: None).run()
    store.close()


def test_by_the_venues_clock(tmp_path: Path) -> None:
    """The venue's clock is 40 s ahead of ours."""
    market, frames = Market(5), [opened(T0, streams=STREAMS)]
    ahead = 40 * SECOND
    frames += [recv(T0 + MS, market.diff((T0 + ahead) // MS)), answer(T0 + 2 * MS, market.snapshot())]
    touches = {}
    for i in range(1, 900):
        frames.append(recv(T0 + i * 100 * MS, market.diff((T0 + i * 100 * MS + ahead) // MS)))
        touches[i] = market.touch()
    lake = keep(tmp_path, watched(frames, Pipeline(), 0.0)[0])
    for i in (1, 300, 620, 870):
        heard = book(lake, NAME, T0 + i * 100 * MS)
        dated = book(lake, NAME, T0 + i * 100 * MS + ahead, by="event")
        assert (*heard.bids[0], *heard.asks[0]) == (*dated.bids[0], *dated.asks[0]) == touches[i]
        assert heard.seq == dated.seq


def test_row_groups_past_the_instant_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some updates bear no venue time that can be gone by: by the venue's clock they are looked for past the instant as well."""
    events = one_session(T0, 1, count=300)
    r = random.Random(1)
    for i, event in enumerate(events):
        if isinstance(event, BookUpdate) and not event.snapshot and r.random() < 0.1:
            events[i] = msgspec.structs.replace(event, ts_event=T0 + DAY // 4, flags=event.flags | int(Flag.BAD_TIME))
    whole = keep(tmp_path / "whole", events, commit=10**6)
    monkeypatch.setattr(tables, "ROW_GROUP_BYTES", 2_000)
    fine = keep(tmp_path / "fine", events, commit=10**6)
    found = Updates(fine, NAME).pieces(None, None)
    assert len(found) > 10
    read: list[Piece] = []
    original = Piece.read
    monkeypatch.setattr(Piece, "read", lambda piece, columns: (read.append(piece), original(piece, columns))[1])
    for at in (T0 + i * SECOND for i in (-1, 1, 2, 9, 20, 29, 60)):
        assert book(fine, NAME, at, by="event") == book(whole, NAME, at, by="event")
        read.clear()
        assert book(fine, NAME, at) == book(whole, NAME, at)
        assert all(piece.least("ts_recv") <= at for piece in read if piece in found)


def test_what_cannot_be_given_is_told(tmp_path: Path) -> None:
    lake = keep(tmp_path, one_session(T0, 1))
    with pytest.raises(UsageError, match="no book of binance:ETH-USDT"):
        book(lake, "binance:ETH-USDT", T0)
    with pytest.raises(UsageError, match="venue:symbol"):
        book(lake, "ETH", T0)
    for start, end in ((T0, T0), (T0, T0 - 1), (T0, T0 + 10**7 * SECOND)):
        with pytest.raises(UsageError, match="steps of 1s"):
            books(lake, NAME, start, end, interval_of("1s"))
    with pytest.raises(UsageError, match="depth"):
        books(lake, NAME, T0, T0 + SECOND, interval_of("1s"), depth=0)
