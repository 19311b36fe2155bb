"""Recordings of other programs as sessions on the tape: the same recording gives the same events, whoever wrote it down."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tapeline.config import TapeSettings
from tapeline.engine.foreign import Format
from tapeline.engine.importing import Assembler, survey
from tapeline.engine.lines import decode_lines
from tapeline.engine.replay import replay
from tapeline.errors import UsageError
from tapeline.events import Event, Quote, Status, Trade, to_json
from tapeline.frames import Frame, FrameKind, Session, unpack_answer, unpack_closed, unpack_opened
from tapeline.tape import intake, reader
from tapeline.venues.registry import venue_class
from tests.engine.feeds import SECOND, T0, levels, snapshot, spot_diff, trade
from tests.engine.foreign_files import WRITERS, cryptofeed, lines, messages, seconds, tardis
from tests.engine.recordings import oracle

URL = "wss://venue"
BIDS, ASKS = {"100.0": "1", "99.0": "2"}, {"101.0": "3"}


def compact(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def print_(number: int, ms: int = 0) -> object:
    return trade(number, T0 // 1_000_000 + ms)


def timed(*made: object, start: int = T0, step: int = 1_000_000) -> list[tuple[int, bytes]]:
    return [(start + i * step, compact(m)) for i, m in enumerate(made)]


def assembled(
    tmp_path: Path, *files: bytes, venue: str = "binance", form: Format | None = None
) -> tuple[list[Frame], Assembler]:
    found = []
    for i, content in enumerate(files):
        path = tmp_path / f"file{i}"
        path.write_bytes(content)
        found.append(survey(path, path.name, form, venue_class(venue)()))
    assembler = Assembler(venue_class(venue)(), found, URL)
    return list(assembler.frames()), assembler


def imported(tmp_path: Path, content: bytes, venue: str = "binance") -> tuple[list[Event], Assembler]:
    """Its events, by the tape."""
    (tmp_path / "in").mkdir(parents=True)
    frames, assembler = assembled(tmp_path / "in", content, venue=venue)
    data = tmp_path / "data"
    sources = [r.source for r in assembler.recordings]
    first = assembler.recordings[0].first
    session = Session(id=intake.session_id(first, sources), version="1", sources=sources)
    with intake.staged(data) as place:
        intake.write(place, session, first, frames, TapeSettings())
        intake.settle(place, data, session.id)
    assert not reader.verify(data)
    return list(replay(data)), assembler


@pytest.mark.parametrize("venue", ["binance", "binance-usdm", "coinbase", "kraken", "okx"])
def test_the_same_recording_in_each_format_gives_the_same_events(shared_frames: Path, tmp_path: Path, venue: str) -> None:
    made = messages(shared_frames, venue)
    found = {}
    for name, write in WRITERS.items():
        events, assembler = imported(tmp_path / name, write(made), venue)
        found[name] = [to_json(e) for e in events]
        assert (assembler.tally.messages, assembler.tally.bad) == (len(made), 0)
    first = found.pop("lines")
    assert len(first) > 500
    for name, events_of in found.items():
        assert events_of == first, name
    decoded = decode_lines(venue_class(venue)(), lines(made).splitlines(), URL)
    wanted = [to_json(e) for e in decoded if not isinstance(e, Status) and type(e).__name__ != "Bar"]
    assert [e for e in first if not e.startswith((b'{"type":"status"', b'{"type":"bar"'))] == wanted


def test_an_imported_sessions_books_are_the_venues_own(shared_frames: Path, tmp_path: Path) -> None:
    events, _ = imported(tmp_path, tardis(messages(shared_frames, "binance", 100_000)))
    quotes = [e for e in events if isinstance(e, Quote) and e.origin == "book" and not e.flags]
    assert {q.seq: (q.bid, q.bid_size, q.ask, q.ask_size) for q in quotes} == oracle(shared_frames, "binance")


def test_the_frames_bear_the_recordings_times_and_frame_it(tmp_path: Path) -> None:
    frames, assembler = assembled(tmp_path, lines(timed(print_(1), print_(2))))
    assert [(f.kind, f.ts_recv - T0) for f in frames] == [
        (FrameKind.OPENED, 0), (FrameKind.RECV, 0), (FrameKind.RECV, 1_000_000),
        (FrameKind.CLOSED, 1_000_000), (FrameKind.END, 1_000_000),
    ]  # fmt: skip
    assert unpack_opened(frames[0].data).url == URL
    assert assembler.tally.last == T0 + 1_000_000


def test_a_lost_connection_of_tardis_costs_the_book_until_the_next_snapshot(tmp_path: Path) -> None:
    before = timed(spot_diff(9, 10), snapshot(10, levels(BIDS), levels(ASKS)), spot_diff(11, 12), print_(1))
    after = timed(spot_diff(20, 21), start=T0 + SECOND)
    content = tardis(before) + b"\n\n" + tardis(after)
    frames, assembler = assembled(tmp_path / "..", content)
    kinds = [FrameKind(f.kind).name for f in frames]
    assert kinds == ["OPENED", "RECV", "RECV", "RECV", "RECV", "CLOSED", "OPENED", "RECV", "CLOSED", "END"]
    assert unpack_closed(frames[5].data).code == 1006 and assembler.tally.lost == 1
    events, _ = imported(tmp_path, content)
    told = [e.kind for e in events if isinstance(e, Status)]
    assert told[:5] == ["connected", "resyncing", "synced", "disconnected", "resyncing"]
    assert not [e for e in events if isinstance(e, Quote) and e.ts_recv >= T0 + SECOND]


def test_what_cannot_be_read_is_counted_named_kept_and_survived(tmp_path: Path) -> None:
    content = tardis(timed(print_(1))) + b"no line of tardis\n" + b"2026-11-21T10:05:00.5Z hello\n" + tardis(timed(print_(2)))
    events, assembler = imported(tmp_path, content)
    assert assembler.tally.bad == 1 and assembler.tally.named == ["file0:2: it does not begin with an ISO time"]
    assert [e.id for e in events if isinstance(e, Trade)] == ["1", "2"]
    told = [e.reason for e in events if isinstance(e, Status) and e.kind == "rejected"]
    assert len(told) == 2 and "no line of tardis" in told[0] and "hello" in told[1]
    kept = [f.data for _, f in reader.read(tmp_path / "data", reader.sessions(tmp_path / "data")[0].id)]
    assert b"no line of tardis" in kept and b"hello" in kept


def test_times_that_run_back_are_held_and_counted(tmp_path: Path) -> None:
    made = timed(print_(1), print_(2), print_(3))
    made[1] = (T0 - SECOND, made[1][1])
    frames, assembler = assembled(tmp_path, lines(made))
    assert assembler.tally.back == 1
    assert [f.ts_recv - T0 for f in frames if f.kind == FrameKind.RECV] == [0, 0, 2_000_000]


def test_messages_without_time_take_the_venues(tmp_path: Path) -> None:
    raw = b"\n".join(compact(print_(i, i)) for i in (1, 2))
    frames, assembler = assembled(tmp_path, raw)
    assert assembler.tally.untimed == 2
    assert [f.ts_recv - T0 for f in frames if f.kind == FrameKind.RECV] == [1_000_000, 2_000_000]


def test_files_of_one_recording_are_merged_by_time(tmp_path: Path) -> None:
    """Two that overlap are two connections; one that begins after another has ended goes on with its connection."""
    btc, eth = timed(*(print_(i) for i in range(4)), step=4), timed(*(print_(9) for _ in range(4)), start=T0 + 2, step=4)
    later = timed(print_(5), start=T0 + 100)
    frames, _ = assembled(tmp_path, lines(later), lines(eth), lines(btc))
    assert [f.ts_recv - T0 for f in frames if f.kind == FrameKind.RECV] == [0, 2, 4, 6, 8, 10, 12, 14, 100]
    assert [f.conn for f in frames if f.kind == FrameKind.RECV] == [1, 2] * 4 + [1]
    assert Counter(f.kind for f in frames)[FrameKind.CLOSED] == 2


def test_what_cryptofeed_tells_of_its_connections_is_on_the_tape(tmp_path: Path) -> None:
    made = timed(spot_diff(9, 10), spot_diff(11, 12), start=T0 + SECOND)
    at = seconds(T0)
    extra = [
        f'wss://venue <- {at!r}: {{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}}',
        f"https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000 -> {at!r}: "
        + compact(snapshot(9, levels(BIDS), levels(ASKS))).decode(),
    ]
    content = cryptofeed([(T0, made[0][1])], extra=extra) + cryptofeed(made, "wss://second")
    frames, assembler = assembled(tmp_path / "..", content)
    kinds = [FrameKind(f.kind).name for f in frames]
    assert kinds == ["OPENED", "SENT", "HTTP", "RECV", "CLOSED", "OPENED", "RECV", "RECV", "CLOSED", "END"]
    assert [unpack_opened(f.data).url for f in frames if f.kind == FrameKind.OPENED] == [URL, "wss://second"]
    head, body = unpack_answer(frames[2].data)
    assert (head.purpose, head.native, head.status) == ("book", "BTCUSDT", 200) and json.loads(body)["lastUpdateId"] == 9
    assert (assembler.tally.sent, assembler.tally.answers, assembler.tally.lost) == (1, 1, 1)
    events, _ = imported(tmp_path, content)
    assert [q.bid for q in events if isinstance(q, Quote)][:1] == [100.0]


def test_a_file_that_is_cut_off_is_imported_up_to_there(tmp_path: Path) -> None:
    made = timed(*(print_(i) for i in range(3000)))
    for name, write in WRITERS.items():
        if name.endswith((".gz", ".zst")):
            whole = write(made)
            place = tmp_path / name
            place.mkdir()
            frames, assembler = assembled(place, whole[: len(whole) * 9 // 10])
            assert "damaged or cut off" in assembler.recordings[0].damage, name
            assert 1000 < sum(f.kind == FrameKind.RECV for f in frames) < 3001


@pytest.mark.parametrize("content", [b"", b"\n\n", b"hello\n", b'{"no":"time"}\n'])
def test_what_is_no_recording(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="file0"):
        assembled(tmp_path, content)


def test_a_digest_is_of_what_is_packed_not_of_the_packing(tmp_path: Path) -> None:
    made = timed(print_(1), print_(2))
    digests = []
    for name in ("lines", "hftbacktest.gz", "lines.zst"):
        place = tmp_path / name
        place.mkdir()
        digests.append(assembled(place, WRITERS[name](made))[1].recordings[0].digest)
    assert len(set(digests)) == 1
