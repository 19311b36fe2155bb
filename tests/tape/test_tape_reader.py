import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.errors import TapeError, UsageError
from tapeline.frames import Session
from tapeline.tape.reader import head, read, read_batches, recover, seal, sessions, verify
from tests.tape.tapes import SESSION, T0, contents, frames, taped, writer


@pytest.fixture(scope="module", params=[False, True], ids=["open", "sealed"])
def tape(request, tmp_path_factory):
    """Three segments of 1025, 1024 and 500 frames and a bit."""
    root = tmp_path_factory.mktemp("tape")
    taped(root, [frames(256, i * 256, size=1100) for i in range(9)], seal=request.param, segment_mb=1)
    return root


def test_nothing_there(tmp_path):
    assert sessions(tmp_path) == [] == recover(tmp_path) == seal(tmp_path) == verify(tmp_path)
    with pytest.raises(UsageError, match="no session"):
        list(read(tmp_path, "x"))
    with pytest.raises(UsageError):
        list(read(tmp_path, "../x"))


@given(after=st.integers(-2, 2400), start=st.none() | st.integers(-5, 2400), end=st.none() | st.integers(-5, 2400))
@settings(max_examples=60)
def test_any_stretch_is_the_same_stretch_of_the_whole(tape, after, start, end):
    start_ns = None if start is None else T0 + start * 1_000_000
    end_ns = None if end is None else T0 + end * 1_000_000
    expected = [
        (seq, f)
        for seq, f in contents(tape)
        if seq > after and (start is None or f.ts_recv >= start_ns) and (end is None or f.ts_recv < end_ns)
    ]
    assert list(read(tape, SESSION, after=after, start_ns=start_ns, end_ns=end_ns)) == expected
    batches = list(read_batches(tape, SESSION, after=after, start_ns=start_ns, end_ns=end_ns))
    assert all(len(batch) <= 256 for _, batch in batches)
    assert [pair for first, batch in batches for pair in enumerate(batch, first)] == expected


def test_what_is_there(tape):
    (info,) = sessions(tape)
    assert (info.id, info.frames, info.last_seq, info.live, info.holes) == (SESSION, 9 * 256 + 1, 9 * 256, False, [])
    assert [s.first_seq for s in info.segments] == [0] + [s.last_seq + 1 for s in info.segments[:-1]]
    assert (info.first_ts, info.last_ts) == (T0, T0 + (9 * 256 - 1) * 1_000_000)
    assert info.torn_bytes == 0
    assert head(tape, SESSION) == Session(id=SESSION, version="1")
    assert verify(tape) == []


def test_segments_before_the_place_are_not_opened(tape):
    first, second, _ = (s.path for s in sessions(tape)[0].segments)
    from pathlib import Path

    for path in (Path(first), Path(second)):
        path.rename(path.with_suffix(".away"))
        path.write_bytes(b"no block at all")
    try:
        assert next(iter(read(tape, SESSION, after=2200)))[0] == 2201
    finally:
        for path in (Path(first), Path(second)):
            path.with_suffix(".away").rename(path)


def test_a_torn_tail_ends_the_reading_and_is_counted(tmp_path):
    path = taped(tmp_path, [frames(10), frames(10, 10)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert len(contents(tmp_path)) == 11
    (left,) = recover(tmp_path)
    second = whole.rindex(b"TLB1")
    assert (left.session, left.last_seq, left.torn_bytes) == (SESSION, 10, len(whole) - 7 - second)
    assert sessions(tmp_path)[0].torn_bytes == left.torn_bytes
    assert [f.kind for f in verify(tmp_path)] == ["torn"]
    assert path.read_bytes() == whole[:-7]


def test_a_running_session_is_readable_and_neither_recovered_nor_sealed_nor_judged(tmp_path):
    tape = writer(tmp_path)
    tape.append_many(frames(300))
    assert len(contents(tmp_path)) == 257
    assert recover(tmp_path) == []
    assert seal(tmp_path) == []
    (path,) = (tmp_path / "tape" / SESSION).glob("*.open")
    with path.open("ab") as half:
        half.write(b"TLB1 half a block")
    assert verify(tmp_path) == []
    assert sessions(tmp_path)[0].live
    tape.close_sync()
    assert not sessions(tmp_path)[0].live


def test_a_missing_segment_is_a_hole(tape, tmp_path):
    import shutil
    from pathlib import Path

    shutil.copytree(tape / "tape", tmp_path / "tape")
    info = sessions(tmp_path)[0]
    gone = info.segments[1]
    Path(gone.path).unlink()
    assert sessions(tmp_path)[0].holes == [(gone.first_seq, gone.last_seq)]
    assert [f.kind for f in verify(tmp_path)] == ["hole"]
    assert len(contents(tmp_path)) == info.frames - gone.frames


def test_damage_names_segment_and_offset_or_is_told_and_passed(tmp_path):
    path = taped(tmp_path, [frames(10), frames(10, 10), frames(10, 20)])
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data.startswith(b"TLB1", i)]
    data[starts[2] + 60] ^= 1
    path.write_bytes(data)
    with pytest.raises(TapeError, match=rf"000000000000.open, offset {starts[2]}.*verify"):
        contents(tmp_path)
    told = []
    seqs = [seq for seq, _ in read(tmp_path, SESSION, on_damage=told.append)]
    assert seqs == [*range(11), *range(21, 31)]
    assert [(d.offset, d.size) for d in told] == [(starts[2], starts[3] - starts[2])]
    assert [f.kind for f in verify(tmp_path)] == ["damage", "hole"]
    (kept,) = seal(tmp_path)
    assert "stays unsealed" in kept.error
    assert path.read_bytes() == data


def test_a_session_without_head_is_told(tmp_path):
    path = taped(tmp_path, [frames(10)])
    data = path.read_bytes()
    path.write_bytes(data[data.index(b"TLB1", 4) :])
    with pytest.raises(TapeError, match="does not begin"):
        head(tmp_path, SESSION)


def test_times_running_back_are_found(tmp_path):
    taped(tmp_path, [frames(10, 5), frames(3)])
    (finding,) = verify(tmp_path)
    assert finding.kind == "order"
    assert "frame 11 was received 14000000 ns before" in finding.text
