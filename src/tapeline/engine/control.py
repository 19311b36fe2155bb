"""What a live session is subscribed to, and how that changes while it runs. Its venues are `Link`s, one each, begun side by side.

* At the start (`connect`) a venue that does not answer keeps nobody waiting: the others stream as soon as they have their lists,
  and it is asked again, later and later, until it answers. Only where none answers is there an error. A wrong name is one, too,
  unless the venue's answer came after the start was over, or the start is lenient: then it is left out, and that is said.
* Later (`subscribe`, `unsubscribe`) each name succeeds or fails by itself, and what is subscribed already goes on untouched.
* After each change `keep` is called with the whole set, so that a restart can take it up.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import structlog

from tapeline.clock import SECOND
from tapeline.config import VenueSettings
from tapeline.engine.links import Link, Surroundings
from tapeline.engine.subscriptions import Changed, Wanted
from tapeline.errors import ConfigError, Refused, TapelineError, UsageError, VenueError
from tapeline.instruments import split_id
from tapeline.keys import key_of
from tapeline.market.sessions import prepare
from tapeline.plans import Again, Channel
from tapeline.venues.base import Venue
from tapeline.venues.registry import venue_class
from tapeline.wire.backoff import Backoff

log = structlog.get_logger("tapeline.collector")
STRAGGLER_SECONDS = 2.0  # how much longer the start waits for the other venues once one streams
PATIENCE = 10  # times the longest reconnect delay: the longest time between two questions for a list that cannot be had
PAST_AFTER = 2 * SECOND


async def _nothing(_: Any) -> None:
    pass


class Control:
    """`tell` is said to the user; `prepare` is called with each venue's name before anything is asked of it for the first time;
    `refused` gives, by instrument, what venues said of streams that they will not give.
    """

    def __init__(self, around: Surroundings, venues: Mapping[str, VenueSettings]) -> None:
        self.links: dict[str, Link] = {}
        self.keys: dict[str, str] = {}  # of venues that need one; what is missing is looked for when it is needed
        self.tell: Callable[[str], None] = log.warning
        self.keep: Callable[[Wanted], Awaitable[None]] = _nothing
        self.prepare: Callable[[str], Awaitable[None]] = _nothing
        self.refused: Callable[[], dict[str, str]] = dict
        self._around, self._venues = around, venues
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reading = asyncio.Lock()  # of calendars: they change the process's filter of warnings, so one venue at a time
        self._started = False

    @property
    def wanted(self) -> Wanted:
        return {f"{link.name}:{symbol}": channels for link in self.links.values() for symbol, channels in link.wanted.items()}

    # The start

    async def connect(self, wanted: Mapping[str, Sequence[Channel]], *, lenient: bool = False) -> None:
        """Stream this. Returns when the first connection is up, and the others are or had a little more time.

        Raises ConfigError where a key is missing or refused, UsageError for a name that its venue does not list, VenueError where no
        venue answers within `settings.answer_seconds`; then nothing is left open and `connect` may be called again.
        """
        self._started = False
        try:
            for name, channels in wanted.items():
                venue, symbol = split_id(name)
                self._link(venue).wanted[symbol] = tuple(channels)
            begins = {self._spawn(self._begin(link, lenient=lenient)): link for link in self.links.values()}
            await self._first_up(begins)
        except (VenueError, UsageError, ConfigError):
            await self.disconnect("no answer")
            raise
        self._started = True
        await self.keep(self.wanted)

    async def _begin(self, link: Link, *, lenient: bool) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._around.settings.answer_seconds
        await link.open()
        await self._take_up(link, lenient=lenient)
        if link.supervisors:
            await link.wait_open(max(1.0, deadline - loop.time()))
        _admit_unlisted(link)

    async def _first_up(self, begins: dict[asyncio.Task[None], Link]) -> None:
        loop, pending = asyncio.get_running_loop(), set(begins)
        deadline: float | None = None
        failures: list[VenueError] = []
        while pending:
            left = None if deadline is None else max(0.0, deadline - loop.time())
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            for task in done:
                try:
                    task.result()
                except VenueError as e:
                    failures.append(e)
                else:
                    deadline = deadline or loop.time() + STRAGGLER_SECONDS
        if deadline is None and failures:
            raise failures[0]
        for task, link in begins.items():
            self._spawn(self._follow(task, link))

    async def _follow(self, begin: asyncio.Task[None], link: Link) -> None:
        """See to a venue that was not up at the start."""
        try:
            try:
                await begin
            except VenueError as e:
                self.tell(f"{e}; the others go on, and it is tried again and again")
                if link.feed is None:
                    await self._ask_again(link)
        except ConfigError as e:  # a wrong key
            self.tell(f"{e}; the others go on")

    async def _ask_again(self, link: Link) -> None:
        wire = self._around.settings.wire
        backoff = Backoff(wire.backoff_first, wire.backoff_most * PATIENCE, wire.stable_seconds)
        while link.feed is None:
            await asyncio.sleep(backoff.delay(link.trouble.status if isinstance(link.trouble, Refused) else 0))
            async with link.lock:
                if link.feed is None and await self._answers(link):
                    self.tell(f"{link.name} answers now, and is streamed")

    async def _answers(self, link: Link) -> bool:
        try:
            await link.open()
        except VenueError:
            return False
        await self._take_up(link, lenient=True)
        _admit_unlisted(link)
        return True

    async def _take_up(self, link: Link, *, lenient: bool) -> None:
        """The venue has answered: stream what is wanted of it."""
        for error in link.drop_unlisted().values():
            if not lenient and not self._started:
                raise error
            self.tell(f"{error} It is left out.")
        await self._settle(link)
        self._ask_for_the_past(link, link.wanted)

    async def _settle(self, link: Link) -> None:
        if sessions := {i.session for i in link.instruments.values() if i.session}:
            async with self._reading:
                await asyncio.to_thread(prepare, sessions, self._around.clock.now())  # a calendar takes a second to read
        link.settle()

    # Changes

    async def subscribe(self, instruments: Iterable[str], channels: Sequence[Channel] | None = None) -> Changed:
        """Stream these channels (None: those of the settings) of these instruments beside the rest."""
        channels = self._around.settings.channels if channels is None else channels
        failed: dict[str, TapelineError] = {}
        by_venue: dict[str, dict[str, str]] = {}
        given_names = list(dict.fromkeys(instruments))
        for given in given_names:
            try:
                venue, symbol = split_id(given)
                by_venue.setdefault(venue_class(venue).name, {})[given] = symbol
            except UsageError as e:
                failed[given] = e
        changes = await asyncio.gather(*(self._join(venue, names, channels) for venue, names in by_venue.items()))
        done = [name for change in changes for name in change.done]
        for change in changes:
            failed.update(change.failed)
        if done:
            await self.keep(self.wanted)
        return Changed(tuple(done), {given: failed[given] for given in given_names if given in failed})

    async def _join(self, venue: str, names: dict[str, str], channels: Sequence[Channel]) -> Changed:
        """`names`: given name → symbol, all of one venue."""
        try:
            if venue not in self.links:
                await self.prepare(venue)
            link = self._link(venue)
            async with link.lock:
                if link.feed is None:
                    await link.open()
                    await self._take_up(link, lenient=True)
                    _admit_unlisted(link)
                return await self._want(link, names, channels)
        except TapelineError as e:
            await self._forget_idle(venue)
            return Changed((), dict.fromkeys(names, e))

    async def _want(self, link: Link, names: dict[str, str], channels: Sequence[Channel]) -> Changed:
        failed: dict[str, TapelineError] = {}
        done: list[str] = []
        had = set(link.wanted)
        for given, symbol in names.items():
            try:
                done.append(link.want(symbol, channels))
            except TapelineError as e:
                failed[given] = e
        await self._settle(link)
        self._ask_for_the_past(link, [symbol for symbol in done if symbol not in had])
        return Changed(tuple(f"{link.name}:{symbol}" for symbol in done), failed)

    async def _forget_idle(self, venue: str) -> None:
        """A venue that was to be new, and did not answer."""
        link = self.links.get(venue)
        if link is not None and link.feed is None and not link.wanted and not link.lock.locked():
            del self.links[venue]
            await link.close("no answer")

    async def unsubscribe(self, instruments: Iterable[str], channels: Sequence[Channel] | None = None) -> Changed:
        """Stream these channels (None: all) of these instruments no more."""
        failed: dict[str, TapelineError] = {}
        done: list[str] = []
        touched: list[Link] = []
        for given in dict.fromkeys(instruments):
            try:
                link, symbol = self._find(given)
            except UsageError as e:
                failed[given] = e
                continue
            link.unwant(symbol, channels)
            done.append(f"{link.name}:{symbol}")
            touched.append(link)
        for link in dict.fromkeys(touched):
            link.settle()
        if done:
            await self.keep(self.wanted)
        return Changed(tuple(done), failed)

    def _find(self, given: str) -> tuple[Link, str]:
        """Who streams this, by its real name, the one it has here, or the venue's own. Raises UsageError."""
        venue, symbol = split_id(given)
        for link in self.links.values():
            if venue in (link.name, link.label):
                for name in link.wanted:
                    instrument = link.instruments.get(name)
                    if symbol.upper() in (name.upper(), instrument.native.upper() if instrument else ""):
                        return link, name
        there = ", ".join(self.wanted) or "nothing is"
        raise UsageError(f"{given} is not subscribed: {there if len(there) < 300 else 'see `tapeline subscriptions`'}")

    def subscriptions(self) -> list[dict[str, Any]]:
        """What is wanted, by instrument. `name` is its real name, `instrument` the one that its events bear; `error`: why its venue
        is not asked for it yet, or what it refused of it; "" where all is well.
        """
        refused = self.refused()
        return [
            {
                "instrument": (shown := f"{link.label}:{symbol}"),
                "name": f"{link.name}:{symbol}",
                "channels": [c for c in channels if c in link.venue.channels],
                "error": refused.get(shown, "") if link.feed is not None or link.trouble is None else str(link.trouble),
            }
            for link in self.links.values()
            for symbol, channels in link.wanted.items()
        ]

    # Parts

    def _link(self, name: str) -> Link:
        """Raises UsageError where there is no such venue, ConfigError where it needs a key and none is there."""
        link = self.links.get(name)
        if link is None:
            settings = self._venues.get(name)
            mirror = settings is not None and bool(settings.ws_url)
            link = self.links[name] = Link(self.venue(name), self._around, mirror=mirror)
            if self._around.settings.redundant and link.venue.one_connection:
                log.warning("this venue allows one connection: it is not carried twice", venue=name)
        return link

    def venue(self, name: str) -> Venue:
        """As the pipeline's, which has no key: what goes out to a venue is planned by this one. ConfigError without a key."""
        kind = venue_class(name)
        if kind.secret and name not in self.keys:
            self.keys[name] = key_of(kind.secret, kind.key_page)
        return kind(self._venues.get(name), self.keys.get(name, ""))

    def begin_anew(self, again: Again) -> None:
        for link in self.links.values():
            if (found := link.book_stream(again.instrument, again.connection)) is not None:
                supervisor, stream = found
                supervisor.begin_anew(stream, again.not_before)
                return

    async def begin_all_anew(self) -> None:
        """Behind a hole in the tape everything is asked for again: first the lists, so that instruments have their names."""
        links = [link for link in self.links.values() if link.feed is not None]
        await asyncio.gather(*(link.ask_list() for link in links))
        for link in links:
            for supervisor in link.supervisors:
                supervisor.replace("the tape has a hole")

    def _ask_for_the_past(self, link: Link, symbols: Iterable[str]) -> None:
        """Candles of before the start, one request after the other; a little later, because the books' snapshots go first."""
        if self._around.settings.history:
            requests = link.past_requests(symbols, self._around.clock.now() + PAST_AFTER)
            if requests:
                self._spawn(_ask_each(link, requests))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, TapelineError):
            log.error("a task of the session failed: a fault of Tapeline's own", exc_info=error)

    async def disconnect(self, reason: str) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(link.close(reason) for link in self.links.values()), return_exceptions=True)
        self.links.clear()


async def _ask_each(link: Link, requests: Sequence[Any]) -> None:
    for request in requests:
        await link.http.ask(request)


def _admit_unlisted(link: Link) -> None:
    if link.unlisted is not None:
        reason = str(link.unlisted)
        log.warning("a venue did not list its instruments; names are derived, and it is tried on", reason=reason)
