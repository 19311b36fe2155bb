"""Any damage anywhere: the reader gives exactly what is whole, reports the rest, and raises nothing but TapeError.

What is whole is worked out here from the file's bytes alone: a block is whole if none of its bytes changed.
"""

import os
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.errors import TapeError
from tapeline.frames import Frame
from tapeline.tape import layout
from tapeline.tape.reader import read, recover, seal, sessions, verify
from tests.tape.tapes import SESSION, contents, frames, taped

BATCHES = [frames(200), frames(200, 200), frames(3, 400), frames(250, 403), frames(1, 653)]


class Pristine:
    def __init__(self, root: Path, *, sealed: bool) -> None:
        path = taped(root, BATCHES, seal=sealed)
        self.sealed, self.name, self.data = sealed, path.name, path.read_bytes()
        self.frames = contents(root)
        starts = [i for i in range(len(self.data)) if self.data.startswith(b"TLB1", i)]
        self.blocks = list(zip(starts, [*starts[1:], len(self.data)], strict=True))

    def of_block(self, start: int) -> list[tuple[int, Frame]]:
        count, first = struct.unpack_from("<HQ", self.data, start + 6)
        return self.frames[first : first + count]

    def whole(self, data: bytes) -> list[list[tuple[int, Frame]]]:
        """By block, the frames that must still be readable; an empty list stands for a block that is not whole."""
        return [self.of_block(a) if data[a:b] == self.data[a:b] else [] for a, b in self.blocks]


@pytest.fixture(scope="module", params=[False, True], ids=["open", "sealed"])
def pristine(request, tmp_path_factory):
    return Pristine(tmp_path_factory.mktemp("pristine"), sealed=request.param)


def _with(pristine, data, check):
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "tape" / SESSION
        directory.mkdir(parents=True)
        (directory / pristine.name).write_bytes(data)
        check(Path(place))


@given(st.data())
@settings(max_examples=80)
def test_cut_off_anywhere(pristine, draw):
    cut = draw.draw(st.integers(0, len(pristine.data) - 1))
    whole = [pair for block in pristine.whole(pristine.data[:cut]) for pair in block]
    at_a_block = cut in {0, *(b for _, b in pristine.blocks)}

    def check(root):
        told = []
        assert list(read(root, SESSION, on_damage=told.append)) == whole
        if pristine.sealed:
            assert len(told) == 1
            with pytest.raises(TapeError, match="offset"):
                contents(root)
            assert "damage" in {f.kind for f in verify(root)}
            return
        assert told == []
        assert contents(root) == whole
        (left,) = recover(root)
        assert left.last_seq == len(whole) - 1
        assert left.torn_bytes == sessions(root)[0].torn_bytes
        assert (left.torn_bytes == 0) == at_a_block
        assert [f.kind for f in verify(root)] == ([] if at_a_block else ["torn"])
        (sealed,) = seal(root)
        assert (sealed.frames, sealed.torn_bytes, sealed.error) == (len(whole), left.torn_bytes, "")
        assert contents(root) == whole

    _with(pristine, pristine.data[:cut], check)


@given(st.data())
@settings(max_examples=120)
def test_overwritten_anywhere(pristine, draw):
    at = draw.draw(st.integers(0, len(pristine.data) - 1))
    junk = draw.draw(st.binary(min_size=1, max_size=draw.draw(st.sampled_from([1, 60, 5000]))))[: len(pristine.data) - at]
    data = pristine.data[:at] + junk + pristine.data[at + len(junk) :]
    blocks = pristine.whole(data)
    bad = [i for i, (a, b) in enumerate(pristine.blocks) if data[a:b] != pristine.data[a:b]]
    tail_only = bad and bad[-1] == len(pristine.blocks) - 1

    def check(root):
        told = []
        assert list(read(root, SESSION, on_damage=told.append)) == [pair for block in blocks for pair in block]
        loud = bool(bad) and (pristine.sealed or not tail_only)
        assert bool(told) == loud
        before, error = [], None
        try:
            before.extend(read(root, SESSION))
        except TapeError as e:
            error = str(e)
        assert (error is not None) == loud
        if loud:
            assert f"{pristine.name}, offset {pristine.blocks[bad[0]][0]}," in error
            assert next(d.offset for d in told) == pristine.blocks[bad[0]][0]
        assert bool(verify(root)) == bool(bad)

    _with(pristine, data, check)


@given(st.data())
@settings(max_examples=60)
def test_bytes_taken_out_or_put_in(pristine, draw):
    at = draw.draw(st.integers(0, len(pristine.data) - 1))
    out, junk = draw.draw(st.integers(0, 3000)), draw.draw(st.binary(max_size=200))
    data = pristine.data[:at] + junk + pristine.data[at + out :]

    def check(root):
        got = list(read(root, SESSION, on_damage=lambda _: None))
        assert set(got) <= set(pristine.frames)
        assert [seq for seq, _ in got] == sorted({seq for seq, _ in got})
        before = [pair for a, b in pristine.blocks if b <= at for pair in pristine.of_block(a)]
        assert got[: len(before)] == before
        verify(root)
        sessions(root)
        recover(root)
        seal(root)

    _with(pristine, data, check)


def test_a_message_that_looks_like_a_block_is_none(tmp_path):
    """A venue could send us a block of our own; damage in the block that holds it must not bring it to life."""
    forged = taped(tmp_path / "forged", [frames(1)]).read_bytes()
    path = taped(tmp_path, [[Frame(f.ts_recv, 2, 1, forged) for f in frames(3)], frames(1, 3)])
    data = bytearray(path.read_bytes())
    head = struct.calcsize("<4sBBHQqqIIII")
    first = data.index(b"TLB1", 4)
    data[first + head] ^= 1
    path.write_bytes(data)
    told = []
    assert [seq for seq, _ in read(tmp_path, SESSION, on_damage=told.append)] == [0, 4]
    assert len(told) == 1


@pytest.mark.parametrize("what", ["folder", "pipe", "loop"])
def test_a_segment_that_is_no_file_is_named_and_holds_up_nothing_else(tmp_path: Path, what: str) -> None:
    taped(tmp_path, [frames(5)], seal=True, session="20261121T100000Z-0000")
    taped(tmp_path, [frames(5)], seal=True, session="20261121T110000Z-0000")
    place = layout.segment_path(layout.tape_dir(tmp_path) / "20261121T100000Z-0000", 0, layout.SEALED)
    place.unlink()
    {"folder": place.mkdir, "pipe": lambda: os.mkfifo(place), "loop": lambda: place.symlink_to(place)}[what]()
    for act in (lambda: sessions(tmp_path), lambda: list(read(tmp_path, "20261121T100000Z-0000")), lambda: verify(tmp_path)):
        with pytest.raises(TapeError, match="cannot read"):
            act()
    told: list[TapeError] = []
    assert [s.id for s in sessions(tmp_path, told.append)] == ["20261121T110000Z-0000"]
    assert len(told) == 1
    place.rename(place.with_suffix(layout.OPEN))
    assert recover(tmp_path, told.append) == []
    assert len(told) == 2


def test_a_segment_under_another_name_is_found(tmp_path: Path) -> None:
    """Readers go by the names: frames of this one could be looked for in another."""
    taped(tmp_path, [frames(5)], seal=True)
    first = layout.segment_path(layout.tape_dir(tmp_path) / SESSION, 0, layout.SEALED)
    first.rename(layout.segment_path(first.parent, 500, layout.SEALED))
    assert [(f.kind, f.offset) for f in verify(tmp_path)] == [("order", 0)]
