"""What was said to a venue in one go, from the first message to the last answer."""

import asyncio
from collections.abc import Callable


class Saying:
    """Messages of one purpose on their way; `answered` is done once all are out and the venue has answered what it answers."""

    __slots__ = ("_on_sent", "answered", "last_sent", "unanswered", "unsent")

    def __init__(self, messages: int, acks: int, answered: asyncio.Future[None], on_sent: Callable[[], None] | None) -> None:
        self.unsent, self.unanswered, self.answered, self._on_sent = messages, acks, answered, on_sent
        self.last_sent = 0.0

    def sent(self, now: float) -> None:
        self.unsent, self.last_sent = self.unsent - 1, now
        if not self.unsent and self._on_sent is not None:
            self._on_sent()
        self.settle()

    def is_overdue(self, before: float) -> bool:
        return not self.unsent and self.last_sent < before

    def settle(self) -> None:
        if not self.unsent and not self.unanswered and not self.answered.done():
            self.answered.set_result(None)
