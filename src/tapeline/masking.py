"""Secrets never show: not in settings, logs, errors, nor on the tape.

Two nets, because each has holes. By shape: user and password in an address, and the value beside a name that means a secret
(`token=`, `"apiKey": "…"`, `Authorization: Bearer …`). By value: whatever was read as a secret is told to `hide` and masked
wherever it turns up, in any shape. What is left is the name, so that one still sees which secret it was.
"""

import re
from collections.abc import Mapping

MASK = "***"
_SHORTEST = 6  # hiding shorter values would riddle ordinary text

_WORDS = r"token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|listen[_-]?key|signature|authorization|jwt|apikey"
_USER = re.compile(r"(?<=://)[^/\s@\"']+@")
_PAIR = re.compile(
    rf"(?i)((?:\b[\w-]*(?:{_WORDS})|[?&]key|\"(?:key|sign)\")\"?\s*[=:]\s*\"?)((?:bearer\s+|basic\s+)?[^\s&\"',;}}\]]+)"
)
_NAME = re.compile(rf"(?i)(?:{_WORDS}|(?:^|[_-])key)$")
_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Mask this value from now on wherever it turns up. Values under 6 characters are masked by shape only."""
    if len(secret) >= _SHORTEST:
        _hidden.add(secret)


def is_secret(name: str) -> bool:
    """Whether a setting, header or variable of this name holds a secret: `TAPELINE_FINNHUB_TOKEN`, `X-MBX-APIKEY`."""
    return _NAME.search(name) is not None


def mask(text: str) -> str:
    for secret in _hidden:
        if secret in text:
            text = text.replace(secret, MASK)
    return _PAIR.sub(rf"\1{MASK}", _USER.sub(f"{MASK}@", text))


def mask_bytes(data: bytes) -> bytes:
    """The same for a raw message; bytes that are no UTF-8 come through unchanged."""
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: MASK if is_secret(name) else mask(value) for name, value in headers.items()}
