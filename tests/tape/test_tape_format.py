import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.frames import Frame
from tapeline.tape.format import BLOCK_BYTES, HEADER_SIZE, Damaged, decode, encode, merge, read_header, read_payload, split
from tests.tape.tapes import contents, frames, taped

any_frame = st.builds(
    Frame, st.integers(-(2**63), 2**63 - 1), st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=300)
)
any_frames = st.lists(any_frame, min_size=1, max_size=256)


def payload(block: bytes) -> bytes:
    return read_payload(read_header(block), block[HEADER_SIZE:])


@given(any_frames, st.integers(0, 2**64 - 1))
def test_what_is_encoded_is_decoded(some, first):
    block = encode(first, some)
    header = read_header(block)
    assert decode(header, payload(block)) == some
    assert (header.frames, header.first_seq) == (len(some), first)
    assert (header.first_ts, header.last_ts) == (some[0].ts_recv, some[-1].ts_recv)
    assert len(block) == HEADER_SIZE + header.stored


@given(st.lists(st.lists(any_frame, min_size=1, max_size=40), min_size=1, max_size=6))
def test_merged_blocks_are_the_block_of_all(parts):
    whole = [f for part in parts for f in part]
    assert merge([(len(part), payload(encode(0, part))) for part in parts]) == payload(encode(0, whole))


@given(any_frames, st.data())
def test_one_changed_bit_is_seen(some, data):
    block = bytearray(encode(7, some))
    block[data.draw(st.integers(0, len(block) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Damaged):
        payload(bytes(block))


def test_another_version_is_refused_in_words():
    head = bytearray(encode(0, frames(1))[:HEADER_SIZE])
    head[4] = 2
    head[44:] = struct.pack("<I", zlib.crc32(head[:44]))
    with pytest.raises(Damaged, match="version 2"):
        read_header(bytes(head))


def test_frames_are_cut_to_fit_blocks():
    assert [len(run) for run in split(frames(600))] == [256, 256, 88]
    assert [len(run) for run in split(frames(5, size=BLOCK_BYTES // 2))] == [2, 2, 1]
    assert list(split([])) == []


@pytest.mark.parametrize("sealed", [False, True])
def test_the_reader_in_the_documentation_works(tmp_path, sealed):
    page = Path(__file__).parents[2] / "docs" / "tape-format.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    path = taped(tmp_path, [frames(300), frames(10, 300)], seal=sealed)
    if not sealed:
        path.write_bytes(path.read_bytes() + b"TLB1 torn")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    expected = [f"{f.ts_recv} {seq} {int(f.kind)} {len(f.data)}" for seq, f in contents(tmp_path)]
    assert done.stdout.splitlines() == expected
    assert len(expected) == 311
