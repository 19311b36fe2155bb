"""What is known of one field of one instrument, and who wants to be told when it changes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapeline.alerts.binding import Binding

NAN = float("nan")


class Cell:
    """`sure`: the value, NaN while it is not known or known to be incomplete. `any`: the latest there was, complete or not; what a
    rule reads that says `incomplete`. Of a word the value is the word. `told` counts the events that told it, `holes` how often
    something may be missing; `counted`: each event matters, one that tells the same as well.
    """

    __slots__ = ("any", "counted", "holes", "readers", "sure", "told")

    def __init__(self) -> None:
        self.sure: Any = NAN
        self.any: Any = NAN
        self.told = self.holes = 0
        self.counted = False
        self.readers: list[Binding] = []

    def put(self, value: Any, *, sure: bool = True) -> bool:
        """Take what an event tells, None where it does not know; whether anybody has to look."""
        self.told += 1
        if value is None:
            value = NAN
        known = value if sure else NAN
        if value == self.any and known == self.sure and not self.counted:
            return False
        self.any, self.sure = value, known
        return True

    def lose(self) -> None:
        """From here on it is not known, and what came may not be all."""
        self.sure = NAN
        self.holes += 1
