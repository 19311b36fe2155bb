"""Who may ask: the page itself, local programs, and whoever has the token; never a page of another origin.

A browser sends requests to the loopback address for any page that asks it to. What a page cannot forge stops that:

    Host            must be a loopback name or the configured host. A name that an attacker points at 127.0.0.1 (DNS rebinding) is
                    neither. Where the server listens on all addresses, any literal address passes (rebinding needs a name) and this
                    machine's name.
    Origin          where there is one, it must be the same scheme-less host and port as `Host`. Programs send none.
    Sec-Fetch-Site  where there is one, it must be our own. From elsewhere one may follow a link to here, and show `/embed/…` in a
                    frame where `server.embed_origins` allows it.

Then, in this order: the path is one that means what it says (no `..`, no `//`); the address did not ask too much; its body is not
too large; it has the token, where one is demanded (`access.py`). `OPEN` needs none: it says nothing but that a Tapeline runs here.
Neither do the page's files and `/embed/…`: they are the same in every copy of Tapeline, hold no data, and a frame in another site
could send no cookie for them. What is refused is counted by its code and answered in one form; a person without a token is shown
the form of `/login`.
"""

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tapeline.engine.source import Source
from tapeline.server.access import login
from tapeline.server.access.access import PROTOCOL, Access
from tapeline.server.access.gate import MOST_OPEN, OPEN, Gate, later
from tapeline.server.access.policy import EMBED, PLAIN
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import SCOPE, embed_refused
from tapeline.server.views import encode

ASSETS = "/assets/"
MOST_BODY = 1024 * 1024
BUSY = "tapeline.busy"
"""Set by the door where there are too many connections."""


def host_name(header: str) -> str:
    """`[::1]:8700` → `::1`, `localhost:8700` → `localhost`."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def error_response(error: ApiError, mode: str) -> Response:
    """With all headers, because the answer to a fault of ours is made outside the guard."""
    headers = {**PLAIN, "cache-control": "no-store", "x-tapeline-mode": mode, **error.headers}
    return Response(encode({"mode": mode, "error": error.body()}), error.status, headers, "application/json")


class Guard:
    """`source`, because its mode may change when a venue that does not answer gives way to the simulated market."""

    def __init__(self, app: ASGIApp, gate: Gate, source: Source) -> None:
        self.app, self.gate, self.source = app, gate, source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        self.gate.requests += 1
        peer = _peer(scope)
        policy = self.gate.policy.headers(scope["path"])

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in policy.items():
                    headers.setdefault(name, value)
                headers.setdefault("x-tapeline-mode", self.source.mode)  # a replay beside the live market says its own
            elif message["type"] == "websocket.accept" and PROTOCOL in scope.get("subprotocols", ()):
                message["subprotocol"] = PROTOCOL
            await send(message)

        app = self._answer(scope)
        self.gate.open[peer] += 1
        try:
            await app(scope, receive, send_guarded)
        finally:
            self.gate.open[peer] -= 1
            if not self.gate.open[peer]:
                del self.gate.open[peer]

    def _answer(self, scope: Scope) -> ASGIApp:
        try:
            return self._opened(scope)
        except ApiError as e:
            self.gate.refused[e.code] = self.gate.refused.get(e.code, 0) + 1
            if e.code == "unauthorized" and _is_person(scope):
                return self._form(scope)
            return error_response(e, self.source.mode)

    def _opened(self, scope: Scope) -> ASGIApp:
        """Who answers. Raises ApiError."""
        headers = Headers(scope=scope)
        self.check_origin(headers, scope)
        check_path(scope["path"])
        self._check_amount(scope, headers)
        if SCOPE in scope:
            return self.app  # a replay, served within a server that has looked already
        if (way_in := self._by_address(scope)) is not None:
            return way_in
        access = self._access(scope, headers)
        if access == "embed" and "/api/v1/" not in scope["path"]:
            raise embed_refused()
        scope[SCOPE] = access
        return self.app

    def check_origin(self, headers: Headers, scope: Scope) -> None:
        host = headers.get("host", "")
        if not self.gate.known(host_name(host)):
            raise ApiError(
                403, "host_refused", f"this server is not {host[:80]!r}", "use localhost or the configured server.host"
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            raise ApiError(403, "origin_refused", f"pages of {origin[:80]!r} get nothing", "open the page of this server")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _may_come(headers, scope):
            raise ApiError(403, "origin_refused", "pages of other sites get nothing", "open the page of this server")

    def _check_amount(self, scope: Scope, headers: Headers) -> None:
        peer = _peer(scope)
        if scope.get(BUSY):
            raise ApiError(503, "busy", "too many connections", "ask again soon")
        if seconds := self.gate.rates.take(peer, self.gate.now()):
            raise later("too_many_requests", "more requests than server.requests_per_second", seconds)
        if self.gate.open[peer] >= MOST_OPEN:
            raise later("too_many_requests", f"{MOST_OPEN} connections of one address", 1.0)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MOST_BODY:
            raise ApiError(413, "too_large", f"a body of {length[:20]} bytes", f"at most {MOST_BODY}")

    def _access(self, scope: Scope, headers: Headers) -> Access:
        gate, lock = self.gate, self.gate.lock
        if not lock.shut or _is_open(scope["path"]):
            return "full"
        if lock.opened_by_cookies(_cookies(headers, login.cookie_name(HTTPConnection(scope)))):
            return "full"
        said = _said(headers, scope.get("subprotocols", ()))
        if not said:
            raise unauthorized("no token")
        access = gate.tried(_peer(scope), said)
        if access is None:
            raise unauthorized("a token that is not ours")
        return access

    def _by_address(self, scope: Scope) -> ASGIApp | None:
        """`/?token=…`: a ticket or the token, and onward without it. Raises ApiError."""
        if scope["type"] != "http" or scope["path"] not in login.NEXT or b"token=" not in scope["query_string"]:
            return None
        request = Request(scope)
        said = request.query_params.get("token")
        if said is None:
            return None
        if not self.gate.lock.shut:
            return RedirectResponse(scope["path"], 303, {"cache-control": "no-store"})
        if not self.gate.lock.punch(said, self.gate.now()) and self.gate.tried(_peer(scope), said) != "full":
            raise unauthorized("a token that is not ours, or was used")
        return login.let_in(self.gate.lock, request, scope["path"])

    def _form(self, scope: Scope) -> Response:
        headers = Headers(scope=scope)
        again = headers.get("sec-fetch-site") == "cross-site"
        tried = b"token=" in scope["query_string"]
        text = login.form(scope["path"], wrong=login.WRONG if tried else "", again=again and not tried)
        more = {**self.gate.policy.login, "cache-control": "no-store", "www-authenticate": "Bearer"}
        return HTMLResponse(text, 401, more)


def check_path(path: str) -> None:
    """Raises ApiError on a path that another reader might take for another."""
    parts = path.split("/")
    if "\\" in path or not path.isprintable() or "" in parts[1:-1] or not {".", ".."}.isdisjoint(parts):
        raise ApiError(404, "not_found", "no such path", "see docs/api.md")


def unauthorized(why: str) -> ApiError:
    hint = "send Authorization: Bearer, or open /login in a browser"
    return ApiError(401, "unauthorized", why, hint, {"www-authenticate": "Bearer"})


def _may_come(headers: Headers, scope: Scope) -> bool:
    """Whether a browser may come here from another site: by a link, or in a frame that embeds."""
    if headers.get("sec-fetch-mode") != "navigate" or scope.get("method") not in ("GET", "HEAD"):
        return False
    return headers.get("sec-fetch-dest") == "document" or EMBED.fullmatch(scope["path"]) is not None


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(ASSETS) or EMBED.fullmatch(path) is not None


def _is_person(scope: Scope) -> bool:
    """A browser that opens a page, not what a page or a program asks for."""
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and "/api/" not in scope["path"]
        and "text/html" in Headers(scope=scope).get("accept", "")
    )


def _peer(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


def _said(headers: Headers, protocols: Iterable[str]) -> str:
    """The token of a header, or of a WebSocket's subprotocols; empty where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return next((p.removeprefix("bearer.") for p in protocols if p.startswith("bearer.")), "")


def _cookies(headers: Headers, name: str) -> list[str]:
    try:
        jars = [SimpleCookie(line) for line in headers.getlist("cookie")]
    except CookieError:
        return []
    return [jar[name].value for jar in jars if name in jar]
