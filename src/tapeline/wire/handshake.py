"""Getting a WebSocket up, or saying why not.

Whatever keeps a connection from opening ends as one of two errors: `Refused`, the venue answered and said no (the status and
`Retry-After` are kept: 429 and 418 steer the backoff, 451 and 403 tell the user that the venue does not serve this address),
or `Unreachable`, nobody answered. TLS uses the machine's certificates; OpenSSL honours `SSL_CERT_FILE` and `SSL_CERT_DIR`.

What the venue said is masked before it is cut. Where the address holds a key, no error of the library is left behind, because it
holds the answer as it came, and no redirect is followed.
"""

import asyncio
import contextlib
import functools
import logging
import re
import socket
import ssl
from http import HTTPStatus

import aiohappyeyeballs
import picows
from python_socks import ProxyError

from tapeline import __version__
from tapeline.clock import Clock
from tapeline.errors import Refused, Unreachable, VenueError
from tapeline.masking import holds, mask
from tapeline.wire.address import proxy_for
from tapeline.wire.backoff import parse_retry_after
from tapeline.wire.connection import Connection
from tapeline.wire.messages import OFFER

USER_AGENT = f"tapeline/{__version__}"
READ_BUFFER = 64 * 1024
HAPPY_EYEBALLS_SECONDS = 0.25
_STATUS = re.compile(rb"^HTTP/\d(?:\.\d)? +(\d{3})\b")
_RETRY_AFTER = re.compile(rb"^retry-after:[ \t]*(.+?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)

_log = logging.getLogger("tapeline.wire.picows")
if _log.level == logging.NOTSET:
    _log.setLevel(logging.CRITICAL)  # what picows would log becomes a CLOSED frame or a VenueError


@functools.cache
def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


async def connect(connection: Connection, clock: Clock) -> picows.WSTransport:
    """Open `connection`: when this returns, its OPENED frame is out. Raises Refused or Unreachable."""
    plan, seconds = connection.plan, connection.settings.connect_seconds
    where = f"{plan.venue} at {mask(plan.url)}"
    secretive = holds(plan.url)
    try:
        async with asyncio.timeout(seconds):
            transport, listener = await _dialled(connection)
    except picows.WSHandshakeError as error:
        raise refusal(error, where, clock) from (None if secretive else error)
    except TimeoutError as error:
        connection.abandon("the handshake took too long")
        raise Unreachable(f"{where}: no answer within {seconds:g} s (wire.connect_seconds)") from error
    except ssl.SSLCertVerificationError as error:
        hint = "its certificate is not trusted; SSL_CERT_FILE names additional ones"
        raise Unreachable(f"{where}: {hint} ({mask(error.verify_message)})") from (None if secretive else error)
    except (OSError, EOFError, ValueError, ProxyError, picows.WSError) as error:
        raise Unreachable(f"{where}: {mask(_said(error))}{_by_proxy(plan.url)}") from (None if secretive else error)
    except asyncio.CancelledError:
        connection.abandon("given up while connecting")
        raise
    if listener is None:
        raise Unreachable(f"{where}: the connection was closed during the handshake")
    return transport


class _Dial:
    """Makes the socket that picows then uses: IPv6 and IPv4 raced (RFC 8305), and a handle to hang up by.

    picows leaves a transport open when its handshake is cancelled. So it is not cancelled: the socket is shut down under it,
    the transport sees the end of the stream and cleans up after itself.
    """

    def __init__(self) -> None:
        self._sock: socket.socket | None = None

    async def __call__(self, url: picows.WSParsedURL) -> socket.socket:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
        self._sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS, interleave=1)
        return self._sock

    def hang_up(self) -> bool:
        """False: there is no socket yet."""
        if self._sock is None:
            return False
        with contextlib.suppress(OSError):  # it may be gone already
            self._sock.shutdown(socket.SHUT_RDWR)
        return True


async def _dialled(connection: Connection) -> tuple[picows.WSTransport, picows.WSListener | None]:
    """picows' handshake, cancellable."""
    dial = _Dial()
    task = asyncio.ensure_future(_ws_connect(connection, dial))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not dial.hang_up():
            task.cancel()
        await asyncio.wait({task}, timeout=1.0)
        if not task.cancel() and not task.cancelled():
            task.exception()  # looked at, so that nobody misses it
        raise


async def _ws_connect(connection: Connection, dial: _Dial) -> tuple[picows.WSTransport, picows.WSListener | None]:
    url = connection.plan.url
    headers = {"User-Agent": USER_AGENT, "Sec-WebSocket-Extensions": OFFER}
    if connection.plan.origin:
        headers["Origin"] = connection.plan.origin
    return await picows.ws_connect(
        lambda _request, _response: connection,
        url,
        ssl_context=tls_context() if url.startswith("wss:") else None,
        websocket_handshake_timeout=None,  # ours covers resolving, connecting and TLS as well
        logger_name=_log,
        enable_auto_pong=False,
        max_frame_size=connection.settings.max_frame_mb << 20,
        extra_headers=headers,
        max_redirects=0 if holds(url) else 5,
        proxy=proxy_for(url),
        socket_factory=dial,
        read_buffer_init_size=READ_BUFFER,
    )


def refusal(error: picows.WSHandshakeError, where: str, clock: Clock) -> VenueError:
    """What an answer that is no WebSocket handshake means. Statuses that Python does not know (520 and so on) count too."""
    head = error.raw_header or b""
    match = _STATUS.match(head)
    if match is None:
        return Unreachable(f"{where}: what answers is not a WebSocket server")
    status = int(match[1])
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        return Unreachable(f"{where}: broken handshake: {mask(str(error))}")
    header = _RETRY_AFTER.search(head)
    retry_after = parse_retry_after(header[1].decode("ascii", "replace") if header else None, clock.now())
    body = mask(" ".join((error.raw_body or b"").decode("utf-8", "replace").split()))[:200]
    text = f"{where}: refused with HTTP {status}{_phrase(status)}"
    return Refused(text + (f": {body}" if body else ""), status, retry_after)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _said(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_said(e) for e in error.exceptions)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror})"
    return str(error) or type(error).__name__


def _by_proxy(url: str) -> str:
    proxy = proxy_for(url)
    return f" (through the proxy {mask(proxy)})" if proxy else ""
