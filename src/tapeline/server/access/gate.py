"""What the guard knows and counts: names, rates, who is connected, why requests were refused. One for each server."""

import asyncio
import ipaddress
import math
import socket
from collections import Counter

from tapeline.config import ServerSettings
from tapeline.server.access.access import EMBED_PREFIX, Access, Lock
from tapeline.server.access.policy import Policy
from tapeline.server.access.rates import Rates
from tapeline.server.addresses import is_wildcard
from tapeline.server.asked import ApiError
from tapeline.server.contract.codes import COUNTED

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN = frozenset({"/livez", "/login", "/login.css", "/theme.js", "/favicon.svg"})
"""What needs no token, beside the page's files."""
BURST_SECONDS = 5.0
"""A client may ask so many seconds' requests at once: a page that opens asks a hundred."""
ATTEMPTS_PER_SECOND, ATTEMPTS_BURST = 0.2, 10.0
MOST_OPEN = 300
"""Requests, streams and WebSockets that one address may have open."""


def later(code: str, message: str, seconds: float) -> ApiError:
    return ApiError(429, code, message, "ask again later, and less often", {"retry-after": str(math.ceil(seconds))})


class Gate:
    """Raises ConfigError on settings that cannot be."""

    def __init__(self, settings: ServerSettings, lock: Lock) -> None:
        self.lock = lock
        self.policy = Policy(settings.embed_origins)
        rate = settings.requests_per_second
        self.rates = Rates(rate, rate * BURST_SECONDS)
        self.attempts = Rates(ATTEMPTS_PER_SECOND, ATTEMPTS_BURST)
        self.open: Counter[str] = Counter()
        self.requests = 0
        self.refused = dict.fromkeys(COUNTED, 0)
        host = settings.host
        self._any_address = is_wildcard(host)
        self._names = LOOPBACK | ({socket.gethostname().lower()} if self._any_address else {host.lower()})

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def known(self, host: str) -> bool:
        """Whether a `Host` means us; with all addresses any literal one does, since rebinding needs a name."""
        if host in self._names:
            return True
        if not self._any_address:
            return False
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True

    def tried(self, peer: str, said: str) -> Access | None:
        """What this token opens. Raises ApiError on a wrong one where too many were tried; those of embeds are not counted, since
        they cannot be guessed and a frame that was left open says its old one for ever.
        """
        access = self.lock.opened_by(said)
        counts = access is None and not said.startswith(EMBED_PREFIX)
        if counts and (seconds := self.attempts.take(peer, self.now())):
            raise later("too_many_attempts", "too many wrong tokens", seconds)
        return access

    def row(self) -> dict[str, object]:
        """`door` of `/status`."""
        return {"requests": self.requests, "refused": dict(self.refused), "open": sum(self.open.values())}
