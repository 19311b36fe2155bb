"""Staying connected: refusals, backoff, planned reconnects, restarts, proxies, TLS; over real sockets."""

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
from peers import LIMITS, QUICK, Peer, close, plan, supervised, text, venue, ws_frame

from tapeline.config import WireSettings
from tapeline.errors import Refused, Unreachable
from tapeline.frames import FrameKind
from tapeline.plans import Limits
from tapeline.wire import connection, handshake
from tapeline.wire import supervisor as supervising
from tests.waiting import until

ACK = text('{"result":null,"id":1}')


def answer(status: str, headers: str = "", body: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("raw", "status", "retry_after", "words"),
    [
        (answer("429 Too Many Requests", "Retry-After: 7\r\n"), 429, 7.0, "429 Too Many Requests"),
        (answer("418 I'm a teapot", "retry-after: 120\r\n"), 418, 120.0, "418"),
        (
            answer("451 Unavailable For Legal Reasons", "", '{"code":0,\n "msg":"restricted location"}'),
            451,
            None,
            "restricted location",
        ),
        (answer("403 Forbidden"), 403, None, "403 Forbidden"),
        (answer("503 Service Unavailable", "Retry-After: soon\r\n"), 503, None, "503"),
        (answer("520 Web Server Says No"), 520, None, "HTTP 520"),
        (b"HTTP/1.1 429\r\n\r\n", 429, None, "HTTP 429"),
    ],
)
async def test_a_refused_handshake_says_status_and_retry_after(
    raw: bytes, status: int, retry_after: float | None, words: str
) -> None:
    settings = WireSettings(connect_seconds=30, backoff_first=30, backoff_most=30)
    async with venue(raw) as v, supervised(plan(v.url), settings) as (supervisor, watch):
        if status not in {403, 451}:  # what may change is waited for
            await until(lambda: supervisor.last_fault)
        with pytest.raises(Refused, match=words) as caught:
            await supervisor.wait_open(60 if status in {403, 451} else 0.1)
        assert supervisor.state.state == "down"
        assert supervisor.state.attempts == 1
        assert words in supervisor.state.last_error
    assert (caught.value.status, caught.value.retry_after) == (status, retry_after)
    assert watch.frames == [], "a connection that never was leaves no frame"


async def test_retry_after_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    async with venue(answer("429 Slow down", "Retry-After: 0.4\r\n"), Peer.until_gone) as v:
        begin = loop.time()
        async with supervised(plan(v.url)) as (supervisor, watch):
            await supervisor.wait_open(30)
            assert loop.time() - begin >= 0.4  # jitter alone is at most 0.05
            assert supervisor.state.attempts == 1, "it has not been stable yet"
    assert watch.opened()[0].attempt == 1


async def test_nobody_listens() -> None:
    async with venue(Peer.until_gone) as v:
        url = v.url
    async with supervised(plan(url)) as (supervisor, _):
        await until(lambda: supervisor.last_fault)
        with pytest.raises(Unreachable, match="refused"):
            await supervisor.wait_open(0.1)
    async with supervised(plan("ws://no-such-venue.invalid/")) as (supervisor, _):
        with pytest.raises(Unreachable, match=r"no-such-venue\.invalid"):
            await supervisor.wait_open(1)


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def test_a_server_that_accepts_and_says_nothing_is_unreachable_in_time() -> None:
    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, supervised(plan(url), WireSettings(connect_seconds=0.1)) as (supervisor, watch):
        await until(lambda: supervisor.last_fault)
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s"):
            await supervisor.wait_open(0.05)
    assert watch.frames == []


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"])
async def test_what_is_no_websocket_server_is_unreachable(raw: bytes) -> None:
    async with venue(raw) as v, supervised(plan(v.url)) as (supervisor, _):
        with pytest.raises(Unreachable):
            await supervisor.wait_open(0.2)


async def test_a_restarted_server_is_found_again_and_the_hello_repeated() -> None:
    async def script(peer: Peer) -> None:
        assert await peer.read() == (1, b"subscribe")
        peer.send(ACK, close(1012, "service restart"))

    async with venue(script) as v, supervised(plan(v.url, hello=(b"subscribe",), acks=1)) as (supervisor, watch):
        await watch.until(lambda: len(watch.closed()) == 4)
        assert supervisor.state.reconnects >= 3
    assert [c.code for c in watch.closed()[:4]] == [1012] * 4
    assert [o.attempt for o in watch.opened()[:4]] == [0, 1, 2, 3], "a venue that drops at once is not stable"
    assert [f.conn for f in watch.of(FrameKind.OPENED)][:4] == [1, 2, 3, 4]


async def test_a_connection_that_held_resets_the_backoff() -> None:
    async def script(peer: Peer) -> None:
        await peer.read()  # from now on it holds for us too
        await asyncio.sleep(0.05)
        peer.send(close(1001))
        await peer.read()

    settings = WireSettings(backoff_first=0.01, backoff_most=0.01, stable_seconds=0.02)
    async with venue(script) as v, supervised(plan(v.url, hello=(b"hello",)), settings) as (_, watch):
        await watch.until(lambda: len(watch.closed()) == 3)
    assert [o.attempt for o in watch.opened()[:3]] == [0, 1, 1]


class Numbers:
    """A venue that numbers its messages for all connections alike, as a stream does."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.n = 0

    async def script(self, peer: Peer) -> None:
        await peer.read()
        peer.send(ACK)
        self.peers.append(peer)
        try:
            await peer.until_gone()
        finally:
            self.peers.remove(peer)

    async def run(self) -> None:
        while True:
            self.n += 1
            for peer in self.peers:
                peer.send(text(f"n{self.n}"))
            await asyncio.sleep(0.002)


async def test_a_planned_reconnect_loses_nothing_and_overlaps() -> None:
    numbers = Numbers()
    async with venue(numbers.script) as v, supervised(plan(v.url, hello=(b"subscribe",), acks=1)) as (supervisor, watch):
        feed = asyncio.ensure_future(numbers.run())
        await watch.until(lambda: len(watch.of(FrameKind.RECV)) > 10)
        for n in (2, 3):
            supervisor.replace("serverShutdown")
            await watch.until(lambda n=n: len(watch.closed()) == n - 1)
            seen = len(watch.of(FrameKind.RECV))
            await watch.until(lambda seen=seen: len(watch.of(FrameKind.RECV)) > seen + 10)
        assert supervisor.state.state == "up"
        assert supervisor.state.id == 3
        feed.cancel()
    assert [o.replaces for o in watch.opened()] == [0, 1, 2]
    first, second, last = watch.closed()
    assert (first.code, first.planned, first.reason) == (1000, True, "replaced by connection 2")
    assert second.planned
    assert not last.planned
    got = {c: [int(f.data[1:]) for f in watch.of(FrameKind.RECV) if f.conn == c and f.data[:1] == b"n"] for c in (1, 2, 3)}
    for one in got.values():
        assert one == list(range(one[0], one[-1] + 1))
    union = sorted(set().union(*got.values()))
    assert union == list(range(union[0], union[-1] + 1))
    assert set(got[1]) & set(got[2]), "both gave the same messages for a while"
    assert set(got[2]) & set(got[3])


async def test_the_venues_maximal_age_is_not_waited_for() -> None:
    limits = Limits(
        messages_per_second=100,
        streams_per_connection=9,
        connects_per_5_minutes=300,
        http_weight_per_minute=9,
        max_age_seconds=0.2,
    )
    loop = asyncio.get_running_loop()
    settings = WireSettings(backoff_first=0.001, backoff_most=0.001, stable_seconds=0.01)
    async with venue(Peer.until_gone) as v, supervised(plan(v.url, limits=limits), settings, grace=0.01) as (_, watch):
        begin = loop.time()
        await watch.until(lambda: len(watch.opened()) == 2)
        assert loop.time() - begin >= 0.2 * 0.89
        await watch.until(watch.closed)
    assert watch.opened()[1].replaces == 1
    assert watch.closed()[0].planned


async def test_a_successor_that_fails_leaves_the_old_one_alone() -> None:
    async def old(peer: Peer) -> None:
        await peer.read()
        peer.send(ACK)
        await peer.until_gone()

    async def dies(peer: Peer) -> None:
        peer.send(close(1013, "try again later"))
        await peer.read()

    async with (
        venue(old, answer("503 Busy"), dies, old) as v,
        supervised(plan(v.url, hello=(b"s",), acks=1)) as (supervisor, watch),
    ):
        await watch.until(lambda: watch.of(FrameKind.RECV))
        supervisor.replace("serverShutdown")
        await watch.until(lambda: len(watch.closed()) == 2)
    assert [o.replaces for o in watch.opened()] == [0, 1, 1]
    assert [(f.conn, c.code, c.planned) for f, c in zip(watch.of(FrameKind.CLOSED), watch.closed(), strict=True)][:2] == [
        (2, 1013, False),
        (1, 1000, True),
    ]


async def test_a_successor_that_is_never_acknowledged_is_given_up() -> None:
    answers = iter((True, False))

    async def script(peer: Peer) -> None:
        await peer.read()
        if next(answers, True):
            peer.send(ACK)
        await peer.until_gone()

    settings = WireSettings(connect_seconds=1.0, backoff_first=0.01, backoff_most=0.01)
    async with venue(script) as v, supervised(plan(v.url, hello=(b"s",), acks=1), settings) as (supervisor, watch):
        await watch.until(lambda: watch.of(FrameKind.RECV))
        supervisor.replace("age")
        await watch.until(lambda: len(watch.closed()) == 2)
    assert "not acknowledged" in watch.closed()[0].reason
    assert not watch.closed()[0].planned
    assert watch.closed()[1].planned
    assert watch.closed()[1].reason == "replaced by connection 3"


async def test_an_old_connection_that_dies_first_leaves_the_successor_going() -> None:
    both = asyncio.Event()

    async def old(peer: Peer) -> None:
        await both.wait()
        peer.writer.transport.abort()

    async def new(peer: Peer) -> None:
        await peer.read()
        both.set()
        await peer.until_gone()

    async with venue(old, new) as v, supervised(plan(v.url, hello=(b"s",), acks=1)) as (supervisor, watch):
        await watch.until(watch.opened)
        supervisor.replace("serverShutdown")
        await watch.until(watch.closed)
        await asyncio.sleep(0.1)
        assert supervisor.state.id == 2
        assert len(watch.closed()) == 1
        assert not watch.closed()[0].planned


async def test_stopping_is_quick_whatever_the_peer_does() -> None:
    async def deaf(peer: Peer) -> None:
        await asyncio.sleep(30)

    loop = asyncio.get_running_loop()
    async with venue(deaf) as v, supervised(plan(v.url)) as (supervisor, watch):
        await watch.until(watch.opened)
        begin = loop.time()
        await supervisor.stop("enough")
        assert loop.time() - begin < 10, "who says nothing is not waited for"
    assert (watch.closed()[0].code, watch.closed()[0].reason) == (1000, "enough")


async def test_messages_that_arrive_while_leaving_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LEAVE_SECONDS", 30.0)

    async def script(peer: Peer) -> None:
        assert (await peer.read())[0] == 8
        peer.send(text("late"), close(1000))

    async with venue(script) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(watch.opened)
    assert [f.kind for f in watch.frames] == [FrameKind.OPENED, FrameKind.RECV, FrameKind.CLOSED]


async def test_one_that_was_replaced_is_heard_out_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where we are behind: what it said before our goodbye comes for a while after that, and its answer comes last."""
    monkeypatch.setattr(connection, "LEAVE_SECONDS", 1.5)  # longer than any pause here
    monkeypatch.setattr(supervising, "HEAR_OUT_SECONDS", 30.0)
    said = [f"n{number}".encode() for number in range(9)]

    async def behind(peer: Peer) -> None:
        await peer.read()
        peer.send(ACK)
        opcode, payload = await peer.read()
        assert opcode == 8
        for message in said:
            await asyncio.sleep(0.2)
            peer.send(text(message))
        peer.send(ws_frame(8, payload))

    async def new(peer: Peer) -> None:
        await peer.read()
        peer.send(ACK)
        await peer.until_gone()

    async with venue(behind, new) as v, supervised(plan(v.url, hello=(b"s",), acks=1)) as (supervisor, watch):
        await watch.until(lambda: watch.of(FrameKind.RECV))
        supervisor.replace("age")
        await watch.until(watch.closed)
        assert watch.closed()[0].planned
        assert [f.data for f in watch.of(FrameKind.RECV) if f.conn == 1][1:] == said


async def test_the_connect_budget_is_shared_and_kept() -> None:
    from tapeline.wire.budget import ConnectBudget

    class Noted(ConnectBudget):
        def reserve(self, now: float) -> float:
            wait = super().reserve(now)
            allowed.append(now + wait)
            return wait

    allowed: list[float] = []
    budget = Noted(3)
    budget.seconds = 0.3
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def script(peer: Peer) -> None:
        times.append(loop.time())
        peer.send(close(1001))
        await peer.read()

    async with venue(script) as v, supervised(plan(v.url)) as (supervisor, watch):
        supervisor._budget = budget
        await watch.until(lambda: len(watch.opened()) == 7)
    assert all(b - a > 0.29 for a, b in zip(allowed, allowed[2:], strict=False)), "two in any 0.3 s"
    assert all(time >= at for at, time in zip(allowed, times, strict=False)), "and none before its time"


async def test_uvloop_does_the_same() -> None:
    """The house runs on uvloop; its transports differ."""
    code = """
import asyncio, sys, uvloop
sys.path[:0] = sys.argv[1:4]
from peers import Peer, close, plan, supervised, text, venue
from tapeline.frames import FrameKind
async def main():
    async def script(peer):
        await peer.read()
        peer.send(text(bytes(1 << 20)), *[text(b"%d" % i) for i in range(20_000)])
        await peer.until_gone()
    async with venue(script) as v, supervised(plan(v.url, hello=(b"go",))) as (s, watch):
        await watch.until(lambda: len(watch.of(FrameKind.RECV)) == 20_001)
    assert watch.data()[1:] == [b"%d" % i for i in range(20_000)]
    assert max(watch.calls) <= 256
    print("good", s._funnel.most_waiting)
asyncio.run(main(), loop_factory=uvloop.new_event_loop) if sys.version_info >= (3, 12) else uvloop.run(main())
"""
    import sys

    import tapeline

    src = str(Path(tapeline.__file__).parent.parent)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        code,
        src,
        str(Path(__file__).parent),
        str(Path(__file__).parents[2]),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, err.decode()
    assert out.startswith(b"good"), out


def certificate(folder: Path) -> tuple[Path, Path]:
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:venue.test,IP:127.0.0.1"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        str(key),
        "-out",
        str(cert),
        *subject,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    cert, key = certificate(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


async def test_tls_is_checked_and_ssl_cert_file_is_honoured(
    tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, cert = tls

    async def script(peer: Peer) -> None:
        peer.send(text(bytes(3 << 20)), *[text(b"%d" % i) for i in range(5000)])
        await peer.until_gone()

    async with venue(script, ssl=context) as v:
        handshake.tls_context.cache_clear()
        async with supervised(plan(v.url), QUICK) as (supervisor, watch):
            await until(lambda supervisor=supervisor: supervisor.last_fault)
            with pytest.raises(Unreachable, match="SSL_CERT_FILE"):
                await supervisor.wait_open(0.1)
        assert watch.frames == []
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        handshake.tls_context.cache_clear()
        async with supervised(plan(v.url)) as (_, watch):
            await watch.until(lambda: len(watch.of(FrameKind.RECV)) == 5001)
    handshake.tls_context.cache_clear()
    assert watch.data()[1:] == [b"%d" % i for i in range(5000)]


class Proxy:
    """A CONNECT proxy that takes every name for loopback."""

    def __init__(self, status: str = "200 Connection established") -> None:
        self.asked: list[str] = []
        self.status = status

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split("\r\n", 1)[0])
        target = head.split()[1]
        writer.write(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
        if self.status.startswith("200"):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", int(target.rsplit(":", 1)[1]))
            await asyncio.gather(self.pipe(reader, far_writer), self.pipe(far_reader, writer))
        writer.close()

    @staticmethod
    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.mark.parametrize("secure", [False, True])
async def test_a_proxy_of_the_environment_is_used(
    secure: bool, tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context, cert = tls
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    handshake.tls_context.cache_clear()
    proxy = Proxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    monkeypatch.setenv("https_proxy" if secure else "http_proxy", address)

    async def script(peer: Peer) -> None:
        peer.send(text("through"))
        await peer.until_gone()

    async with server, venue(script, ssl=context if secure else None) as v:
        url = v.url.replace("127.0.0.1", "venue.test")
        async with supervised(plan(url)) as (_, watch):
            await watch.until(lambda: watch.of(FrameKind.RECV))
        assert proxy.asked == [f"CONNECT venue.test:{v.port} HTTP/1.1"]
        async with supervised(plan(v.url)) as (_, watch):
            await watch.until(lambda: watch.of(FrameKind.RECV))
        assert len(proxy.asked) == 1, "the loopback interface needs no proxy"
    handshake.tls_context.cache_clear()


async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Proxy("407 Proxy Authentication Required")
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    monkeypatch.setenv("http_proxy", f"http://user:hush@127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, supervised(plan("ws://venue.test/")) as (supervisor, _):
        await until(lambda: supervisor.last_fault)
        with pytest.raises(Unreachable, match=r"407.*through the proxy http://\*\*\*@127") as caught:
            await supervisor.wait_open(0.1)
    assert "hush" not in str(caught.value)
    assert LIMITS.connects_per_5_minutes == 300


async def test_a_socks_proxy_resolves_the_name_and_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def socks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """RFC 1928, no authentication, CONNECT to a name."""
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        assert await reader.readexactly(4) == b"\x05\x01\x00\x03"
        name = await reader.readexactly((await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        asked.append(name.decode())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(Proxy.pipe(reader, far_writer), Proxy.pipe(far_reader, writer))

    async def script(peer: Peer) -> None:
        peer.send(text("through"))
        await peer.until_gone()

    server = await asyncio.start_server(socks, "127.0.0.1", 0)
    monkeypatch.setenv("all_proxy", f"socks5h://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server, venue(script) as v, supervised(plan(v.url.replace("127.0.0.1", "venue.test"))) as (_, watch):
        await watch.until(lambda: watch.of(FrameKind.RECV))
    assert asked == ["venue.test"]
