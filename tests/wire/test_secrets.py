"""A venue that says our key back, in every place and spelling: nothing that leaves the wire may bear it."""

import traceback

import pytest
from aiohttp import web
from peers import Peer, close, plan, supervised, text, venue, ws_frame
from test_http import answers, request, serving

from tapeline import masking
from tapeline.errors import Refused, VenueError
from tapeline.frames import FrameKind
from tapeline.masking import hide
from tapeline.plans import ConnectionPlan
from tests.waiting import until

KEY = "c0ffee/5ecret+key"
SPELT = (KEY, "c0ffee\\/5ecret+key", "\\u0063\\u0030ffee/5ecret\\u002bkey", "c0ffee%2F5ecret%2Bkey", "c0ffee&#x2F;5ecret+key")


@pytest.fixture(autouse=True)
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_hidden", {})
    hide(KEY)


def with_key(url: str) -> ConnectionPlan:
    return plan(f"{url}?token={KEY}")


def clean(*texts: object) -> bool:
    return not any("5ecret" in str(t) for t in texts)


async def test_frames_of_every_kind_bear_the_mask() -> None:
    said = [text(f'{{"type":"error","msg":"{spelt} is not valid"}}') for spelt in SPELT]

    async def script(peer: Peer) -> None:
        assert KEY.encode() in peer.request, "the venue must get it"
        peer.send(*said, ws_frame(2, KEY.encode()), ws_frame(9, KEY.encode()), ws_frame(10, KEY.encode()))
        assert (await peer.read()) == (10, KEY.encode()), "a ping's own payload is answered all the same"
        peer.send(close(4001, f"{KEY} twice is too much"))
        await peer.until_gone()

    async with venue(script, Peer.until_gone) as v, supervised(with_key(v.url)) as (supervisor, watch):
        await watch.until(lambda: len(watch.opened()) == 2)
        state = supervisor.state
    assert watch.data(FrameKind.RECV) == [b'{"type":"error","msg":"*** is not valid"}'] * len(SPELT)
    assert [watch.data(kind)[0] for kind in (FrameKind.BINARY, FrameKind.PING, FrameKind.PONG)] == [b"***"] * 3
    assert watch.closed()[0].reason == "*** twice is too much"
    assert "twice is too much" in state.last_error
    assert clean(state, [f.data for f in watch.frames])


async def test_a_connection_without_a_secret_is_left_as_it_is() -> None:
    async def script(peer: Peer) -> None:
        peer.send(text(f'{{"s":"{KEY}"}}'))
        await peer.until_gone()

    async with venue(script) as v, supervised(plan(v.url)) as (_, watch):
        await watch.until(watch.data)
    assert watch.data() == [f'{{"s":"{KEY}"}}'.encode()]


@pytest.mark.parametrize(
    "raw",
    [
        f"HTTP/1.1 401 Unauthorized\r\nContent-Length: 200\r\n\r\n{'x' * 190} {KEY}".encode(),
        f"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/{KEY}\r\nContent-Length: 0\r\n\r\n".encode(),
        f"HTTP/1.1 101 {KEY}\r\nUpgrade: {KEY}\r\n\r\n".encode(),
        f"{KEY}\r\n\r\n".encode(),
    ],
)
async def test_a_handshake_that_fails_says_nothing_of_it(raw: bytes) -> None:
    async with venue(raw) as v, supervised(with_key(v.url)) as (supervisor, _):
        await until(lambda: supervisor.last_fault)
        with pytest.raises(VenueError) as caught:
            await supervisor.wait_open(0.2)
        assert v.peers >= 1
    assert "token=***" in str(caught.value)
    assert clean(*traceback.format_exception(caught.value), supervisor.state)
    assert "c0ffee" not in str(caught.value), "cut in the middle it would be half a key"
    if b"401" in raw:
        assert isinstance(caught.value, Refused)


async def test_http_answers_bear_the_mask_and_a_redirect_does_not_take_the_key_along() -> None:
    asked: list[str] = []

    async def handler(come: web.Request) -> web.Response:
        asked.append(come.path)
        assert come.headers["X-Finnhub-Token"] == KEY
        if come.path == "/away":
            return web.Response(status=302, headers={"Location": f"/elsewhere?token={KEY}"}, text=f"go to {KEY}")
        return web.Response(text=f'{{"error":"{KEY}"}}', headers={"Retry-After": KEY})

    headers = (("X-Finnhub-Token", KEY),)
    async with serving(handler) as (url, http, watch):
        await http.ask(request(f"{url}/quote?token={KEY}", headers=headers))
        await http.ask(request(f"{url}/away", headers=headers))
        await http.ask(request("http://127.0.0.1:1/?token=" + KEY, headers=headers))
    assert asked == ["/quote", "/away"]
    (first, body), (second, gone), (third, _) = answers(watch)
    assert (first.status, body, first.headers["Retry-After"]) == (200, b'{"error":"***"}', "***")
    assert (second.status, gone) == (302, b"go to ***")
    assert third.status == 0
    assert clean(*watch.frames)


async def test_where_one_connection_is_allowed_the_old_one_goes_first() -> None:
    open_now = most = 0

    async def script(peer: Peer) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        peer.send(text("{}"))
        await peer.until_gone()
        open_now -= 1

    async with venue(script) as v, supervised(plan(v.url), alone=True) as (supervisor, watch):
        await watch.until(watch.data)
        supervisor.replace("it said so")
        await watch.until(lambda: len(watch.data()) == 2)
    assert most == 1
    assert [c.planned for c in watch.closed()] == [True, False]
    assert [o.replaces for o in watch.opened()] == [0, 0]
