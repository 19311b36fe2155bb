"""Asking over HTTP for what a socket would have said, while the socket is refused.

    idle ──the socket is kept out──▶ polling ──a connection is up──▶ idle
                                       └──the key is refused (401)──▶ stopped

Kept out means that connecting failed and would fail again: refused (403, 429, 451, …) or nobody answers. A connection that was
up and broke is not kept out, it comes back; and a wrong key (401) is wrong over HTTP too, so nothing is asked then. Questions go
round robin, spread evenly over the minute at a share of the plan's rate, so that other requests find room in the same budget. A
question that the venue will not answer (400, 403, 404: not in the plan, no such symbol) is left out until the next time.

What is asked is for the venue to say (`Venue.poll_requests`); the answers are frames as all others.
"""

import asyncio
from collections.abc import Callable, Sequence

from tapeline.clock import Clock
from tapeline.errors import Refused, Unreachable
from tapeline.plans import Request
from tapeline.wire.http import Http
from tapeline.wire.supervisor import Supervisor

SHARE = 0.8
LOOK_SECONDS = 0.2
UNAUTHORISED = 401
NEVER_ANSWERED = frozenset({400, 403, 404, 422})


def kept_out(supervisor: Supervisor) -> bool:
    """Whether there is no connection, and the last attempt to open one failed for more than its key."""
    fault = supervisor.last_fault
    if supervisor.up or fault is None:
        return False
    status = fault.status if isinstance(fault, Refused) else 0
    return isinstance(fault, Unreachable) or (100 <= status < 1000 and status != UNAUTHORISED)


class Poller:
    """`questions()`: one round, now. `answered` is set while the last question was."""

    def __init__(
        self,
        http: Http,
        questions: Callable[[int], Sequence[Request]],
        out: Callable[[], bool],
        *,
        clock: Clock,
        per_minute: int,
    ) -> None:
        self.label = http.venue
        self.answered = asyncio.Event()
        self.asked = 0
        self._stopped = False
        self._http, self._questions, self._out, self._clock = http, questions, out, clock
        self._every = 60.0 / (per_minute * SHARE)
        self._left_out: set[str] = set()

    async def wait_answer(self, seconds: float) -> None:
        """Return once a question was answered. Raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            await self.answered.wait()

    def stop(self) -> None:
        """Ask nothing more; `run()` returns soon."""
        self._stopped = True

    async def run(self) -> None:
        """Until `stop()`, or until the key is refused."""
        while not self._stopped:
            if not self._out():
                self._left_out.clear()
                self.answered.clear()
                await asyncio.sleep(LOOK_SECONDS)
            elif not await self._round():
                return

    async def _round(self) -> bool:
        """One question after the other; False where the key is refused."""
        questions = [q for q in self._questions(self._clock.now()) if q.native not in self._left_out]
        for question in questions:
            if self._stopped or not self._out():
                return True
            self.asked += 1
            answer, _ = await self._http.ask(question)
            if answer.status == UNAUTHORISED:
                return False
            if answer.status in NEVER_ANSWERED:
                self._left_out.add(question.native)
            if answer.status == 200:
                self.answered.set()
            await asyncio.sleep(self._every)
        if not questions:
            await asyncio.sleep(self._every)
        return True
