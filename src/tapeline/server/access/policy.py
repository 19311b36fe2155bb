"""The headers of every answer: what its page may load, who may show it in a frame, what the next page learns of where one was.

everything   nothing from elsewhere, no script or style in the HTML, shown in no frame
/embed/…     the same, but in frames of `server.embed_origins`
/docs        the same, and images in `data:` addresses: Swagger UI's style sheet draws its arrows so
/login       the same, and a form that goes to this server
"""

import re
from collections.abc import Iterable, Mapping

from tapeline.errors import ConfigError

BASE: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "manifest-src": "'self'",
    "media-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
EMBED = re.compile(r"(?:/replay/[^/]+)?/embed/[^/]+/?")
_ORIGIN = re.compile(
    r"(?:https?://)?(?:\*\.)?[A-Za-z0-9.-]+(?::(?:\d{1,5}|\*))?|https?://\[[0-9A-Fa-f:]+\](?::(?:\d{1,5}|\*))?|\*"
)


def csp(**changes: str) -> str:
    """`img_src="'self' data:"` replaces that directive."""
    rules = {**BASE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return "".join(f"{name} {value};" for name, value in rules.items())


def check_origins(origins: Iterable[str]) -> None:
    """Raises ConfigError on what a policy could not name, or what would say more than an origin."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                "server.embed_origins", origin, "write origins, as in https://notes.example.org or http://localhost:*"
            )


class Policy:
    """Raises ConfigError."""

    def __init__(self, embed_origins: Iterable[str]) -> None:
        origins = tuple(embed_origins)
        check_origins(origins)
        common = dict(HEADERS)
        self.plain = {"content-security-policy": csp(), "x-frame-options": "DENY", **common}
        self._docs = self.plain | {"content-security-policy": csp(img_src="'self' data:")}
        self._login = self.plain | {"content-security-policy": csp(form_action="'self'")}
        framed = csp(frame_ancestors=" ".join(("'self'", *origins)))
        self._embed = {**common, "content-security-policy": framed, "cross-origin-resource-policy": "cross-origin"}

    def headers(self, path: str) -> Mapping[str, str]:
        if EMBED.fullmatch(path):
            return self._embed
        if path.rstrip("/") == "/docs":
            return self._docs
        return self.plain

    @property
    def login(self) -> Mapping[str, str]:
        return self._login


PLAIN = Policy(()).plain
"""For answers that are made outside the guard."""
