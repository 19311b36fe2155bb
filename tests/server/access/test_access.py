"""The token over real sockets: what opens, what does not, and that a wrong one is worked on as a right one is."""

import asyncio
import hmac

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tapeline import masking
from tapeline.clock import ReplayClock
from tapeline.config import ServerSettings
from tapeline.errors import ConfigError
from tapeline.server.access import access
from tapeline.server.access.access import EMBED_PREFIX, Lock, is_loopback, lock_of, made_of
from tapeline.server.app import Server
from tests.server.fakes import BTC, T0, FakeSource

TOKEN = "correct-horse-battery-staple"
BEARER = {"authorization": f"Bearer {TOKEN}"}
SHUT = (
    "/", "/docs", "/metrics", "/readyz", "/none", "/licenses.txt", "/api/v1/status", "/api/v1/openapi.json", "/api/v1/access",
    f"/api/v1/trades?instrument={BTC}", "/api/v1/none",
)  # fmt: skip


@pytest.fixture
async def server(source: FakeSource, tmp_path, monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.setenv("TAPELINE_SERVER_TOKEN", TOKEN)
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>the page</title>")
    (tmp_path / "assets" / "index-1.js").write_text("1")
    server = Server(source, ServerSettings(port=0), ReplayClock(T0), page=tmp_path)
    await server.start()
    yield server
    await server.stop()


def socket(server: Server) -> str:
    return server.address.replace("http", "ws") + "/api/v1/ws"


@pytest.mark.parametrize("path", SHUT)
async def test_without_a_token_nothing_is_said(http, path):
    answer = await http.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthorized"
    assert BTC not in answer.text
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    for wrong in ({"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}, {"cookie": f"tapeline-1={TOKEN}"}):
        assert (await http.get(path, headers=wrong)).status_code in (401, 429)


async def test_what_is_open_says_nothing(http):
    assert (await http.get("/livez")).json() == {"mode": "simulated", "live": True}
    assert (await http.get("/assets/index-1.js")).status_code == 200
    assert (await http.get("/login.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "trick", ["/assets/../index.html", "/assets/%2e%2e/index.html", "/assets//../index.html", "//assets/x", "/livez/../",
              "/assets/%2e%2e%2findex.html", "/assets/..%5cindex.html", "/assets/./../index.html", "/embed/../", "/assets/%00"],
)  # fmt: skip
async def test_no_path_passes_for_another(server, trick):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
    writer.write(f"GET {trick} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"frame-ancestors 'none'" in answer
    assert b"the page" not in answer


async def test_the_token_opens_everything(http):
    for path in ("/", "/metrics", "/readyz", "/api/v1/status"):
        assert (await http.get(path, headers=BEARER)).status_code == 200, path
    assert (await http.get("/", headers={"authorization": f"bearer {TOKEN}"})).status_code == 200


async def test_a_person_gets_the_form_and_then_the_page(http, server):
    asked = await http.get("/", headers={"accept": "text/html,*/*"})
    assert asked.status_code == 401
    assert "<form" in asked.text
    assert "form-action 'self'" in asked.headers["content-security-policy"]
    wrong = await http.post("/login", data={"token": "wrong", "next": "/"})
    assert wrong.status_code == 401
    assert "not the right one" in wrong.text
    right = await http.post("/login", data={"token": TOKEN, "next": "/docs"})
    assert (right.status_code, right.headers["location"]) == (303, "/docs")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert (await http.get("/")).text == "<!doctype html><title>the page</title>"  # the client keeps cookies


async def test_onward_is_never_elsewhere(http):
    for onward in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"):
        right = await http.post("/login", data={"token": TOKEN, "next": onward})
        assert right.headers["location"] == "/"
        assert onward not in (await http.get("/login", params={"next": onward})).text


async def test_the_address_with_the_token_is_left_at_once(http):
    opened = await http.get("/", params={"token": TOKEN})
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert TOKEN not in str(opened.headers)
    assert (await http.get("/")).status_code == 200
    http.cookies.clear()
    assert (await http.get("/", params={"token": "wrong"})).status_code == 401
    assert (await http.get("/api/v1/status", params={"token": TOKEN})).status_code == 401, "the API takes none from an address"


async def test_a_ticket_is_good_once(http, server):
    ticket = server.ticket()
    assert TOKEN not in ticket
    assert (await http.get(ticket)).status_code == 303
    http.cookies.clear()
    assert (await http.get(ticket)).status_code == 401


async def test_a_socket_brings_header_or_protocol(server):
    async with connect(socket(server), proxy=None, additional_headers=BEARER) as ws:
        await ws.send('{"method": "ping"}')
        assert "pong" in str(await ws.recv())
    async with connect(socket(server), proxy=None, subprotocols=["tapeline.v1", f"bearer.{TOKEN}"]) as ws:
        assert ws.subprotocol == "tapeline.v1"
        await ws.send('{"method": "ping"}')
        assert "pong" in str(await ws.recv())
    for wrong in ({}, {"additional_headers": {"authorization": "Bearer wrong"}}, {"subprotocols": ["tapeline.v1", "bearer.x"]}):
        with pytest.raises(InvalidStatus) as refused:
            await connect(socket(server), proxy=None, **wrong)
        assert refused.value.response.status_code == 401
    with pytest.raises(InvalidStatus):
        await connect(socket(server) + f"?token={TOKEN}", proxy=None)


async def test_an_embed_reads_and_nothing_else(http, server):
    told = (await http.get("/api/v1/access", headers=BEARER)).json()
    assert told["token"] is True
    embed = {"authorization": f"Bearer {told['embed_token']}"}
    for path in ("/api/v1/status", f"/api/v1/trades?instrument={BTC}", f"/api/v1/book?instrument={BTC}"):
        assert (await http.get(path, headers=embed)).status_code == 200
    for path in (
        "/",
        "/metrics",
        "/api/v1/access",
        "/api/v1/query?sql=select+1",
        "/api/v1/alerts/rules",
        "/api/v1/subscriptions",
    ):
        answer = await http.get(path, headers=embed)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "embed_refused"), path
    change = await http.post("/api/v1/subscriptions", headers=embed, json={"instruments": ["binance:ETH-USDT"]})
    assert change.status_code == 403
    async with connect(socket(server), proxy=None, subprotocols=["tapeline.v1", f"bearer.{told['embed_token']}"]) as ws:
        await ws.send('{"method": "ping"}')
        assert "pong" in str(await ws.recv())


async def test_wrong_tokens_are_soon_told_to_come_later_and_lock_nobody_out(http, server, monkeypatch):
    monkeypatch.setattr(server.hub.gate, "now", lambda: 1000.0)  # a slow machine earns no further attempt
    codes = [(await http.get("/api/v1/status", headers={"authorization": f"Bearer {n}"})).status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2
    late = await http.get("/api/v1/status", headers={"authorization": "Bearer 13"})
    assert (late.status_code, int(late.headers["retry-after"]) >= 1) == (429, True)
    for n in range(100):
        server.hub.gate.attempts.take(f"10.0.0.{n}", server.hub.gate.now())  # noise of all the world
    assert (await http.get("/api/v1/status", headers=BEARER)).status_code == 200, "the right one always works"
    assert (await http.post("/login", data={"token": TOKEN})).status_code == 303
    assert (await http.post("/login", data={"token": "wrong"})).status_code == 429
    assert (await http.get("/", headers={"cookie": f"{cookie_of(server)}"})).status_code == 200, "who is in stays in"
    assert server.hub.gate.refused["unauthorized"] == 10
    assert server.hub.gate.refused["too_many_attempts"] >= 3


async def test_an_old_embed_locks_nobody_out(http):
    for _ in range(20):
        old = await http.get("/api/v1/status", headers={"authorization": f"Bearer {EMBED_PREFIX}{'0' * 64}"})
        assert old.status_code == 401
    assert (await http.get("/api/v1/status", headers=BEARER)).status_code == 200


def cookie_of(server: Server) -> str:
    return f"tapeline-{server.address.rpartition(':')[2]}={server.lock.cookie}"


def test_a_wrong_token_is_worked_on_as_a_right_one_is(monkeypatch):
    """Not timed: each is compared with every secret, as digests of one length, by the same calls."""
    lock = Lock(TOKEN)
    seen: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        seen.append((len(a), len(b)))
        return real(a, b)

    monkeypatch.setattr(access.hmac, "compare_digest", compare)
    worked = []
    for said in (TOKEN, "", "x", TOKEN[:-1], TOKEN * 50, lock.embed_token, "ü\udcff"):
        seen.clear()
        lock.opened_by(said)
        worked.append(list(seen))
    assert worked == [[(32, 32), (32, 32)]] * 7
    assert [lock.opened_by(x) for x in (TOKEN, lock.embed_token, lock.cookie, "")] == ["full", "embed", None, None]
    seen.clear()
    assert lock.opened_by_cookies(["wrong", lock.cookie, "wrong"])
    assert len(seen) == 3, "the right one does not end the comparing"


def test_tickets_end():
    lock = Lock(TOKEN)
    made = lock.ticket(now=100.0)
    assert not lock.punch(made, now=161.0)
    many = [lock.ticket(now=100.0) for _ in range(access.MOST_TICKETS + 1)]
    assert not lock.punch(many[0], now=100.0), "the oldest goes"
    assert lock.punch(many[-1], now=160.0)
    assert not lock.punch(many[-1], now=160.0)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("", False), ("192.168.1.5", False), ("market.lan", False), ("localhost.evil.example", False)],
)  # fmt: skip
def test_where_a_token_is_demanded(host, loopback):
    assert is_loopback(host) is loopback
    lock = lock_of(ServerSettings(host=host), lambda: "")
    assert lock.shut is not loopback
    assert lock.random is not loopback
    if not loopback:
        assert len(lock.token) >= 40
        assert lock_of(ServerSettings(host=host), lambda: "").token != lock.token
    assert lock_of(ServerSettings(host=host), lambda: TOKEN).token == TOKEN


@pytest.mark.parametrize(
    "token",
    ["short", "x" * 15, "with a blank in it all", "tab\there-and-more-of-it", "ünïcode-is-no-header", "embed-0123456789abcdef"],
)
def test_a_token_that_is_none(token):
    with pytest.raises(ConfigError, match="TAPELINE_SERVER_TOKEN") as refused:
        lock_of(ServerSettings(), lambda: token)
    assert token not in str(refused.value)


def test_none_is_had_from_another():
    lock = Lock(TOKEN)
    assert len({lock.token, lock.cookie, lock.embed_token}) == 3
    assert made_of(TOKEN, "cookie") != made_of(TOKEN + "x", "cookie")
    for secret in (lock.token, lock.cookie, lock.embed_token):
        assert secret not in masking.mask(f"GET /?x={secret} failed")


async def test_it_stands_nowhere(http, server, caplog):
    ticket = server.ticket()
    texts = [server.link(), str(server.hub.status())]
    for path in ("/", "/api/v1/status", "/metrics", "/none", f"/?token={TOKEN}x", "/api/v1/openapi.json"):
        for headers in ({}, BEARER, {"authorization": f"Bearer {TOKEN}x"}):
            answer = await http.get(path, headers=headers)
            texts += [answer.text, str(answer.headers)]
    texts += [r.getMessage() for r in caplog.records]
    assert [t for t in texts if TOKEN in t or server.lock.embed_token in t or server.lock.cookie in t] == []
    assert TOKEN not in masking.mask(ticket + str(server.lock.token))


async def test_without_a_token_set_the_link_holds_one(source, tmp_path, monkeypatch):
    monkeypatch.setattr(masking, "_hidden", {})
    monkeypatch.delenv("TAPELINE_SERVER_TOKEN", raising=False)
    server = Server(source, ServerSettings(port=0, host="0.0.0.0"), ReplayClock(T0), page=tmp_path / "none")
    async with server as address, httpx.AsyncClient(trust_env=False, timeout=30) as http:
        assert server.link() == f"{address}/?token={server.lock.token}"
        assert (await http.get(address)).status_code == 401
        assert (await http.get(server.link(), follow_redirects=True)).status_code == 200
