"""Who may ask: the page itself and local programs; never a page of another origin.

A browser sends requests to the loopback address for any page that asks it to. Two headers that a page cannot forge stop that:

    Host     must be a loopback name or the configured host. A name that an attacker points at 127.0.0.1 (DNS rebinding) is neither.
             Where the server listens on all addresses, any literal address passes (rebinding needs a name) and this machine's name.
    Origin   where there is one, it must be the same scheme-less host and port as `Host`. Programs send none.

Answers carry the headers that keep the page to itself: nothing is loaded from or sent to elsewhere, nobody frames it, and no
script or style stands in the HTML.
"""

import ipaddress
import socket

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tapeline.engine.source import Source
from tapeline.server.asked import ApiError
from tapeline.server.views import encode

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
WILDCARD = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  compared with, not bound to
CSP = (
    "default-src 'none';"
    "script-src 'self';"
    "style-src 'self';"
    "img-src 'self';"
    "font-src 'self';"
    "connect-src 'self';"
    "worker-src 'self';"
    "manifest-src 'self';"
    "media-src 'self';"
    "base-uri 'none';"
    "form-action 'none';"
    "frame-ancestors 'none';"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def host_name(header: str) -> str:
    """`[::1]:8700` → `::1`, `localhost:8700` → `localhost`."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].lower()


def error_response(error: ApiError, mode: str) -> Response:
    """With all headers, because the answer to a fault of ours is made outside the guard."""
    headers = HEADERS | {"cache-control": "no-store", "x-tapeline-mode": mode}
    return Response(encode({"mode": mode, "error": error.body()}), error.status, headers, "application/json")


class Guard:
    """`source`, because its mode may change when a venue that does not answer gives way to the simulated market."""

    def __init__(self, app: ASGIApp, host: str, source: Source) -> None:
        self.app, self.source = app, source
        self.any_address = host in WILDCARD
        self.names = LOOPBACK | ({socket.gethostname().lower()} if self.any_address else {host.lower()})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers["x-tapeline-mode"] = self.source.mode
            await send(message)

        error = self.refusal(Headers(scope=scope))
        app = self.app if error is None else error_response(error, self.source.mode)
        await app(scope, receive, send_guarded)

    def refusal(self, headers: Headers) -> ApiError | None:
        host = headers.get("host", "")
        if not self._known(host_name(host)):
            return ApiError(
                403, "host_refused", f"this server is not {host[:80]!r}", "use localhost or the configured server.host"
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return ApiError(403, "origin_refused", f"pages of {origin[:80]!r} get nothing", "open the page of this server")
        return None

    def _known(self, name: str) -> bool:
        if name in self.names:
            return True
        if not self.any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
