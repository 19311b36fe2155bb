import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.wire.messages import BINARY, CONTINUATION, TEXT, Assembler, ProtocolFault, negotiated


@given(st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=300), st.booleans()), max_size=8), st.data())
def test_any_fragmentation_and_compression_gives_the_messages_back(
    messages: list[tuple[int, bytes, bool]], data: st.DataObject
) -> None:
    takeover = data.draw(st.booleans())
    extensions = "permessage-deflate" + ("" if takeover else "; server_no_context_takeover")
    assembler = Assembler(10_000, negotiated(extensions, 10_000))
    deflater = zlib.compressobj(wbits=-15)
    got = []
    for opcode, message, compress in messages:
        body = message
        if compress:
            deflater = deflater if takeover else zlib.compressobj(wbits=-15)
            body = (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4] if message else b"\x00"  # §7.2.3.6
        cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=3)))
        parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        for i, part in enumerate(parts):
            whole = assembler.feed(CONTINUATION if i else opcode, part, fin=i == len(parts) - 1, rsv1=compress and i == 0)
            assert (whole is None) == (i < len(parts) - 1)
        assert not assembler.joining
        got.append(whole)
    assert got == [(opcode, message) for opcode, message, _ in messages]


def test_a_final_deflate_block_is_understood() -> None:
    """RFC 7692 §7.2.3.4: "Hello" in a block with BFINAL set, and an octet after it."""
    inflater = negotiated("permessage-deflate", 100)
    assert inflater is not None
    assert inflater.inflate(bytes.fromhex("f348cdc9c9070000")) == b"Hello"
    assert inflater.inflate(bytes.fromhex("f248cdc9c90700")) == b"Hello"


def test_context_takeover_of_the_rfc() -> None:
    """RFC 7692 §7.2.3.2: the second "Hello" refers to the first."""
    inflater = negotiated("permessage-deflate; server_max_window_bits=8", 100)
    assert inflater is not None
    assert inflater.inflate(bytes.fromhex("f248cdc9c90700")) == b"Hello"
    assert inflater.inflate(bytes.fromhex("f200110000")) == b"Hello"


@pytest.mark.parametrize("size", [99, 100, 101])
def test_what_inflates_past_the_limit_is_refused_and_no_byte_sooner(size: int) -> None:
    deflater = zlib.compressobj(wbits=-15)
    body = (deflater.compress(bytes(size)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    inflater = negotiated("permessage-deflate", 100)
    assert inflater is not None
    if size <= 100:
        assert inflater.inflate(body) == bytes(size)
    else:
        with pytest.raises(ProtocolFault, match=r"wire\.max_frame_mb"):
            inflater.inflate(body)


@pytest.mark.parametrize("header", [None, "", "  "])
def test_no_extension_is_no_compression(header: str | None) -> None:
    assert negotiated(header, 100) is None


@pytest.mark.parametrize("header", ["x-other", "permessage-deflate; magic", "permessage-deflate, permessage-deflate"])
def test_what_was_not_offered_is_refused(header: str) -> None:
    with pytest.raises(ProtocolFault) as caught:
        negotiated(header, 100)
    assert caught.value.code == 1010
