"""What is wrong with a rule, where, and what to write instead."""

from collections.abc import Iterable
from difflib import get_close_matches

from tapeline.config import RuleSettings
from tapeline.errors import UsageError


class RuleError(UsageError):
    """`line` and `column` count from 1, in `source`; `problem` is what is wrong there, `hint` what to do."""

    def __init__(self, problem: str, source: str, at: int = 0, hint: str = "", length: int = 1) -> None:
        """`at`: place in `source`, from 0; `length`: how many characters are meant."""
        self.problem, self.source, self.hint = problem, source, hint
        before = source[:at]
        self.line, self.column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
        self.length = max(1, length)
        super().__init__(self._told())

    def _told(self) -> str:
        lines = self.source.split("\n")
        shown = lines[self.line - 1].replace("\t", " ")
        where = f"line {self.line}, column {self.column}" if len(lines) > 1 else f"column {self.column}"
        marks = " " * (self.column - 1) + "^" * min(self.length, max(1, len(shown) - self.column + 1))
        hint = f"; {self.hint}" if self.hint else ""
        return f"{where}: {self.problem}{hint}\n  {shown}\n  {marks}"


def option_of(error: UsageError, settings: RuleSettings) -> str:
    """Which option of a rule the error is about: a cool-down that is none is no fault of the rule's words."""
    options = ("rule", "until", "hysteresis", "cooldown", "schedule")
    source = error.source if isinstance(error, RuleError) else settings.rule
    return next((name for name in options if getattr(settings, name) == source), "rule")


def nearest(name: str, known: Iterable[str], least: float = 0.5) -> str:
    """`did you mean mid?`, or nothing. `least`: how like it has to be, of 1."""
    near = get_close_matches(name, list(known), 1, least) or get_close_matches(name.lower(), list(known), 1, least)
    return f"did you mean {near[0]}?" if near else ""
