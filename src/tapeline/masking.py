r"""Secrets never show: not in settings, logs, errors, nor on the tape.

Two nets, because each has holes. By shape: user and password in an address, and the value beside a name that means a secret
(`token=`, `"apiKey": "…"`, `Authorization: Bearer …`). By value: whatever was read as a secret is told to `hide` and masked
wherever it turns up, in any shape: as it is, or with any of its characters escaped as JSON (`\u0063`, `\/`), HTML (`&#99;`) or an
address (`%63`) may. What is left is the name, so that one still sees which secret it was.

What we say goes through both nets (`mask`). What a venue says goes through the second only (`conceal`), because the first could
take a market's name for a secret's. A venue that says a key back reversed, in pieces or in base64 is past both.
"""

import re
from collections.abc import Mapping
from html.entities import codepoint2name

MASK = "***"
_SHORTEST = 6  # hiding shorter values would riddle ordinary text

_WORDS = r"token|secret|password|passwd|passphrase|api[_-]?key|access[_-]?key|listen[_-]?key|signature|authorization|jwt|apikey"
_USER = re.compile(
    r"(?<=://)(?:[^/\s\"':@\[]*:(?!\d{1,5}[/?#])(?:(?!://)[^\s\"'])*|(?:(?!://)[^/\s\"'])+)@"  # HOST:PORT/ names no user
)
"""To the last @, since a password that nobody encoded may hold one, and a slash too."""
_PAIR = re.compile(
    rf"(?i)((?:\b[\w-]*(?:{_WORDS})|[?&]key|\"(?:key|sign)(?=\\?\"))\\?\"?\s*[=:]\s*)"
    r"(?:(\\\"|\")(?:[^\"\\]|\\[^\"]|(?!\2)\\\")+(\2|$)|\"?(?:bearer\s+|basic\s+)?(?:[^\s&\"',;}\]\\]|\\(?!\"))+)"
)
_NAME = re.compile(rf"(?i)(?:{_WORDS}|(?:^|[._-])key)$")
_ESCAPES = frozenset("\\%&")
_hidden: dict[str, re.Pattern[str]] = {}
"""Each secret, and what finds it in its escaped forms."""


def hide(secret: str) -> None:
    """Mask this value from now on wherever it turns up. Values under 6 characters are masked by shape only."""
    if len(secret) >= _SHORTEST and secret not in _hidden:
        _hidden[secret] = re.compile("".join(map(_spellings, secret)))


def _spellings(c: str) -> str:
    """Every way in which a character may be written: itself, or escaped for JSON, an address or HTML."""
    ways = [re.escape(c), rf"\\{re.escape(c)}"]
    if ord(c) < 0x10000:
        ways.append(rf"\\u(?i:{ord(c):04x})")
    ways += ["".join(f"%(?i:{byte:02x})" for byte in c.encode("utf-8", "surrogatepass")), rf"&#0*{ord(c)};"]
    ways.append(rf"&#[xX]0*(?i:{ord(c):x});")
    if ord(c) in codepoint2name:
        ways.append(f"&{codepoint2name[ord(c)]};")
    return f"(?:{'|'.join(ways)})"


def is_secret(name: str) -> bool:
    """Whether a setting, header or variable of this name holds a secret: `TAPELINE_FINNHUB_TOKEN`, `X-MBX-APIKEY`."""
    return _NAME.search(name) is not None


def conceal(text: str) -> str:
    """Mask what was told to `hide`, and nothing else."""
    escaped = not _ESCAPES.isdisjoint(text)
    for secret, spelt in _hidden.items():
        if secret in text:
            text = text.replace(secret, MASK)
        if escaped:
            text = spelt.sub(MASK, text)
    return text


def conceal_bytes(data: bytes) -> bytes:
    """The same for a raw message; bytes that are no UTF-8 come through unchanged."""
    return conceal(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def holds(text: str) -> bool:
    """Whether there is a secret in it, by value or by shape."""
    return mask(text) != text


def mask(text: str) -> str:
    return _PAIR.sub(_masked, _USER.sub(f"{MASK}@", conceal(text)))


def _masked(found: re.Match[str]) -> str:
    """The name and the mask; a value in quotation marks keeps those that are there."""
    return f"{found[1]}{found[2] or ''}{MASK}{found[3] or ''}"


def mask_bytes(data: bytes) -> bytes:
    """The same for a raw message; bytes that are no UTF-8 come through unchanged."""
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: MASK if is_secret(name) else mask(value) for name, value in headers.items()}
