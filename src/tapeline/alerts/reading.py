"""A place in a rule's tokens: what stands there, numbers and times, and what to say where something else is expected."""

import math
from collections.abc import Callable
from typing import TypeVar

from tapeline.alerts.lexing import Token, tokens
from tapeline.alerts.problems import RuleError
from tapeline.alerts.syntax import AMOUNTS, UNITS, Number
from tapeline.clock import MILLI

DEEPEST = 50
MOST_LINKS = 100  # of one chain of + and −, of * and /, or of for: each is a level of the tree
LONGEST = 31 * UNITS["d"]
SHORTEST = 100 * MILLI
T = TypeVar("T")


class Reader:
    def __init__(self, source: str) -> None:
        self.source, self.tokens, self.place, self.depth = source, tokens(source), 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def next(self) -> Token:
        token = self.token
        self.place += token.kind != "end"
        return token

    def at(self, *texts: str) -> bool:
        return self.token.kind in {"word", "sign"} and self.token.text in texts

    def take(self, *texts: str) -> Token | None:
        return self.next() if self.at(*texts) else None

    def wrong(self, problem: str, hint: str = "", token: Token | None = None) -> RuleError:
        t = token or self.token
        return RuleError(problem, self.source, t.at, hint, t.length)

    def unexpected(self, wanted: str, hint: str = "") -> RuleError:
        t = self.token
        found = "the rule ends" if t.kind == "end" else f"{self.source[t.at : t.at + t.length]!r} stands"
        return self.wrong(f"{found} where {wanted} is expected", hint)

    def deeper(self, part: Callable[[], T]) -> T:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"brackets and signs stand {DEEPEST} deep", "say it more simply")
        found = part()
        self.depth -= 1
        return found

    def linked(self, links: int, token: Token) -> int:
        """One more in a chain."""
        if links >= MOST_LINKS:
            raise self.wrong(f"{MOST_LINKS} stand in a row", "say it more simply", token)
        return links + 1

    def number(self) -> Number:
        token = self.token
        if token.kind != "number":
            raise self.unexpected("a number")
        self.next()
        if token.unit in UNITS and token.unit not in AMOUNTS:
            hint = f"times stand after for, within and in windows; {token.text}M is a million" if token.unit == "m" else ""
            raise self.wrong(f"{token.text}{token.unit} is a time, and no number", hint or "leave the unit out", token)
        if token.unit not in AMOUNTS:
            raise self.wrong(f"there is no unit {token.unit!r}", "units are % bps k M B", token)
        if math.isinf(float(token.text)):
            raise self.wrong("this number is too large", "numbers end at 1e308", token)
        return Number(float(token.text), token.unit)

    def span(self, what: str) -> int:
        token = self.token
        if token.kind != "number":
            raise self.unexpected(f"{what}, as in 10s,", "units of time are ms s m h d")
        if token.unit not in UNITS:
            hint = f"write {token.text}s, or ms, m, h, d" if not token.unit else "units of time are ms s m h d"
            raise self.wrong(f"{token.text}{token.unit} is no time: its unit is {'wrong' if token.unit else 'missing'}", hint)
        self.next()
        ns = float(token.text) * UNITS[token.unit]
        if not SHORTEST <= ns <= LONGEST:
            raise self.wrong("this time is out of range", "times are at least 100ms and at most 31d", token)
        return round(ns)
