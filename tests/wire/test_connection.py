"""What a peer can do to one connection, over real sockets."""

import asyncio
import itertools
import json
import zlib

import pytest
from peers import LIMITS, QUICK, Peer, Toy, close, plan, supervised, text, venue, ws_frame

from tapeline.config import WireSettings
from tapeline.frames import FrameKind
from tapeline.plans import Limits

RECV, SENT, PING, PONG, BINARY = FrameKind.RECV, FrameKind.SENT, FrameKind.PING, FrameKind.PONG, FrameKind.BINARY
SILENCE = 2.0
"""Seconds: half of it, which a ping has for its answer, is longer than a busy machine stands still."""


async def test_frames_of_a_plain_life() -> None:
    async def script(peer: Peer) -> None:
        assert await peer.read() == (1, b'{"id":1}')
        peer.send(text('{"result":null,"id":1}'), text("a"), ws_frame(2, b"\x00\x01"))
        await peer.until_gone()

    async with venue(script, extra="X-Tapeline-Simulated: 1\r\n") as v:
        p = plan(v.url + "?streams=x&token=hush", hello=(b'{"id":1}',), acks=1)
        async with supervised(p) as (supervisor, watch):
            await watch.until(lambda: watch.of(BINARY))
            await supervisor.wait_open(1)
            state = supervisor.state
            assert (state.state, state.id, state.streams, state.frames, state.attempts) == ("up", 1, 1, 5, 0)
    assert [f.kind for f in watch.frames] == [FrameKind.OPENED, SENT, RECV, RECV, BINARY, FrameKind.CLOSED]
    assert watch.data(RECV, BINARY) == [b'{"result":null,"id":1}', b"a", b"\x00\x01"]
    (opened,) = watch.opened()
    assert opened.simulated
    assert opened.streams == ["btcusdt@trade"]
    assert "hush" not in opened.url
    assert opened.url.endswith("?streams=x&token=***")
    (closed,) = watch.closed()
    assert (closed.code, closed.reason, closed.planned) == (1000, "stopped", False)
    assert supervisor.state.state == "down"


async def test_a_real_venue_is_not_called_simulated() -> None:
    async with venue(Peer.until_gone) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(watch.opened)
        assert not watch.opened()[0].simulated


async def test_fragments_are_joined_around_control_frames() -> None:
    async def script(peer: Peer) -> None:
        peer.send(text("Hel", fin=False), ws_frame(9, b"now"), ws_frame(0, b"l", fin=False))
        await asyncio.sleep(0.01)  # a second read
        peer.send(ws_frame(0, b"o"), ws_frame(2, b"\x01", fin=False), ws_frame(0, b""), text(""))
        await peer.until_gone()

    async with venue(script) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: len(watch.of(RECV)) == 2)
    kinds = [(f.kind, f.data) for f in watch.frames[1:-1]]
    assert kinds == [(PING, b"now"), (RECV, b"Hello"), (BINARY, b"\x01"), (RECV, b"")]


@pytest.mark.parametrize("takeover", [True, False])
async def test_compressed_messages_are_inflated(takeover: bool) -> None:
    messages = [json.dumps({"e": "trade", "t": i, "p": "0.001"}).encode() for i in range(50)]

    async def script(peer: Peer) -> None:
        assert b"permessage-deflate" in peer.request
        deflater = zlib.compressobj(wbits=-12)
        for i, message in enumerate(messages):
            if not takeover:
                deflater = zlib.compressobj(wbits=-12)
            body = deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH)
            assert body.endswith(b"\x00\x00\xff\xff")
            body = body[:-4]
            if i % 3 == 0:  # compressed and fragmented: the bit stands on the first fragment only
                peer.send(text(body[:5], fin=False, rsv1=True), ws_frame(9, b""), ws_frame(0, body[5:]))
            elif i % 3 == 1:
                peer.send(text(body, rsv1=True))
            else:  # a compressing peer may leave a message as it is
                peer.send(text(message)) if not takeover else peer.send(text(body, rsv1=True))
        await peer.until_gone()

    extension = "permessage-deflate; server_max_window_bits=12" + ("" if takeover else "; server_no_context_takeover")
    async with venue(script, extra=f"Sec-WebSocket-Extensions: {extension}\r\n") as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: len(watch.of(RECV)) == 50)
    assert watch.data() == messages


async def test_a_deflating_library_as_the_peer() -> None:
    """The same against `websockets`, whose compression is its own."""
    import websockets

    messages = [json.dumps({"i": i, "pad": "x" * (i * 37 % 500)}) for i in range(300)]

    async def handler(socket: websockets.ServerConnection) -> None:
        for message in messages:
            await socket.send(message)
        await socket.wait_closed()

    async with websockets.serve(handler, "127.0.0.1", 0, compression="deflate") as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with supervised(plan(f"ws://127.0.0.1:{port}/")) as (_, watch):
            await watch.until(lambda: len(watch.of(RECV)) == 300)
    assert [d.decode() for d in watch.data()] == messages


async def test_a_message_of_twelve_megabytes() -> None:
    big = bytes(range(32, 127)) * (12 * 1024 * 1024 // 95 + 1)

    async def script(peer: Peer) -> None:
        peer.send(text(big), text("after"))
        await peer.until_gone()

    async with venue(script) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: len(watch.of(RECV)) == 2)
    assert watch.data()[0] == big
    assert watch.data()[1] == b"after"


def bomb() -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return (deflater.compress(bytes(3 << 20)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


@pytest.mark.parametrize(
    ("frames", "extra", "code", "words"),
    [
        ([text(bytes(2 << 20))], "", 1009, "max"),
        ([text(bytes(1 << 20), fin=False), ws_frame(0, b"x")], "", 1009, "wire.max_frame_mb"),
        ([text(bomb(), rsv1=True)], DEFLATE, 1009, "inflates past"),
        ([text(b"\xff\xff\xff", rsv1=True)], DEFLATE, 1007, "cannot be inflated"),
        ([text("x", rsv1=True)], "", 1002, "compress"),
        ([], "Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n", 1010, "not offered"),
        ([ws_frame(0, b"x")], "", 1002, "continues nothing"),
        ([text("a", fin=False), text("b")], "", 1002, "inside a fragmented"),
        ([b"\x83\x00"], "", 1002, "opcode"),
        ([ws_frame(9, b"x", fin=False)], "", 1002, "control frame"),
    ],
)
async def test_faults_of_the_peer_end_the_connection_and_say_why(
    frames: list[bytes], extra: str, code: int, words: str
) -> None:
    said: list[tuple[int, bytes]] = []

    async def broken(peer: Peer) -> None:
        peer.send(text("good"), *frames)
        said.append(await peer.read())

    async def sound(peer: Peer) -> None:
        await peer.until_gone()

    settings = WireSettings(max_frame_mb=1, backoff_first=0.01, backoff_most=0.01)
    async with venue(broken, sound, extra=extra) as v, supervised(plan(v.url), settings) as (_, watch):
        await watch.until(lambda: len(watch.opened()) == 2 and said)
    first = watch.closed()[0]
    assert first.code == code
    assert words in first.reason
    assert watch.opened()[1].replaces == 0
    assert said[0][0] == 8
    assert said[0][1][:2] == code.to_bytes(2, "big"), "the peer is told why"
    if code != 1010:
        assert watch.data() == [b"good"], "what came before the fault is kept"


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1013, 4004, None])
async def test_the_peers_close_code_is_kept_and_answered(code: int | None) -> None:
    answers: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        peer.send(text("last"), close(code, "bye" if code else ""))
        answers.append(await peer.read())

    async with venue(script, Peer.until_gone) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: len(watch.opened()) == 2)
    closed = watch.closed()[0]
    assert (closed.code, closed.reason) == (code or 1005, "bye" if code else "")
    assert not closed.planned
    assert answers == [(8, (code or 1000).to_bytes(2, "big"))]
    assert watch.data() == [b"last"]


async def test_a_key_that_the_venue_says_back_is_masked() -> None:
    """Before it is on the tape, and so in every event, table and status that is made from it."""

    async def script(peer: Peer) -> None:
        peer.send(close(4000, "token=abcdef123 is not valid"))
        await peer.until_gone()

    async with venue(script, Peer.until_gone) as v, supervised(plan(v.url)) as (supervisor, watch):
        await watch.until(lambda: len(watch.opened()) == 2)
        assert "abcdef123" not in supervisor.state.last_error
    assert watch.closed()[0].reason == "token=*** is not valid"


async def test_a_close_code_that_may_not_be_sent_is_a_protocol_fault() -> None:
    async def script(peer: Peer) -> None:
        peer.send(close(1005, "impossible"))
        await peer.until_gone()

    async with venue(script, Peer.until_gone) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: len(watch.opened()) == 2)
    assert watch.closed()[0].code == 1002


@pytest.mark.parametrize("abort", [True, False])
async def test_a_lost_connection_is_1006(abort: bool) -> None:
    async def script(peer: Peer) -> None:
        peer.send(text("x"))
        await peer.writer.drain()
        if abort:
            peer.writer.transport.abort()

    async with venue(script, Peer.until_gone) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: len(watch.opened()) == 2)
    assert watch.closed()[0].code == 1006


async def test_pings_are_answered_with_their_payload_and_recorded() -> None:
    pongs: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        peer.send(ws_frame(9, b"1770123456789"), ws_frame(10, b"unasked"))
        pongs.append(await peer.read())
        peer.send(text("done"))
        await peer.until_gone()

    async with venue(script) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: watch.of(RECV))
    assert pongs == [(10, b"1770123456789")]
    assert watch.data(PING) == [b"1770123456789"]
    assert watch.data(PONG) == [b"unasked"]


async def test_a_half_open_connection_is_found_by_its_silence() -> None:
    heard: list[tuple[int, bytes]] = []

    async def deaf(peer: Peer) -> None:
        peer.send(text("x"))
        heard.append(await peer.read())
        await asyncio.sleep(30)

    settings = WireSettings(silence_seconds=SILENCE, backoff_first=0.01, backoff_most=0.01)
    async with venue(deaf, Peer.until_gone) as v, supervised(plan(v.url), settings) as (_, watch):
        await watch.until(lambda: len(watch.opened()) == 2)
    assert (watch.closed()[0].code, watch.closed()[0].reason) == (1006, "silent for 2 s")
    assert heard == [(9, b"tapeline")]


async def test_a_quiet_peer_that_answers_pings_lives() -> None:
    answered = asyncio.Event()

    async def quiet(peer: Peer) -> None:
        for _ in range(3):  # half as often as it would be found dead
            opcode, payload = await peer.read()
            assert opcode == 9
            peer.send(ws_frame(10, payload))
        answered.set()
        await peer.until_gone()

    settings = WireSettings(silence_seconds=SILENCE)
    async with venue(quiet) as v, supervised(plan(v.url), settings) as (_, watch):
        await asyncio.wait_for(answered.wait(), 30)
        assert watch.closed() == []
    assert len(watch.of(PONG)) >= 2


async def test_the_venues_own_ping_is_sent_and_secrets_are_masked() -> None:
    got: list[bytes] = []
    done = asyncio.Event()

    async def script(peer: Peer) -> None:
        while len(got) < 4:
            got.append((await peer.read())[1])
        done.set()
        await peer.until_gone()

    limits = Limits(
        messages_per_second=1000,
        streams_per_connection=1,
        connects_per_5_minutes=9,
        http_weight_per_minute=9,
        client_ping_seconds=0.02,
    )
    hello = (b'{"op":"login","apiKey":"hush","passphrase":"hush"}',)
    async with (
        venue(script) as v,
        supervised(plan(v.url, hello=hello, limits=limits, client_ping=b'{"op":"ping"}')) as (_, watch),
    ):
        await asyncio.wait_for(done.wait(), 30)
    assert got == [hello[0], *[b'{"op":"ping"}'] * 3]
    assert watch.data(SENT)[:2] == [b'{"op":"login","apiKey":"***","passphrase":"***"}', b'{"op":"ping"}']


async def test_what_we_send_keeps_the_message_rate_and_a_place_for_pongs() -> None:
    """4 a second: three messages and the pong at once, the fourth message only when the second is over."""
    order: list[tuple[int, bytes]] = []

    async def script(peer: Peer) -> None:
        order.extend([await peer.read() for _ in range(3)])
        peer.send(ws_frame(9, b"p"))
        order.extend([await peer.read() for _ in range(2)])
        await peer.until_gone()

    limits = Limits(messages_per_second=4, streams_per_connection=1, connects_per_5_minutes=9, http_weight_per_minute=9)
    hello = tuple(b"%d" % i for i in range(4))
    loop = asyncio.get_running_loop()
    async with venue(script) as v, supervised(plan(v.url, hello=hello, limits=limits)) as (_, watch):
        begin = loop.time()
        await watch.until(lambda: len(watch.of(SENT)) == 4)
        assert loop.time() - begin > 0.9  # the venue's window: never earlier
    assert order == [(1, b"0"), (1, b"1"), (1, b"2"), (10, b"p"), (1, b"3")]
    assert LIMITS.messages_per_second == 1000


async def test_invalid_utf8_is_delivered_as_it_is() -> None:
    async def script(peer: Peer) -> None:
        peer.send(text(b'{"e":"\xff\xfe"}'), text("after"))
        await peer.until_gone()

    async with venue(script) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(lambda: len(watch.of(RECV)) == 2)
    assert watch.data() == [b'{"e":"\xff\xfe"}', b"after"]


async def test_a_burst_in_one_buffer_is_handed_on_in_order_without_starving_the_loop() -> None:
    """31,000 frames in one write. picows' buffer has grown by a large message before, as after a snapshot."""
    burst = b"".join(text(b"%d" % i) for i in range(31_000))

    async def script(peer: Peer) -> None:
        peer.send(text(bytes(1 << 20)))
        await peer.read()
        peer.send(burst)
        await peer.until_gone()

    turns: list[int] = []

    async def ticker() -> None:
        while True:
            turns.append(len(watch.frames))
            await asyncio.sleep(0)

    async with venue(script) as v, supervised(plan(v.url, hello=(b"go",))) as (supervisor, watch):
        other = asyncio.ensure_future(ticker())
        await watch.until(lambda: len(watch.of(RECV)) == 31_001)
        other.cancel()
        most = supervisor._funnel.most_waiting
    assert watch.data()[1:] == [b"%d" % i for i in range(31_000)]
    assert max(watch.calls) <= 256
    assert most > 256, "the burst was meant to outgrow a call"
    steps = [b - a for a, b in itertools.pairwise(turns)]
    assert max(steps) <= 512, "another task gets its turn between two calls"


async def test_a_lone_frame_is_delivered_within_its_callback() -> None:
    """One frame a wake-up, one call each: nothing waits for a timer or for company."""

    async def script(peer: Peer) -> None:
        for i in range(20):
            peer.send(text(str(i)))
            await peer.writer.drain()
            assert await peer.read() == (10, str(i).encode())
        await peer.until_gone()

    async with venue(script) as v, supervised(plan(v.url)) as (supervisor, watch):

        def reply(frames: list) -> None:
            watch(frames)
            for f in frames:
                if f.kind == RECV:
                    supervisor._live[0]._transport.send_pong(f.data)

        supervisor._funnel._deliver = reply
        await watch.until(lambda: len(watch.of(RECV)) == 20)
    assert supervisor._funnel.most_waiting == 0


async def test_a_handler_that_raises_is_our_fault_and_ends_run() -> None:
    from tapeline.clock import LiveClock
    from tapeline.wire.budget import ConnectBudget
    from tapeline.wire.supervisor import Supervisor

    def broken(frames: list) -> None:
        raise KeyError("broken handler")

    async with venue(Peer.until_gone) as v:
        supervisor = Supervisor(
            plan(v.url),
            settings=QUICK,
            clock=LiveClock(),
            deliver=broken,
            next_conn=lambda: 1,
            dialect=Toy(),
            budget=ConnectBudget(300),
        )
        with pytest.raises(KeyError, match="broken handler"):
            await asyncio.wait_for(supervisor.run(), 30)
