import asyncio
import re
import threading

import pytest

from tapeline.clock import ReplayClock
from tapeline.errors import TapeError
from tapeline.frames import FrameKind, Session, unpack_session
from tapeline.tape import layout, segment
from tapeline.tape.reader import read, sessions, verify
from tapeline.tape.writer import new_session_id
from tests.tape.tapes import SESSION, T0, contents, frames, taped, writer
from tests.waiting import until


def test_a_session_begins_with_its_head_and_numbers_every_frame(tmp_path):
    tape = writer(tmp_path)
    some = frames(600)
    assert tape.append(some[0]) == 1
    assert tape.append_many(some[1:]) == 600
    assert tape.append_many([]) == 600
    tape.close_sync()
    assert contents(tmp_path) == list(enumerate([tape.head, *some]))
    assert unpack_session(tape.head.data) == Session(id=SESSION, version="1")
    assert verify(tmp_path) == []


def test_session_ids_sort_by_start_also_within_a_second():
    clock, made = ReplayClock(T0 + 999), []
    for later in (0, 16_000, 10**9 // 2, 10**9 - 1000):
        clock.set(T0 + 999 + later)
        made.append(new_session_id(clock))
    assert made[0] == "20261121T100500Z-0000"
    assert made[2] == "20261121T100500Z-8000"
    assert all(re.fullmatch(r"20261121T100500Z-[0-9a-f]{4}", one) for one in made[:4])
    clock.set(T0 + 10**9)
    assert new_session_id(clock) > made[3]
    assert made == sorted(set(made))


def test_default_mode_keeps_at_most_255_frames_back_and_strict_none(tmp_path):
    for mode, back in (("default", 255), ("strict", 0)):
        tape = writer(tmp_path / mode, mode=mode)
        for count in (1, 100, 154, 300, 211):
            last = tape.append_many(frames(count))
            assert last - tape.stats().written_seq <= back
            if mode == "default":
                assert (last - tape.stats().written_seq) == last % 256
        tape.flush()
        assert tape.stats().written_seq == last
        tape.close_sync()


def test_a_block_is_written_early_when_its_data_is_large(tmp_path):
    tape = writer(tmp_path)
    last = tape.append_many(frames(3, size=3 << 20))
    assert tape.stats().written_seq == last
    last = tape.append_many(frames(300, size=1 << 17))
    assert last - tape.stats().written_seq < 256
    tape.close_sync()
    assert contents(tmp_path)[1:] == list(enumerate(frames(3, size=3 << 20) + frames(300, size=1 << 17), 1))


def test_segments_end_by_size_and_by_age(tmp_path):
    tape = writer(tmp_path / "size", segment_mb=1)
    for i in range(12):
        tape.append_many(frames(256, i * 256, size=1000))
    tape.close_sync()
    names = sorted(p.name for p in (tmp_path / "size" / "tape" / SESSION).iterdir())
    assert len(names) == 4  # three segments and the lock
    assert names[0] == "000000000000.tape"
    assert tape.stats().segments == 3
    assert contents(tmp_path / "size")[1:] == list(enumerate(frames(12 * 256, size=1000), 1))

    tape = writer(tmp_path / "age", segment_minutes=1)
    for i in range(3):
        tape.append_many(frames(256, i * 40_000))
    tape.close_sync()
    assert [s.frames for s in sessions(tmp_path / "age")[0].segments] == [513, 256]


def test_an_old_session_is_never_written_to(tmp_path):
    first = taped(tmp_path, [frames(5)])
    before = first.read_bytes()
    with pytest.raises(TapeError, match="never writes to an old session"):
        writer(tmp_path)
    taped(tmp_path, [frames(7)], session="20261121T100501Z-0000")
    assert first.read_bytes() == before
    assert [s.frames for s in sessions(tmp_path)] == [6, 8]


def test_a_closed_tape_takes_nothing(tmp_path):
    tape = writer(tmp_path)
    tape.close_sync()
    tape.close_sync()
    assert tape.stats().state == "off"
    with pytest.raises(TapeError, match="closed"):
        tape.append(frames(1)[0])


async def test_the_background_flushes_what_waits(tmp_path):
    tape = writer(tmp_path, flush_ms=1)
    await tape.start()
    last = tape.append_many(frames(3))
    await until(lambda: tape.stats().written_seq == last)
    assert [seq for seq, _ in read(tmp_path, SESSION)] == [0, 1, 2, 3]
    await tape.close()


async def test_synced_returns_after_fdatasync_and_never_syncs_on_the_loop(tmp_path, monkeypatch):
    threads: list[str] = []
    really = layout.data_sync

    def noted(fd):
        threads.append(threading.current_thread().name)
        really(fd)

    monkeypatch.setattr(segment.layout, "data_sync", noted)
    tape = writer(tmp_path, flush_ms=10_000, sync_ms=60_000)
    await tape.start()
    for i in range(3):
        last = tape.append_many(frames(10, i * 10))
        assert tape.stats().synced_seq < last
        await tape.synced(last)
        assert tape.stats().synced_seq == last
        assert tape.stats().lag_frames == 0
    await tape.synced(2)
    assert threads == ["tape-sync"] * 3
    await tape.close()


async def test_ended_segments_are_sealed_while_the_feed_goes_on(tmp_path):
    tape = writer(tmp_path, segment_mb=1, sync_ms=10)
    await tape.start()
    some = frames(256 * 12, size=1000)
    for i in range(0, len(some), 256):
        tape.append_many(some[i : i + 256])
        await asyncio.sleep(0)
    await until(lambda: len(list((tmp_path / "tape" / SESSION).glob("*.tape"))) == 2)
    assert layout.is_live(tmp_path / "tape" / SESSION)
    await tape.close()
    assert not layout.is_live(tmp_path / "tape" / SESSION)
    assert [s.sealed for s in sessions(tmp_path)[0].segments] == [True] * 3
    assert [f for _, f in contents(tmp_path)[1:]] == some
    assert tape.stats().unsealed == ""


async def test_close_does_not_wait_for_a_hung_disk(tmp_path, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(segment.layout, "data_sync", lambda _: release.wait(30))
    monkeypatch.setattr("tapeline.tape.writer.CLOSE_SECONDS", 0.05)
    tape = writer(tmp_path)
    await tape.start()
    tape.append_many(frames(10))
    waiting = asyncio.create_task(tape.synced(10))
    await asyncio.sleep(0)
    await tape.close()
    with pytest.raises(TapeError, match="closed before"):
        await waiting
    with pytest.raises(TapeError, match="closed"):
        await tape.synced(10)
    assert "longer than" in tape.stats().unsealed
    assert len(contents(tmp_path)) == 11
    release.set()


async def test_earlier_sessions_are_sealed_beside_a_running_one(tmp_path):
    old = taped(tmp_path, [frames(5)])
    tape = writer(tmp_path, "20261121T100501Z-0000")
    await tape.start()
    tape.seal_earlier()
    await tape.close()
    assert not old.exists()
    assert [f.kind for _, f in contents(tmp_path)] == [FrameKind.SESSION] + [FrameKind.RECV] * 5
