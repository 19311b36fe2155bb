"""One venue of a live session: its list of instruments, its HTTP side, and the connections that carry what is wanted of it.

    new ──list──▶ listed ──settle──▶ its connections carry what is wanted ◀──settle── what is wanted changed
     └──refused, no answer──▶ waiting ──asked again, later and later──▶ listed

`settle` compares what is wanted with what the connections carry, stream by stream, and changes only the difference: streams that
stay are not touched. New streams go where there is room, on further connections where there is none; a connection that has nothing
left to carry is closed. What a stream is and which address serves it is the venue's to plan, the whole set anew each time.

Where it is to be redundant, everything is carried by two sets of connections that know nothing of one another: the pipeline drops
what comes twice (`records`, `spares`).

A venue whose list cannot be had, but whose address was overridden (a mirror, a proxy), is tried all the same, with derived names.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from tapeline.clock import Clock
from tapeline.config import Settings
from tapeline.engine.connections import Feed
from tapeline.engine.subscriptions import Wanted, joined, less
from tapeline.errors import ConfigError, Refused, Unreachable, UsageError, VenueError
from tapeline.frames import Frame, FrameKind, HttpAnswer, pack_answer
from tapeline.instruments import Instrument
from tapeline.keys import variables
from tapeline.masking import MASK, mask
from tapeline.plans import Channel, ConnectionPlan, Request, Stream, carrying, fitting
from tapeline.venues.base import Venue
from tapeline.wire.budget import ConnectBudget
from tapeline.wire.funnel import Deliver
from tapeline.wire.http import Http
from tapeline.wire.poller import UNAUTHORISED, Poller, kept_out
from tapeline.wire.supervisor import Supervisor

MOST_PARTS = 50  # of a list that names its next part
LIST_SHARE = 0.6  # of the time a venue has to answer, for its list of instruments; the rest is for the sockets


class Surroundings:
    """What a link needs of the session that it is part of."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        deliver: Deliver,
        feed_of: Callable[[str, bool], Feed],
        run: Callable[[Supervisor | Poller], asyncio.Task[None]],
        number: Callable[[Supervisor], int],
    ) -> None:
        """`run` starts a supervisor or a poller and looks after its task; `number` gives each connection its number."""
        self.settings, self.clock, self.deliver = settings, clock, deliver
        self.feed_of, self.run, self.number = feed_of, run, number
        self.budgets: dict[str, ConnectBudget] = {}


class Link:
    """`wanted`: symbol → channels; `instruments`: those of them that the venue lists, or, without a list, could have."""

    def __init__(self, venue: Venue, around: Surroundings, *, mirror: bool) -> None:
        """`mirror`: its socket's address is not the venue's own."""
        self.venue, self.name = venue, venue.name
        self.wanted: Wanted = {}
        self.instruments: dict[str, Instrument] = {}
        redundant = around.settings.redundant and not venue.one_connection
        self.sets: tuple[list[Supervisor], ...] = ([], []) if redundant else ([],)
        self.pollers: dict[Supervisor, Poller] = {}
        self.trouble: VenueError | None = None  # why it is not even tried
        self.unlisted: VenueError | None = None  # why there is no list, though it is tried on
        self.whole = False  # whether each part of the list came: only then what is not on it does not exist
        self.since = around.clock.now()
        self.lock = asyncio.Lock()
        self.feed: Feed | None = None  # known once the venue has answered
        self.http = Http(self.name, venue.limits, settings=around.settings.wire, clock=around.clock, deliver=around.deliver)
        self._around, self._mirror = around, mirror
        self._budget = around.budgets.setdefault(self.name, ConnectBudget(venue.limits.connects_per_5_minutes))
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def supervisors(self) -> list[Supervisor]:
        return [supervisor for carriers in self.sets for supervisor in carriers]

    @property
    def label(self) -> str:
        """What its instruments are called by here."""
        return self.name if self.feed is None else self.feed.label

    # The list of instruments

    async def open(self) -> None:
        """Ask for the list. Raises Refused or Unreachable where there is no point in going on for now, ConfigError for a wrong
        key.
        """
        answer = await self.ask_list()
        self._judge_key(answer.status)
        refusal = None if answer.status == 200 else _refusal(answer)
        if refusal is not None and self._hopeless(answer):
            self.trouble = refusal
            raise refusal
        self.trouble, self.unlisted = None, refusal
        self.feed = self._around.feed_of(self.name, answer.simulated)

    async def ask_list(self) -> HttpAnswer:
        """The answers' frames fill the registry on their way through the pipeline; that there was no answer is a frame, too, so that
        a replay knows what we knew. Returns the first answer.
        """
        requests, seconds = self.venue.instruments_requests(), self._around.settings.answer_seconds * LIST_SHARE
        answers = await asyncio.gather(*(self._answer(request, seconds) for request in requests))
        self.whole = all(answer.status == 200 for answer in answers)
        return answers[0]

    async def _answer(self, request: Request, seconds: float) -> HttpAnswer:
        """The answer to one of the list's requests, after those to the further parts that it names."""
        try:
            async with asyncio.timeout(seconds):
                answer, body = await self.http.ask(request)
                more = self.venue.more_instruments(body) if answer.status == 200 else None
                for _ in range(MOST_PARTS):
                    if more is None:
                        break
                    _, body = await self.http.ask(more)
                    more = self.venue.more_instruments(body)
        except TimeoutError:
            url, error = mask(request.url), f"no answer within {seconds:g} s"
            answer = HttpAnswer(venue=request.venue, purpose=request.purpose, url=url, status=0, error=error)
            frame = Frame(self._around.clock.now(), FrameKind.HTTP, 0, pack_answer(answer, b""))
            self._around.deliver([frame])
        return answer

    def _hopeless(self, answer: HttpAnswer) -> bool:
        """No point in trying the socket: the venue refuses us, or its own address (not a mirror's) does not answer.

        Where there is no list but a search (Yahoo), a refusal of that says nothing of the socket, which is elsewhere.
        """
        if answer.status and self.venue.search_request("") is not None:
            return False
        return answer.status in _MEANINGS or (answer.status == 0 and not self._mirror)

    def resolve(self, symbol: str) -> Instrument:
        """The instrument of this name, ours or the venue's. Raises UsageError with the nearest names where it lists none."""
        if self.feed is None:
            raise self.trouble or Unreachable(f"{self.name} has not answered yet")
        registry = self.feed.registry
        for name in (
            symbol,
            symbol.upper(),
            self.venue.typed(symbol),
        ):  # few names have small letters, and then they are meant (AAPLx)
            known = registry.by_id.get(f"{registry.label}:{name}") or registry.by_native.get(name)
            if known is not None:
                return known
        if registry.listed and self.whole and self.venue.lists(symbol):
            near = ", ".join(f"{self.name}:{n.partition(':')[2]}" for n in registry.nearest(symbol))
            hint = f"did you mean {near}?" if near else f"`tapeline instruments --venue {self.name}` shows what it lists"
            raise UsageError(f"{self.name} lists no {symbol}: {hint}")
        return self.feed.venue.derive(self.feed.venue.native_of(symbol), self.feed.label)

    # What is wanted

    def want(self, symbol: str, channels: Sequence[Channel]) -> str:
        """Note what is wanted beside the rest; the symbol as it is called here. Raises UsageError, of what cannot be had."""
        instrument = self.resolve(symbol)
        if channels and not any(p.streams for p in self.venue.plan([instrument], channels)):
            has = ", ".join(self.venue.channels)
            raise UsageError(f"{self.name}:{instrument.symbol} has no {' or '.join(channels)}: {self.name} has {has}")
        if self._is_full(instrument, channels):
            most = self.venue.limits.streams_per_connection
            raise UsageError(f"{self.name} allows one connection with {most} streams, and it is full: unsubscribe some first")
        self.instruments[instrument.symbol] = instrument
        self.wanted[instrument.symbol] = joined(self.wanted.get(instrument.symbol, ()), channels)
        return instrument.symbol

    def _is_full(self, instrument: Instrument, channels: Sequence[Channel]) -> bool:
        if not self.venue.one_connection:
            return False
        planned = {s.name for s in self._planned()} | {
            s.name for p in self.venue.plan([instrument], channels) for s in p.streams
        }
        return len(planned) > self.venue.limits.streams_per_connection

    def unwant(self, symbol: str, channels: Sequence[Channel] | None) -> None:
        """`channels` None: all."""
        if left := less(self.wanted[symbol], channels):
            self.wanted[symbol] = left
        else:
            del self.wanted[symbol]
            self.instruments.pop(symbol, None)

    def drop_unlisted(self) -> dict[str, UsageError]:
        """Look up what was wanted before the list was there; what it does not list is wanted no more, and given back."""
        unlisted: dict[str, UsageError] = {}
        for symbol, channels in list(self.wanted.items()):
            if symbol not in self.instruments:
                del self.wanted[symbol]
                try:
                    self.want(symbol, channels)
                except UsageError as e:
                    unlisted[symbol] = e
        return unlisted

    def _plans(self) -> list[ConnectionPlan]:
        by_channels: dict[tuple[Channel, ...], list[Instrument]] = {}
        for symbol, instrument in self.instruments.items():
            by_channels.setdefault(self.wanted[symbol], []).append(instrument)
        return [plan for channels, some in by_channels.items() for plan in self.venue.plan(some, channels)]

    def _planned(self) -> list[Stream]:
        return [stream for plan in self._plans() for stream in plan.streams]

    # Connections

    def settle(self) -> None:
        """Make the connections, each set of them, carry what is wanted and nothing else."""
        target: dict[str, tuple[ConnectionPlan, Stream]] = {s.name: (p, s) for p in self._plans() for s in p.streams}
        for carriers in self.sets:
            self._settle(carriers, target)

    def _settle(self, carriers: list[Supervisor], target: dict[str, tuple[ConnectionPlan, Stream]]) -> None:
        carried = {s.name for supervisor in carriers for s in supervisor.plan.streams}
        new: dict[str, tuple[ConnectionPlan, list[Stream]]] = {}
        for name, (plan, stream) in target.items():
            if name not in carried:
                new.setdefault(plan.url, (plan, []))[1].append(stream)
        for supervisor in list(carriers):
            ended = [s for s in supervisor.plan.streams if s.name not in target]
            _, waiting = new.get(supervisor.plan.url, (None, []))
            kept = [s for s in supervisor.plan.streams if s.name in target]
            supervisor.change(fitting(waiting, kept, self.venue.limits), ended)
            if not supervisor.plan.streams:
                carriers.remove(supervisor)
                self._retire(supervisor)
        for plan, streams in new.values():
            while streams:
                part = fitting(streams, (), self.venue.limits)
                carriers.append(self._supervise(carrying(plan, part, self.venue)))

    def _supervise(self, plan: ConnectionPlan) -> Supervisor:
        supervisor: Supervisor = Supervisor(
            plan,
            settings=self._around.settings.wire,
            clock=self._around.clock,
            deliver=self._around.deliver,
            next_conn=lambda: self._around.number(supervisor),
            dialect=self.venue,
            budget=self._budget,
            label=self.name,
            alone=self.venue.one_connection,
        )
        self._around.run(supervisor)
        self._poll(supervisor)
        return supervisor

    def _poll(self, supervisor: Supervisor) -> None:
        """Where the venue answers over HTTP what its socket would say, ask there while the socket is refused."""
        if not self.venue.poll_requests(supervisor.plan.streams, 0):
            return
        poller = self.pollers[supervisor] = Poller(
            self.http,
            lambda now: self.venue.poll_requests(supervisor.plan.streams, now),
            lambda: kept_out(supervisor),
            clock=self._around.clock,
            per_minute=self.venue.limits.http_weight_per_minute,
        )
        self._around.run(poller)

    def _retire(self, supervisor: Supervisor) -> None:
        if (poller := self.pollers.pop(supervisor, None)) is not None:
            poller.stop()
        task = asyncio.get_running_loop().create_task(supervisor.stop("nothing is left to carry", planned=True))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def wait_open(self, seconds: float) -> None:
        """Until one connection is up, or answers over HTTP in its place; raises what kept them from it where none is."""
        waits = [asyncio.ensure_future(s.wait_open(seconds)) for s in self.supervisors]
        waits += [asyncio.ensure_future(p.wait_answer(seconds)) for p in self.pollers.values()]
        error: VenueError = Unreachable(f"{self.name}: there is nothing to connect to")
        try:
            for done in asyncio.as_completed(waits):
                try:
                    await done
                except TimeoutError:
                    continue
                except VenueError as e:
                    for s in self.supervisors:
                        self._judge_key(s.last_fault.status if isinstance(s.last_fault, Refused) else 0)
                    error = e
                else:
                    return
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        raise error

    async def close(self, reason: str) -> None:
        """Close its connections and its HTTP side."""
        for poller in self.pollers.values():
            poller.stop()
        await asyncio.gather(*(s.stop(reason) for s in self.supervisors), *self._closing, return_exceptions=True)
        await self.http.close()

    def _judge_key(self, status: int) -> None:
        """A key that is refused is a wrong setting: nothing else, and no simulated market, is to take the venue's place."""
        venue = self.venue
        if status == UNAUTHORISED and venue.secret:
            fix = f"{venue.title} refuses this API key (HTTP {status}); {venue.key_page} gives one"
            raise ConfigError(variables(venue.secret)[0], MASK, fix)

    def past_requests(self, symbols: Iterable[str], not_before: int) -> list[Request]:
        natives = sorted(self.instruments[symbol].native for symbol in symbols)
        return [request for native in natives for request in self.venue.past_requests(native, not_before)]

    def book_stream(self, instrument: str, connection: int = 0) -> tuple[Supervisor, Stream] | None:
        """The book stream of this instrument, and who keeps it. `connection`: on that one; 0: on any."""
        for supervisor in self.supervisors:
            for stream in supervisor.plan.streams:
                if stream.instrument == instrument and stream.channel == "book" and connection in {0, supervisor.state.id}:
                    return supervisor, stream
        return None


_MEANINGS = {
    403: "refused (HTTP 403): a firewall, or a ban",
    418: "this address is banned for a while (HTTP 418)",
    429: "too many requests (HTTP 429)",
    451: "not served in this country (HTTP 451)",
}


def _refusal(answer: HttpAnswer) -> VenueError:
    if answer.status:
        meaning = _MEANINGS.get(answer.status, f"HTTP {answer.status}")
        return Refused(f"{answer.venue}: {meaning}", answer.status)
    return Unreachable(f"{answer.venue}: {answer.error}")
