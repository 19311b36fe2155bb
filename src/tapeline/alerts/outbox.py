"""Sending what waits: one task and one thread a target, so that a slow or dead one holds up nobody else.

    alone       while the target may be sent as many messages as wait
    together    past `per_minute` what waits goes out as one message: ten alerts written out, the others counted
    again       after `backoff_first` seconds, doubled to `backoff_most`, `attempts` times in all; what waits behind waits, too,
                because it is the target that is down
    over time   an attempt that takes longer than `send_seconds` is told as such and waited for: whether it goes through is not
                known before it ends, and a second one beside it could come twice

Everything is in the store before and after each attempt, so that the end of the program, in whatever way, loses nothing.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import tzinfo
from typing import Any, TypeVar

import structlog

from tapeline.alerts.message import Message, compose, message_id
from tapeline.alerts.notifiers import Notifier, NotSent
from tapeline.alerts.store import Delivery, Outcome, Store
from tapeline.alerts.targets import Target
from tapeline.clock import SECOND, Clock
from tapeline.config import AlertsSettings
from tapeline.masking import mask
from tapeline.sinks.worker import Worker

log = structlog.get_logger("tapeline.alerts")
T = TypeVar("T")
Call = Callable[[Callable[[Store], T]], Awaitable[T]]
TOGETHER = 200
"""Most alerts of one message."""
STORE_PAUSE = 1.0
"""Seconds between two tries to write into a store that fails."""


class Bucket:
    """`per_minute` messages at once, and as many a minute."""

    def __init__(self, per_minute: int, now: int) -> None:
        self._rate = per_minute / 60
        self._most = self._left = float(per_minute)
        self._at = now

    def left(self, now: int) -> float:
        self._left = min(self._most, self._left + max(0, now - self._at) / SECOND * self._rate)
        self._at = now
        return self._left

    def take(self) -> None:
        self._left -= 1

    def seconds(self) -> float:
        """Until there is one."""
        return max(0.0, 1 - self._left) / self._rate


def _give(notifier: Notifier, message: Message) -> None:
    """In the target's thread. A notifier that was a script once may exit: that is a failed attempt, and no end of the program."""
    try:
        notifier.send(message)
    except SystemExit as e:
        raise NotSent(f"the notifier wanted to end the program (exit {e.code})") from None


class Post:
    """One target's deliveries. `call` runs a function on the store, in the store's thread."""

    def __init__(
        self,
        target: Target,
        call: "Call[Any]",
        settings: AlertsSettings,
        clock: Clock,
        *,
        link: Callable[[], str],
        zone: tzinfo | None,
    ) -> None:
        self.target = target
        self.sent = self.failures = self.given_up = 0
        self.error = ""
        self.late = False
        self.wake = asyncio.Event()
        self._call, self._settings, self._clock, self._link, self._zone = call, settings, clock, link, zone
        self._bucket = Bucket(target.per_minute, clock.now())
        self._worker = Worker(f"alerts-{target.name}")
        self._task: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"alerts-{self.target.name}")

    async def close(self, seconds: float) -> None:
        """What is under way may end within `seconds`; the rest is the next start's."""
        self._ending.set()
        self.wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._worker.stop()

    async def _run(self) -> None:
        while not self._ending.is_set():
            self.wake.clear()
            try:
                pause = await self._turn()
            except sqlite3.Error as e:
                self._tell(f"the store: {e}")
                pause = STORE_PAUSE
            if pause != 0 and not self._ending.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.wake.wait()

    async def _turn(self) -> float | None:
        """Send one message. Seconds until there may be another: 0 at once, None when woken."""
        found: list[Delivery]
        due: int | None
        found, due = await self._call(lambda store: store.waiting(self.target.name, TOGETHER))
        if due is None:
            return None
        now = self._clock.now()
        if due > now:
            return max(0.001, (due - now) / SECOND)
        left = self._bucket.left(now)
        if left < 1:
            return max(0.001, self._bucket.seconds())
        self._bucket.take()
        tried = found[0].message is not None
        await self._send(found if tried or len(found) > left else found[:1])
        return 0

    async def _send(self, deliveries: list[Delivery]) -> None:
        alerts = [d.alert for d in deliveries]
        own = deliveries[0].message or message_id(alerts)
        doubtful = any(d.doubtful for d in deliveries)
        message = compose(alerts, message=own, link=self._link(), zone=self._zone, doubtful=doubtful)
        began = self._clock.now()
        attempt: int = await self._call(lambda store: store.begin(deliveries, own, self.target.name, began))
        error = await self._attempt(message)
        now = self._clock.now()
        tries = deliveries[0].attempts + 1
        outcome, due = self._judge(error, tries, now)
        if outcome == "sent":
            self.sent += 1
        self._tell(error, given_up=len(deliveries) if outcome == "failed" else 0)
        await self._record(lambda store: store.end(deliveries, attempt, now, outcome, error, due))

    def _judge(self, error: str, tries: int, now: int) -> tuple[Outcome, int]:
        if not error:
            return "sent", now
        if tries >= self._settings.attempts:
            return "failed", now
        delay = min(self._settings.backoff_first * 2 ** min(tries - 1, 30), self._settings.backoff_most)
        return "waiting", now + int(delay * SECOND)

    async def _attempt(self, message: Message) -> str:
        """Empty where it went through, else why not, masked."""
        sending = asyncio.ensure_future(self._worker.call(lambda: _give(self.target.notifier, message)))
        done, _ = await asyncio.wait({sending}, timeout=self._settings.send_seconds)
        if not done:
            self.late = True
            self._tell(f"has not answered for {self._settings.send_seconds:g} s; it is waited for")
        try:
            await sending
        except Exception as e:  # noqa: BLE001 - a notifier may raise anything: it is kept, shown, and tried again
            return mask(f"{e}" if str(e) else type(e).__name__)
        finally:
            self.late = False
        return ""

    async def _record(self, write: Callable[[Store], None]) -> None:
        """What was sent must be known as sent: a store that fails is tried until it takes it."""
        while True:
            try:
                await self._call(write)
            except sqlite3.Error as e:
                self._tell(f"the store: {e}")
                await asyncio.sleep(STORE_PAUSE)
            else:
                return

    def _tell(self, error: str, *, given_up: int = 0) -> None:
        """For the status; what begins or ends is also said in the log, once."""
        before, self.error = self.error, error
        self.given_up += given_up
        if error:
            self.failures += 1
        if given_up:
            log.error("alerts were not delivered", target=self.target.name, alerts=given_up, reason=error)
        elif error and not before:
            log.warning("a target of alerts cannot be reached; it is tried again", target=self.target.name, reason=error)
        elif before and not error:
            log.info("the target of alerts is reached again", target=self.target.name)

    def row(self, depth: int) -> dict[str, Any]:
        """For the status. `depth`: deliveries that are still to be made."""
        return {
            "name": self.target.name,
            "address": self.target.shown,
            "depth": depth,
            "sent": self.sent,
            "failures": self.failures,
            "given_up": self.given_up,
            "error": self.error,
            "late": self.late,
        }
