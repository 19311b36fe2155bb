"""What an attacker sends over a real socket: floods, heads and bodies without end, and that every kind of answer bears the policy."""

import asyncio

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.errors import ConfigError
from tapeline.server.access import gate
from tapeline.server.access.policy import Policy
from tapeline.server.access.rates import MOST_PEERS, Rates
from tapeline.server.app import Server
from tests.server.fakes import BTC, T0


def make(source, page, **settings) -> Server:
    return Server(source, ServerSettings(**{"port": 0, **settings}), ReplayClock(T0), page=page)


def client(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, trust_env=False, timeout=30)


async def raw(server: Server, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
    try:
        writer.write(request)
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_flood_is_told_to_wait_and_counted(source, tmp_path, monkeypatch):
    server = make(source, tmp_path / "none", requests_per_second=2.0)
    monkeypatch.setattr(server.hub.gate, "now", lambda: 1000.0)  # all at the same moment, however long they take
    async with server as address, client(address) as http:
        answers = [await http.get("/livez") for _ in range(15)]
        assert [a.status_code for a in answers] == [200] * 10 + [429] * 5
        late = answers[-1]
        assert late.json()["error"]["code"] == "too_many_requests"
        assert late.headers["retry-after"] == "1"
        with pytest.raises(InvalidStatus) as refused:
            await connect(address.replace("http", "ws") + "/api/v1/ws", proxy=None)
        assert refused.value.response.status_code == 429


async def test_what_is_refused_is_told(http, server):
    await http.get("/api/v1/status", headers={"host": "evil.example"})
    await http.get("/api/v1/status", headers={"origin": "https://evil.example"})
    door = (await http.get("/api/v1/status")).json()["door"]
    assert (door["refused"]["host_refused"], door["refused"]["origin_refused"]) == (1, 1)
    assert (door["requests"], door["open"]) == (3, 1)
    text = (await http.get("/metrics")).text
    assert 'tapeline_requests_refused_total{code="host_refused"} 1.0' in text
    assert "tapeline_requests_total 4.0" in text


async def test_one_address_has_only_its_share_open(server, monkeypatch):
    monkeypatch.setattr("tapeline.server.access.guard.MOST_OPEN", 3)
    socket = server.address.replace("http", "ws") + "/api/v1/ws"
    async with connect(socket, proxy=None), connect(socket, proxy=None), connect(socket, proxy=None):
        with pytest.raises(InvalidStatus) as refused:
            await connect(socket, proxy=None)
        assert refused.value.response.status_code == 429
    while server.hub.gate.open:
        await asyncio.sleep(0.01)
    async with connect(socket, proxy=None):
        assert sum(server.hub.gate.open.values()) == 1


async def test_a_head_without_end(server):
    answer = await raw(server, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 65_700)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"frame-ancestors 'none'" in answer
    answer = await raw(server, b"GET /" + b"x" * 65_700)
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("length", [b"99999999999", b"1048577"])
async def test_a_body_that_is_too_large_is_not_awaited(server, length):
    head = b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = await raw(server, head + b"Content-Length: " + length + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
        (b"GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"PUT /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
        (b"GET /livez HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403),
        (b"GET /api/v1/trades HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
        (b"GET //livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
        (b"no HTTP at all\r\n\r\n", 400),
    ],
)
async def test_every_kind_of_answer_has_the_policy(server, request_, status):
    answer = (await raw(server, request_)).lower()
    assert answer.startswith(f"http/1.1 {status} ".encode())
    for header in (b"content-security-policy: default-src 'none'", b"x-frame-options: deny", b"x-content-type-options: nosniff",
                   b"referrer-policy: no-referrer", b"cross-origin-resource-policy: same-origin"):  # fmt: skip
        assert header in answer, header


async def test_a_fault_of_ours_has_it_too(http, source, monkeypatch):
    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(source, "status", broken)
    answer = await http.get("/api/v1/status")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, "/api/v1/status", 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}, "/api/v1/status", 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, "/", 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, "/", 200),
        (
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
            "/api/v1/query?sql=x",
            403,
        ),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, "/api/v1/status", 200),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, "/api/v1/status", 200),
    ],
)
async def test_what_a_browser_says_of_where_it_comes_from(http, headers, path, status):
    assert (await http.get(path, headers=headers)).status_code == status


async def test_only_embeds_may_be_framed_and_only_where_it_is_allowed(source, tmp_path):
    for name in ("index.html", "embed.html"):
        (tmp_path / name).write_text(name)
    async with make(source, tmp_path, embed_origins=("https://notes.example.org",)) as address, client(address) as http:
        framed = await http.get("/embed/chart")
        assert "frame-ancestors 'self' https://notes.example.org;" in framed.headers["content-security-policy"]
        assert "x-frame-options" not in framed.headers
        for path in ("/", "/embed", "/embed/", "/embed/chart/more", "/embedded/chart", "/api/v1/status", "/docs", "/login"):
            answer = await http.get(path)
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], path
            assert answer.headers["x-frame-options"] == "DENY", path


@pytest.mark.parametrize(
    "origin", ["https://a.example; script-src *", "https://a.example b", "'none'", "data:", "", "https://a/b", "a\nb"]
)
def test_an_origin_that_would_change_the_policy(origin):
    with pytest.raises(ConfigError, match="embed_origins"):
        Policy([origin])


@pytest.mark.parametrize(
    "origin", ["https://a.example", "http://localhost:*", "https://*.example.org:8443", "*", "http://[::1]:80"]
)
def test_an_origin_that_can_be_named(origin):
    assert origin in Policy([origin]).headers("/embed/chart")["content-security-policy"]


async def test_names_said_many_times_or_at_length(http):
    many = await http.get("/api/v1/quotes", params={"instrument": [BTC] * 201})
    assert (many.status_code, many.json()["error"]["code"]) == (400, "bad_parameter")
    long = await http.get("/api/v1/trades", params={"instrument": "x" * 257})
    assert (long.status_code, long.json()["error"]["code"]) == (400, "bad_parameter")


def test_addresses_are_forgotten_and_all_together_are_bounded():
    rates = Rates(1.0, 2.0)
    assert [rates.take("a", 0.0), rates.take("a", 0.0)] == [0.0, 0.0]
    assert rates.take("a", 0.0) == 1.0
    assert rates.take("a", 1.0) == 0.0
    for n in range(3 * MOST_PEERS):
        rates.wait(str(n), 1.0)
    assert len(rates) == MOST_PEERS
    crowd = Rates(1.0, 2.0)
    taken = [crowd.take(str(n), 0.0) for n in range(20)]
    assert taken.count(0.0) == 8, "four times what one may"


def test_the_bounds_are_the_documented_ones():
    assert (gate.BURST_SECONDS, gate.MOST_OPEN, gate.ATTEMPTS_BURST) == (5.0, 300, 10.0)
