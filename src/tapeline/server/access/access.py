"""Who has a token, and what it opens.

On a loopback address no token is demanded, unless one is set: TAPELINE_SERVER_TOKEN in the environment or in `.env`, or
`tapeline/server` in the keyring. On any other address one always is; where none is set, a random one is made at each start, and
the address that is printed holds it.

    token    `Authorization: Bearer`, or `/?token=…` opened once in a browser, or the form of `/login`       everything
    cookie   what a browser gets for the token: HttpOnly, SameSite=Strict, made of it and no way back to it  everything
    ticket   `/?token=…` of the browser that we open ourselves: good for one use within a minute, because
             a command line can be read by every user of the machine                                        a cookie
    embed    what a page of another site shows in a frame, where no Strict cookie is sent: made of the
             token too. `Authorization: Bearer`, or `bearer.…` among a WebSocket's subprotocols              what embeds read

Every credential is compared with every secret it could be, always all of them, as digests of one length by `hmac.compare_digest`: a
wrong one costs what a right one costs and says nothing. Attempts with a wrong token are counted by address (`rates.py`) and soon
told to come later; cookies are not, they cannot be guessed. The right token works all the same: whoever guesses must not be able to
lock the owner out, and behind a proxy all come from one address. How many can be guessed a second is bounded by the rate of
requests, which 16 characters chosen at random outlast by far.

Why no token in the address of the WebSocket or of the API: addresses stand in the logs of proxies. The page's own needs none
(cookie), a program sets a header, an embed says a subprotocol.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Literal

from tapeline.config import ServerSettings
from tapeline.errors import ConfigError
from tapeline.keys import secret_of
from tapeline.masking import hide

Access = Literal["full", "embed"]
VARIABLE = "TAPELINE_SERVER_TOKEN"
SHORTEST = 16
"""Characters of a token that somebody chose: the rate of requests does the rest."""
TICKET_SECONDS = 60.0
MOST_TICKETS = 16
EMBED_PREFIX = "embed-"
PROTOCOL = "tapeline.v1"
"""What the server answers to a WebSocket that offers it; `bearer.TOKEN` beside it is the credential and never said back."""
COOKIE_SECONDS = 30 * 24 * 3600


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def made_of(token: str, purpose: str) -> str:
    """A secret that only who has the token can make, and from which it cannot be had: 64 hexadecimal digits."""
    return hmac.new(token.encode(), f"tapeline {purpose}".encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class Lock:
    """What a server demands. `token` empty: nothing. `random`: it was made for this start."""

    def __init__(self, token: str = "", *, random: bool = False) -> None:
        self.token, self.random = token, random
        self.cookie = made_of(token, "cookie") if token else ""
        self.embed_token = EMBED_PREFIX + made_of(token, "embed") if token else ""
        self._digests = {name: _digest(text) for name, text in (("full", token), ("embed", self.embed_token))}
        self._cookie = _digest(self.cookie)
        self._tickets: OrderedDict[bytes, float] = OrderedDict()
        for secret in (token, self.cookie, self.embed_token):
            hide(secret)

    @property
    def shut(self) -> bool:
        return bool(self.token)

    def opened_by(self, said: str) -> Access | None:
        """By a token. The same work whether it is right or wrong."""
        digest = _digest(said)
        same = {name: hmac.compare_digest(digest, ours) for name, ours in self._digests.items()}
        return "full" if same["full"] else "embed" if same["embed"] else None

    def opened_by_cookies(self, values: Iterable[str]) -> bool:
        same = [hmac.compare_digest(_digest(value), self._cookie) for value in values]
        return any(same)

    def ticket(self, now: float) -> str:
        """Stands once for the token, within a minute; at most `MOST_TICKETS` wait. Times are loop times."""
        made = secrets.token_urlsafe(24)
        hide(made)
        self._tickets[_digest(made)] = now + TICKET_SECONDS
        while len(self._tickets) > MOST_TICKETS:
            self._tickets.popitem(last=False)
        return made

    def punch(self, said: str, now: float) -> bool:
        """Whether it was a ticket; it is none any more."""
        until = self._tickets.pop(_digest(said), None)
        return until is not None and now <= until


def lock_of(settings: ServerSettings, secret: Callable[[], str] | None = None) -> Lock:
    """What this address needs. Raises ConfigError on a token that is none."""
    found = (secret or _configured)()
    if found:
        if (
            len(found) < SHORTEST
            or not (found.isascii() and found.isprintable())
            or " " in found
            or found.startswith(EMBED_PREFIX)
        ):
            raise ConfigError(VARIABLE, "***", f"at least {SHORTEST} printable characters without blanks")
        return Lock(found)
    if is_loopback(settings.host):
        return Lock()
    return Lock(secrets.token_urlsafe(32), random=True)


def credentials() -> dict[str, str]:
    """The headers by which a program of this machine shows the token that is set here; none where none is."""
    return bearer(_configured())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _configured() -> str:
    return secret_of("server", "TOKEN", keyring="server")
