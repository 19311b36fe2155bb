"""A rule's text in tokens.

    number       `5`  `100_000`  `0.5%`  `25bps`  `100k`  `10s`     digits and the unit behind them
    instrument   `binance:BTC-USDT`  `binance:*`  `coinbase:BTC-USD.mid`  up to the next blank, bracket, comma or one of < > * / +
    word         `mid`  `vwap_5m`  `depth_2.5bps`  `profile_1h.poc`  `and`
    sign         `>`  `>=`  `+`  `(` …

The minus sign is a letter of instruments' names, so it stands apart from them.
"""

import re
from typing import Literal

import msgspec

from tapeline.alerts.problems import RuleError

Kind = Literal["number", "instrument", "word", "sign", "end"]
LONGEST = 2000  # characters

_TOKENS = re.compile(
    r"(?P<blank>\s+)"
    r"|(?P<number>(?:\d+(?:_\d+)*)?\.?\d+(?:[eE][+-]?\d+)?)(?P<unit>%|[A-Za-zµ]+)?"
    r"|(?P<instrument>[A-Za-z][\w-]*:(?:[^\s()<>,\"'`*/+!≥≤×]+(?:\*(?=[\s,]|$))?|\*[\w.]*(?=[\s,]|$)))"
    r"|(?P<word>[A-Za-z_]\w*(?:\.\w+)*)"
    r"|(?P<sign>>=|<=|==|!=|[-+*/(),<>=≥≤×−])"
)
_SAME = {"≥": ">=", "≤": "<=", "×": "*", "−": "-"}


class Token(msgspec.Struct, frozen=True):
    """`text`: of a number its digits; its unit in `unit`. `at`: where it stands in the source; `length` of all of it."""

    kind: Kind
    text: str
    at: int
    length: int
    unit: str = ""


def tokens(source: str) -> list[Token]:
    """In order, one of kind "end" last. Raises RuleError at what is none."""
    if len(source) > LONGEST:
        raise RuleError(f"a rule has at most {LONGEST} characters, this has {len(source)}", source[:80])
    found: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKENS.match(source, at)
        if match is None:
            raise RuleError(f"{source[at]!r} is no part of a rule", source, at, _instead(source[at]))
        kind, text = match.lastgroup or "", match.group()
        if match.group("number") is not None:
            found.append(Token("number", match.group("number"), at, len(text), match.group("unit") or ""))
        elif kind in {"instrument", "word", "sign"}:
            found.append(Token(kind, _SAME.get(text, text), at, len(text)))  # type: ignore[arg-type]
        at = match.end()
    return [*found, Token("end", "", len(source.rstrip()), 1)]


def _instead(letter: str) -> str:
    return {
        "&": "write and",
        "|": "write or",
        "!": "write not, or != to compare",
        "$": "write the number alone",
        "^": "there are no powers: multiply",
        ":": "an instrument is venue:symbol without a blank, as in binance:BTC-USDT",
    }.get(letter, "")
