"""`GET /instruments/search`: what can be streamed, at any venue, by parts of its name.

What is streamed and what the connected venues list is in memory and found at once. The lists of the other venues are asked for when
somebody first searches, each by itself and outside the tape, and the answer says which are still `pending`: the page asks again.
A list is held for an hour, a failure for a minute. Bounds: one question a venue at a time, `MOST_WORDS` answers of venues that give
no list but search themselves (Yahoo), `MOST_FOUND` rows an answer.

Words are compared without what separates assets: `btcusd` finds BTC-USD. Each word must be part of the name, ours or the venue's, or
of the venue or the kind: `btc kraken`, `eth perp`. What a venue itself found for the words is shown whatever its name.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tapeline.clock import SECOND, Clock
from tapeline.engine.source import Source
from tapeline.errors import TapelineError
from tapeline.instruments import Instrument
from tapeline.server import asked
from tapeline.server.contract.operations import Described, Operation, Parameter, limit, many
from tapeline.server.contract.shapes import FoundRow, Unanswered
from tapeline.server.views import MEDIA, Row, encode, instrument_row

MOST_FOUND = 200
MOST_WORDS = 64
LONGEST = 64
LIST_NS, FAILURE_NS = 3600 * SECOND, 60 * SECOND
_SEPARATORS = str.maketrans("", "", "-/_: ")
SEARCH = Operation(
    "GET", "/api/v1/instruments/search", "What could be streamed, at any venue, the likeliest first",
    parameters=(
        Parameter(name="q", text="Parts of a name, as in `btc kraken`.", required=True, longest=LONGEST),
        limit(50, MOST_FOUND, text="Most rows."),
    ),
    answer={"instruments": many(FoundRow), "more": bool, "pending": list[str], "failed": list[Unanswered]},
)  # fmt: skip
Named = tuple[str, Instrument]
"""The real name, by which an instrument is added, and what it is: of the simulated market its id has another label."""


class Found(msgspec.Struct, frozen=True):
    """A venue's instruments by their real names. `searched`: what it found for these words, not all it has."""

    instruments: list[Named]
    searched: bool = False


class Finder(msgspec.Struct, frozen=True):
    """How the venues that are not connected are asked: `ask(venue, words)` raises TapelineError where there is no answer."""

    venues: tuple[str, ...]
    ask: Callable[[str, str], Awaitable[Found]]


class _Held(msgspec.Struct):
    """What is known of one venue, or of one search at it, until `until` (ns)."""

    until: int
    found: Found | None = None
    error: str = ""


class Search:
    def __init__(self, source: Source, clock: Clock, finder: Finder | None) -> None:
        self._source, self._clock = source, clock
        self._finder = finder or Finder((), _nobody)
        self._held: OrderedDict[tuple[str, str], _Held] = OrderedDict()
        self._asking: dict[str, asyncio.Task[None]] = {}

    def route(self) -> Described:
        return Described(self.handle, SEARCH)

    async def handle(self, request: Request) -> Response:
        given = request.query_params
        q = asked.one("q", given.get("q", "").strip())
        if len(q) > LONGEST:
            raise asked.bad("q", q, f"at most {LONGEST} characters")
        limit = asked.whole("limit", given.get("limit"), 50, MOST_FOUND)
        names = {str(s["instrument"]): str(s["name"]) for s in self._subscribed()}
        streaming = {i.id for i in self._source.instruments()}
        near = [(names.get(i.id, ""), i) for i in (*self._source.instruments(), *self._source.listed())]
        far, sure, pending, failed = self._elsewhere(q) if self._source.control is not None else ([], [], [], [])
        chosen = await asyncio.to_thread(choose, q, [*near, *far], streaming, sure)
        rows = [self._row(name, i, streaming) for name, i in chosen[:limit]]
        body: Row = {"instruments": rows, "more": len(chosen) > limit, "pending": pending, "failed": failed}
        return Response(encode({"mode": self._source.mode, **body}), 200, {"cache-control": "no-store"}, MEDIA["json"])

    def _subscribed(self) -> list[Row]:
        return [] if self._source.control is None else self._source.control.subscriptions()

    def _row(self, name: str, i: Instrument, streaming: set[str]) -> Row:
        return instrument_row(i, streaming=i.id in streaming) | {"name": name or real_name(i, self._source.status())}

    def _elsewhere(self, q: str) -> tuple[list[Named], list[Named], list[str], list[Row]]:
        """Of the venues that are not connected: what they list, what they found for these words, which are being asked, and which
        did not answer, and why.
        """
        connected = {str(venue["protocol"]) for venue in self._source.status().get("venues", ())}
        now = self._clock.now()
        found: list[Named] = []
        sure: list[Named] = []
        pending: list[str] = []
        failed: list[Row] = []
        for venue in self._finder.venues:
            if venue in connected:
                continue
            held = self._held.get((venue, "")) or self._held.get((venue, plain(q)))
            if held is None or held.until <= now:
                self._ask(venue, q)
                pending.append(venue)
            if held is not None and held.found is not None:
                (sure if held.found.searched else found).extend(held.found.instruments)
            elif held is not None:
                failed.append({"venue": venue, "message": held.error})
        return found, sure, pending, failed

    def _ask(self, venue: str, q: str) -> None:
        if venue in self._asking:
            return
        task = self._asking[venue] = asyncio.get_running_loop().create_task(self._answer(venue, q))
        task.add_done_callback(lambda _: self._asking.pop(venue, None))

    async def _answer(self, venue: str, q: str) -> None:
        try:
            found = await self._finder.ask(venue, q)
        except TapelineError as e:
            self._held[venue, plain(q)] = _Held(self._clock.now() + FAILURE_NS, error=str(e))
        else:
            self._held[venue, plain(q) if found.searched else ""] = _Held(self._clock.now() + LIST_NS, found)
        while len(self._held) > MOST_WORDS + len(self._finder.venues):
            self._held.popitem(last=False)

    async def close(self) -> None:
        for task in list(self._asking.values()):
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)


async def _nobody(venue: str, words: str) -> Found:  # noqa: ARG001  a Finder's shape; without venues never called
    return Found([])


def plain(text: str) -> str:
    return text.upper().translate(_SEPARATORS)


def real_name(instrument: Instrument, status: Row) -> str:
    """By which an instrument that a connected venue lists is added. Simulated venues may share one label: the kind tells which."""
    protocols = [str(v["protocol"]) for v in status.get("venues", ()) if v["label"] == instrument.venue]
    derivative = [p for p in protocols if p.endswith(("m", "futures"))]
    if instrument.kind == "spot" and len(protocols) > 1:
        protocols = [p for p in protocols if p not in derivative] or protocols
    elif len(protocols) > 1:
        coin = [p for p in derivative if p.endswith("coinm") == instrument.inverse]
        protocols = coin or derivative or protocols
    return f"{protocols[0] if protocols else instrument.venue}:{instrument.symbol}"


def choose(q: str, named: Iterable[Named], streaming: set[str], sure: Iterable[Named] = ()) -> list[Named]:
    """Those that fit and those that are `sure` to, each id once, the likeliest first: streamed, whose base is meant, short names."""
    words = [plain(word) for word in q.replace(":", " ").split()]
    whole = plain(q)
    found: dict[str, Named] = {}
    for name, i in named:
        if i.id not in found and _fits(i, words, whole):
            found[i.id] = (name, i)
    for name, i in sure:
        found.setdefault(i.id, (name, i))
    bases = set(words)

    def likelihood(one: Named) -> tuple[bool, bool, bool, bool, int, str]:
        i = one[1]
        exact = plain(i.symbol) == whole or plain(i.id) == whole
        return (
            i.id not in streaming,
            not exact,
            i.base.upper() not in bases,
            i.kind not in ("spot", "stock"),
            len(i.symbol),
            i.id,
        )

    return sorted(found.values(), key=likelihood)


def _fits(i: Instrument, words: list[str], whole: str) -> bool:
    symbol, native = plain(i.symbol), plain(i.native)
    if whole in symbol or whole in native:
        return True
    about = (symbol, native, plain(i.venue), i.kind.upper())
    return all(any(word in text for text in about) for word in words)
