"""The way in for a browser: a form without script. What answers 401 to a program shows it to a person.

GET /login    the form
POST /login   the token in it; where it is right, a cookie and back to where one came from
/?token=…     the same without typing: the address that is printed where a token was made
"""

import html
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tapeline.server.access.access import COOKIE_SECONDS, Lock
from tapeline.server.access.gate import Gate
from tapeline.server.contract.operations import Described, Operation
from tapeline.server.views import MEDIA, encode

ACCESS = Operation(
    "GET", "/api/v1/access", "What opens this server", tag="server",
    text="`token`: whether one is demanded. `embed_token`: what a frame in a page of another site says, null where none is needed.",
    answer={"token": bool, "embed_token": str | None},
)  # fmt: skip
MOST_BODY = 4096
WRONG = "That token is not the right one."
NEXT = ("/", "/docs")
"""Where one may be sent on to: a list, so that no address of elsewhere can be slipped in."""
LOGIN = Operation("GET", "/login", "The form that asks a person for the token", media="text/html", listed=False)
POST = Operation("POST", "/login", "The token in a form", media="text/html", listed=False)
STYLE = Operation("GET", "/login.css", "Its style", media="text/css", listed=False)
SHEET = """:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:light-dark(#f6f7f9,#0e1116);color:light-dark(#14181f,#e6e9ee)}
main{width:min(26rem,calc(100vw - 3rem))}
h1{font-size:1.3rem;margin:0 0 .5rem}
form{display:grid;gap:.6rem;margin:1rem 0}
input,button{font:inherit;padding:.55rem .7rem;border-radius:6px;border:1px solid light-dark(#8a93a1,#5b6573)}
input{background:light-dark(#fff,#161b22);color:inherit}
button{cursor:pointer;background:light-dark(#14181f,#e6e9ee);color:light-dark(#fff,#0e1116);border-color:transparent}
:focus-visible{outline:2px solid #3b82f6;outline-offset:2px}
p.wrong{color:light-dark(#b42318,#ff8a7a)}
code{font-size:.9em}
"""
FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">{again}
<title>Tapeline: who are you?</title><link rel="stylesheet" href="/login.css"></head>
<body><main>
<h1>This Tapeline asks for a token</h1>
<p>It is in the address that <code>tapeline</code> printed when it started, or in <code>TAPELINE_SERVER_TOKEN</code> there.</p>
{wrong}<form method="post" action="/login"><input type="hidden" name="next" value="{next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button></form>
<p><a href="{next}">I have opened it before</a></p>
</main></body></html>
"""


def form(where: str, *, wrong: str = "", again: bool = False) -> str:
    """`again`: load once more, by ourselves: a browser that came by a link of another site sent no Strict cookie."""
    onward = where if where in NEXT else "/"
    return FORM.format(
        next=html.escape(onward),
        wrong=f'<p class="wrong" role="alert">{html.escape(wrong)}</p>\n' if wrong else "",
        again='<meta http-equiv="refresh" content="0">' if again else "",
    )


def let_in(lock: Lock, request: Request, where: str) -> Response:
    """The cookie, and onward. Named by port, since cookies know hosts only and two Tapelines may run on one."""
    answer = RedirectResponse(where if where in NEXT else "/", 303, {"cache-control": "no-store"})
    answer.set_cookie(
        cookie_name(request), lock.cookie, max_age=COOKIE_SECONDS, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


def cookie_name(request: HTTPConnection[Any]) -> str:
    return f"tapeline-{(request.scope.get('server') or ('', 0))[1]}"


async def posted(request: Request) -> tuple[str, str]:
    """Token and onward of the form, empty where there is none; at most `MOST_BODY` bytes are read."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            return "", "/"
    given = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    return given.get("token", [""])[0], given.get("next", ["/"])[0]


class Login:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def routes(self) -> list[Described]:
        return [Described(self._ask, LOGIN, POST), Described(self._sheet, STYLE)]

    async def _ask(self, request: Request) -> Response:
        if request.method != "POST":
            return self._form(request.query_params.get("next", "/"), "", 200)
        said, where = await posted(request)
        if self._gate.lock.shut and self._gate.tried(request.client.host if request.client else "", said) != "full":
            self._gate.refused["unauthorized"] += 1
            return self._form(where, WRONG, 401)
        return let_in(self._gate.lock, request, where)

    def _form(self, where: str, wrong: str, status: int) -> Response:
        return HTMLResponse(form(where, wrong=wrong), status, {**self._gate.policy.login, "cache-control": "no-store"})

    async def _sheet(self, _: Request) -> Response:
        return Response(SHEET, headers={"cache-control": "no-cache"}, media_type="text/css")


def access_route(gate: Gate, mode: Callable[[], str]) -> Described:
    async def access(_: Request) -> Response:
        row = {"mode": mode(), "token": gate.lock.shut, "embed_token": gate.lock.embed_token or None}
        return Response(encode(row), headers={"cache-control": "no-store"}, media_type=MEDIA["json"])

    return Described(access, ACCESS)
