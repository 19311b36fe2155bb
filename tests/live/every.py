"""All simulated venues at once behind one collector, and what a fault must leave behind: books equal, trades accounted for.

A venue is covered from the day on which it has a simulator. What is its own stands in these tables, each line with its reason:
`TRADES` (how its simulator names streams of trades), `SENSELESS` (faults that cannot act there, or cannot be noticed).
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tapeline.engine.connections import label_of
from tapeline.events import Event, Flag, Quote, Status, Ticker, Trade
from tapeline.sim import SimServer
from tapeline.sim import faults as f
from tapeline.sim.faultbox import Armed
from tapeline.sim.registry import simulated
from tapeline.venues.registry import venue_class
from tests.live.rig import Run, running
from tests.venues.wire_talk import natives_of
from tests.waiting import becomes

VENUES = tuple(simulated())
BOOKS = tuple(v for v in VENUES if "book" in venue_class(v).channels)
BINANCE = tuple(v for v in VENUES if v.startswith("binance"))
ON_SOCKET = tuple(v for v in BOOKS if v not in BINANCE)
"""Where books begin with a snapshot in the stream."""
MUTE = ("finnhub", "yahoo")
"""Where nothing is acknowledged."""

TRADES: dict[str, str] = {
    "binance": "*@trade",
    "binance-usdm": "*@aggTrade",
    "binance-coinm": "*@aggTrade",
    "coinbase": "matches:*",
    "coinbase-advanced": "market_trades:*",
    "kraken": "trade:*",
    "bybit": "publicTrade:*",
    "okx": "trades*:*",
    "finnhub": "*",
    "yahoo": "*",
}
SUMS = ("okx",)
"""Where a trade may stand for several and bears the last of their ids."""
UNPROVEN = ("coinbase", "kraken")
"""Where nothing proves a book, or a checksum of its best levels alone: of a lost update deep in it nothing tells until that level
changes again.
"""
NO_BOOK = "it has no book"
NO_CHECKSUM = "its messages bear no checksum"
NOT_NUMBERED = "nothing numbers its updates: one that is lost, doubled or late is impossible to see"


def _senseless() -> dict[tuple[str, str], str]:
    """(name of the fault, venue) → why the pair is left out. Faults of books at venues without one are left out by themselves."""
    found = {(fault, v): NOT_NUMBERED for fault in ("drop", "reorder") for v in ("coinbase",)}
    found |= {("checksum", v): NO_CHECKSUM for v in BOOKS if v != "kraken"}  # OKX sends 0 since June 2026
    found |= {("resnapshot", v): "its books are fetched over HTTP" for v in BINANCE}
    found |= {(fault, v): "its books begin on the socket" for fault in ("late_snapshot", "stale_snapshot") for v in ON_SOCKET}
    found |= {("http", v): "its books begin on the socket" for v in VENUES if v not in BINANCE}  # of depth; others below
    found |= {
        (fault, v): "it acknowledges nothing" for fault in ("never_ack", "late_ack", "swap_acks", "ack_error") for v in MUTE
    }
    return found


SENSELESS = _senseless()
UNTOLD: dict[tuple[str, str], str] = {
    ("drop", "kraken"): "a checksum of ten levels does not see every update that is lost (docs/decisions/0011)",
    **{("silence", v): "a silence of trades alone is called stale after `quiet_seconds`" for v in VENUES if v not in BOOKS},
    ("never_ack", "coinbase-advanced"): "each answer lists all that is subscribed, so the next one stands in for it",
    ("never_ack", "kraken"): "its first message asks for the list of instruments, of which nobody waits for an answer",
    ("malformed", "yahoo"): "what cannot be read as a sample is another sample to protobuf, or an unknown field",
}
"""(name of the fault, venue) → why nothing need be told of it."""


class Everywhere(Run):
    """One collector at all simulated venues. `of`: the names of each venue's instruments."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.of: dict[str, list[str]] = {venue: [] for venue in self.sim.wires}
        self.mark = 0  # statuses before it are of before the fault
        self.said: list[Status] = []
        self.sold: dict[str, list[Trade]] = defaultdict(list)
        self.figures: Counter[str] = Counter()  # quotes and tickers by instrument
        self.collector.bus.tap(lambda batch: self._sort(batch.events))

    def _sort(self, events: Iterable[Event]) -> None:
        for e in events:
            if type(e) is Trade:
                self.sold[e.instrument].append(e)
            elif type(e) is Status:
                self.said.append(e)
            elif type(e) in {Quote, Ticker}:
                self.figures[e.instrument] += 1

    def look_around(self) -> None:
        """Find out what the instruments are called: the venues' lists were read."""
        self.of = {venue: [self._name(venue, native) for native in self.sim.wires[venue].natives()] for venue in self.sim.wires}
        self.natives = {
            name: (venue, native)
            for venue, names in self.of.items()
            for name, native in zip(names, self.sim.wires[venue].natives(), strict=True)
            if venue in BOOKS
        }

    def _name(self, venue: str, native: str) -> str:
        registry = self.collector.pipeline.feeds[venue, True].registry
        known = registry.by_native.get(native)
        return known.id if known else venue_class(venue)().derive(native, label_of(venue, simulated=True)).id

    def names(self, venues: Iterable[str] = VENUES) -> Iterator[str]:
        for venue in venues:
            yield from self.of[venue]

    # Faults

    def arm(self, fault: f.AnyFault, venues: Iterable[str]) -> dict[str, Armed]:
        """The same at each venue, counted for each. `stream` "trades" becomes the venue's name for those."""
        self.mark = len(self.said)
        found = {}
        for venue in venues:
            own: Any = {"venue": venue}
            if getattr(fault, "stream", "") == "trades":
                own["stream"] = TRADES[venue]
            found[venue] = self.sim.fault(replace(fault, **own))
        return found

    def told(self, venue: str, kinds: Iterable[str]) -> bool:
        """Whether a Status since the fault speaks of the venue in one of these ways."""
        wanted, label, names = set(kinds), label_of(venue, simulated=True), set(self.of[venue])
        return any(
            e.kind in wanted and (e.instrument in names or (not e.instrument and e.venue == label))
            for e in self.said[self.mark :]
        )

    # What must hold afterwards

    def in_step(self, name: str) -> bool:
        return not self.difference(name)

    def difference(self, name: str) -> str:
        """Where our book and the simulator's part, within what the venue tells of it; empty where they are one."""
        view, truth = self.collector.book(name, 1_000_000), self.sim.book(*self.natives[name])
        if view is None or view.state != "synced":
            return f"{name}: {view.state if view else 'no book'}"
        if self.natives[name][0] in BINANCE and view.seq != truth.last_update_id:
            return f"{name}: at {view.seq}, and the simulator's at {truth.last_update_id}"
        floor, ceiling = view.bid_floor or 0.0, view.ask_ceiling or math.inf
        sides = {
            "bids": (view.bids, [level for level in truth.bids if level[0] >= floor]),
            "asks": (view.asks, [level for level in truth.asks if level[0] <= ceiling]),
        }
        return "; ".join(f"{name}, {side}: {how}" for side, pair in sides.items() if (how := _differ(*pair)))

    async def none_left(self, what: Callable[[], Collection[str]]) -> None:
        """Until nothing is listed any more; what still is, is the test's failure."""
        await becomes(lambda: list(what()), [])

    async def in_step_everywhere(self, seconds: float = 60.0) -> None:
        """Stop the market where every book is the simulator's. A market that stands still mends no book, so it goes on between."""
        ends, parted, patience = asyncio.get_running_loop().time() + seconds, ["never synced"], 0.5
        while parted and asyncio.get_running_loop().time() < ends:
            with suppress(TimeoutError):
                await self.synced(seconds=ends - asyncio.get_running_loop().time())
            self.sim.pause()
            with suppress(TimeoutError):
                await self.until(lambda: not self.differences(), patience)
            if parted := self.differences():
                self.sim.resume()
                patience *= 2
                await asyncio.sleep(0.3)
        assert not parted, parted

    def differences(self) -> list[str]:
        return [how for name in self.natives if (how := self.difference(name))]

    def heard(self, venue: str) -> int:
        """Trades, where the venue has a book; whatever its samples give where it has none: half of those have no volume."""
        return sum(len(self.sold[n]) + (0 if venue in BOOKS else self.figures[n]) for n in self.of[venue])

    async def goes_on(self, more: int = 3) -> None:
        """Each venue says something more."""
        before = {venue: self.heard(venue) for venue in VENUES}
        await self.none_left(lambda: [v for v, n in before.items() if self.heard(v) < n + (more if v in BOOKS else 1)])

    def trades(self, instrument: str) -> list[Trade]:
        return self.sold[instrument]

    def trades_of(self, venue: str) -> list[Trade]:
        return [t for name in self.of[venue] for t in self.sold[name]]

    def repairing(self) -> bool:
        return any(lane.trades.repair.wanted for lane in self.collector.pipeline.lanes.values())

    def doubles(self) -> list[str]:
        """Venues whose trades bear ids, and an id came twice."""
        found = []
        for venue in VENUES:
            if venue_class(venue).trade_ids == "none":
                continue
            for name in self.of[venue]:
                ids = [t.id for t in self.trades(name) if t.id]
                found += [f"{name}: {len(ids) - len(set(ids))} doubles"] if len(ids) != len(set(ids)) else []
        return found

    def holes(self, venues: Iterable[str]) -> dict[str, list[int]]:
        """Ids between the first and the last that were never given out, of venues that number their trades, one by one."""
        found = {}
        for name in self.names(v for v in venues if venue_class(v).trade_ids == "consecutive" and v not in SUMS):
            ids = [int(t.id) for t in self.trades(name)]
            if ids and (missing := sorted(set(range(min(ids), max(ids) + 1)) - set(ids))):
                found[name] = missing
        return found

    def recovered(self, venue: str) -> list[Trade]:
        return [t for t in self.trades_of(venue) if t.flags & Flag.RECOVERED]


def _differ(ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> str:
    """Best `len(ours)` levels; a venue that tells fewer than the simulator has is no fault, ten there must be."""
    if len(ours) < min(10, len(theirs)):
        return f"{len(ours)} of {len(theirs)} levels"
    for n, (mine, true) in enumerate(zip(ours, theirs, strict=False)):
        if not (math.isclose(mine[0], true[0], rel_tol=1e-12) and math.isclose(mine[1], true[1], rel_tol=1e-9)):
            return f"level {n} of {len(ours)}, {mine}, is {true}"
    return f"{len(ours) - len(theirs)} levels too many" if len(ours) > len(theirs) else ""


def senseless(fault: f.AnyFault, venue: str) -> str:
    """Why this fault is not tried at this venue; empty: it is."""
    name = tag(fault)
    of_books = isinstance(fault, f.MessageFault) and not fault.stream
    if (of_books or name == "resnapshot" or name.endswith("_snapshot")) and venue not in BOOKS:
        return NO_BOOK
    if isinstance(fault, f.HttpFail) and fault.path == "*":
        return "what a contract is worth stands in its list alone" if venue == "okx" else ""
    return SENSELESS.get((name, venue), "")


def tag(fault: f.AnyFault) -> str:
    return str(fault.__struct_config__.tag)


@asynccontextmanager
async def everywhere(
    data: Path, *, seed: int = 21, rate: float = 0.5, before: Callable[[SimServer], None] | None = None, **changes: Any
) -> AsyncIterator[Everywhere]:
    """A collector connected to every venue, all books in step. `before` acts on the market before that (and nothing is awaited)."""
    natives = [f"{v}:{native}" for v in VENUES for native in natives_of(v, least=1)]
    names = tuple(venue_class(v)().derive(native, v).id for v in VENUES for native in natives_of(v, least=1))
    async with SimServer(seed=seed, venues=VENUES, instruments=natives, rate=rate) as sim:
        if before is not None:
            before(sim)
        wanted = {"instruments": names, "channels": ("trades", "book"), **changes}
        async with running(sim, data, kind=Everywhere, **wanted) as run:
            assert isinstance(run, Everywhere)
            await run.until(lambda: all((v, True) in run.collector.pipeline.feeds for v in VENUES))
            run.look_around()
            if before is None:
                await run.none_left(lambda: [n for n in run.natives if run.state(n) != "synced"])
                await run.none_left(lambda: [v for v in VENUES if not run.heard(v)])
            yield run
