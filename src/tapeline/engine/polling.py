"""What the pipeline makes of quotes that are polled over HTTP (wire/poller.py): a status where polling begins, fails and ends.

The frames decide, as of everything: polling begins with the first answer to a "poll" question, and ends when a connection of the
feed opens. A question that failed is said once, until one is answered again or fails otherwise. What is answered only after the
connection that carries it opened says nothing of the socket: its quote is given out, and that is all.
"""

from tapeline.engine.connections import Feed
from tapeline.events import Event, Status, StatusKind
from tapeline.frames import HttpAnswer

POLL = "poll"


def answered(feed: Feed, answer: HttpAnswer, ts: int, out: list[Event]) -> None:
    """Say what this answer to a "poll" question changes. `feed.polling` is None before the first, else what failed last."""
    if feed.polling is None:
        feed.polling = ""
        reason = (
            "the socket is refused or cannot be reached: quotes are asked for over HTTP, one after the other, until it is up"
        )
        _say(feed, "connected", reason, ts, out)
    fault = "" if answer.status == 200 else answer.error or f"HTTP {answer.status}"
    if fault and fault != feed.polling:
        _say(feed, "rejected", f"a quote of {answer.native} was refused: {fault}", ts, out)
    feed.polling = fault


def ended(feed: Feed, ts: int, out: list[Event]) -> None:
    """A connection of the feed is open."""
    if feed.polling is not None:
        feed.polling = None
        _say(feed, "recovered", "the socket is up: quotes are not asked for over HTTP any more", ts, out)


def _say(feed: Feed, kind: StatusKind, reason: str, ts: int, out: list[Event]) -> None:
    out.append(Status("", ts, ts, feed.flags, kind, feed.label, "ticker", reason, None, None, None))
