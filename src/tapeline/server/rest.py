"""The REST side: `/api/v1`, `/livez` and `/readyz` of docs/api.md. Answers come from memory; nothing here waits for a venue.

`limit` cuts the oldest: of the rows in [`from`, `to`) the newest are given, oldest first, and `more` says that older ones were
left out. Large tables are put into words by a thread, so that a download does not hold up the feed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from tapeline.engine.source import Source
from tapeline.events import Bar, Event, Metrics, Quote, Ticker, Trade
from tapeline.server import asked
from tapeline.server.asked import MAX_TIME, ApiError
from tapeline.server.contract.operations import (
    FORMAT,
    FROM,
    INSTRUMENT,
    INSTRUMENTS,
    KNOWN,
    TO,
    Described,
    Operation,
    Parameter,
    limit,
    many,
    row_of,
)
from tapeline.server.contract.shapes import BookRow, InstrumentRow, status_shape
from tapeline.server.live.hub import Hub
from tapeline.server.memory.history import History
from tapeline.server.past.past import OLDER, Closed, Past
from tapeline.server.views import (
    INSTRUMENT_COLUMNS,
    MEDIA,
    Format,
    Row,
    Table,
    bar_row,
    book_row,
    encode,
    event_row,
    event_table,
    instrument_row,
)

MAX_TRADES = 5000
MAX_BARS = 3000
MAX_DEPTH = 1000
INLINE_ROWS = 500
PAST = Parameter(
    name="past", text="`memory`: what memory has of it, at once; `more` says whether the lake has more.",
    choices=("all", "memory"), default="all",
)  # fmt: skip

STATUS = Operation("GET", "/api/v1/status", "What is running, and how well", tag="server", answer=status_shape(), embeds=True)
INSTRUMENTS_LISTED = Operation(
    "GET", "/api/v1/instruments", "The instruments that are streamed, then all that the connected venues list",
    parameters=(Parameter(name="q", text="A part of the id."), Parameter(name="venue", text="Of this venue alone."), FORMAT),
    answer={"instruments": many(InstrumentRow)}, embeds=True,
)  # fmt: skip
TRADES = Operation(
    "GET", "/api/v1/trades", "Trades of an instrument, oldest first: the newest of the range",
    parameters=(INSTRUMENT, limit(200, MAX_TRADES), FROM, TO, PAST, FORMAT),
    answer={"trades": many(row_of(Trade)), "more": bool}, errors=(*KNOWN, *OLDER), embeds=True,
)  # fmt: skip
QUOTES = Operation(
    "GET", "/api/v1/quotes", "The latest quote of each instrument and origin",
    parameters=(INSTRUMENTS, FORMAT), answer={"quotes": many(row_of(Quote))}, errors=KNOWN, embeds=True,
)  # fmt: skip
TICKERS = Operation(
    "GET", "/api/v1/tickers", "The venue's own figures of each instrument, as it last told them",
    parameters=(INSTRUMENTS, FORMAT), answer={"tickers": many(row_of(Ticker))}, errors=KNOWN, embeds=True,
)  # fmt: skip
BOOK = Operation(
    "GET", "/api/v1/book", "The book as it is now, best levels first",
    parameters=(INSTRUMENT, limit(25, MAX_DEPTH, "depth", "Levels a side.")),
    answer={"book": BookRow}, errors=(*KNOWN, "no_book"), embeds=True,
)  # fmt: skip
BARS = Operation(
    "GET", "/api/v1/bars", "Bars of an instrument, oldest first; the last may be open",
    parameters=(
        Parameter(
            name="instrument", text="As in `binance:BTC-USDT`. Of memory alone it is repeatable: `limit` bars of each.",
            required=True, repeated=True,
        ),
        Parameter(name="interval", text="As in `1m`, `tick:500`, `heikin-ashi:1m`.", kind="interval", default="1m"),
        Parameter(name="origin", text="Made of trades, or the venue's own.", choices=("trades", "venue"), default="trades"),
        limit(500, MAX_BARS), FROM, TO, PAST, FORMAT,
    ),
    answer={"bars": many(row_of(Bar)), "more": bool}, errors=(*KNOWN, *OLDER), embeds=True,
)  # fmt: skip
METRICS = Operation(
    "GET", "/api/v1/metrics", "The latest metrics of each instrument",
    parameters=(
        INSTRUMENTS,
        Parameter(name="kind", text="Of the book, or what is sampled.", choices=("all", "book", "sample"), default="all"),
        FORMAT,
    ),
    answer={"metrics": many(row_of(Metrics))}, errors=KNOWN, embeds=True,
)  # fmt: skip
LIVEZ = Operation("GET", "/livez", "Whether the server's loop runs", tag="server", answer={"live": bool})
READYZ = Operation(
    "GET", "/readyz", "Whether data comes: a replay, or a connection that is up", tag="server",
    answer={"ready": bool, "why": str}, others=(503,),
)  # fmt: skip


class Rest:
    def __init__(self, source: Source, history: History, hub: Hub, past: Past) -> None:
        self._source, self._history, self._hub, self._past = source, history, hub, past
        self._names = hub.names

    def routes(self) -> list[Described]:
        return [
            Described(self.status, STATUS),
            Described(self.instruments, INSTRUMENTS_LISTED),
            Described(self.trades, TRADES),
            Described(self.quotes, QUOTES),
            Described(self.tickers, TICKERS),
            Described(self.book, BOOK),
            Described(self.bars, BARS),
            Described(self.metrics, METRICS),
            Described(self.livez, LIVEZ),
            Described(self.readyz, READYZ),
        ]

    def _json(self, row: Row, status: int = 200) -> Response:
        body = encode({"mode": self._source.mode, **row})
        return Response(body, status, {"cache-control": "no-store"}, MEDIA["json"])

    async def _table(self, request: Request, rows: int, make: Callable[[], Table], more: bool | None = None) -> Response:
        format: Format = asked.choice("format", request.query_params.get("format"), MEDIA)  # type: ignore[assignment]  # noqa: A001  the parameter's name
        head: Row = {"mode": self._source.mode} | ({} if more is None else {"more": more})
        if rows > INLINE_ROWS or format in ("arrow", "parquet"):
            body = await asyncio.to_thread(lambda: make().render(format, head))
        else:
            body = make().render(format, head)
        return Response(body, headers={"cache-control": "no-store"}, media_type=MEDIA[format])

    def _instruments(self, request: Request) -> list[str]:
        wanted = request.query_params.getlist("instrument")
        return [self._names.check(name) for name in wanted] or self._names.streaming()

    async def status(self, _: Request) -> Response:
        return self._json(self._hub.status())

    async def instruments(self, request: Request) -> Response:
        given = request.query_params
        streaming = {i.id: i for i in self._source.instruments()}
        found = {i.id: i for i in self._source.listed()} | streaming
        venue, q = given.get("venue"), given.get("q", "").upper()
        chosen = [i for i in found.values() if venue in (None, i.venue) and q in i.id.upper()]
        chosen.sort(key=lambda i: (i.id not in streaming, i.id))

        def make() -> Table:
            return Table("instruments", INSTRUMENT_COLUMNS, [instrument_row(i, streaming=i.id in streaming) for i in chosen])

        return await self._table(request, len(chosen), make)

    async def trades(self, request: Request) -> Response:
        given = request.query_params
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        limit = asked.whole("limit", given.get("limit"), 200, MAX_TRADES)
        start, end = asked.moment("from", given.get("from"), 0), asked.moment("to", given.get("to"), MAX_TIME)
        trades, more = await self._past.trades(request, name, start, end, limit, memory=_of_memory(given))
        return await self._events(request, "trades", Trade, trades, more=more)

    async def quotes(self, request: Request) -> Response:
        quotes = [q for name in self._instruments(request) for q in self._history.quotes(name)]
        return await self._events(request, "quotes", Quote, quotes)

    async def tickers(self, request: Request) -> Response:
        found = [t for name in self._instruments(request) if (t := self._history.tickers.get(name)) is not None]
        return await self._events(request, "tickers", Ticker, found)

    async def metrics(self, request: Request) -> Response:
        given = request.query_params
        kind = asked.choice("kind", given.get("kind"), ("all", "book", "sample"))
        names = self._instruments(request)
        if not given.getlist("instrument"):
            names += self._history.groups()
        looks: dict[str, Callable[[str], Metrics | None]] = {"book": self._history.metrics.get, "sample": self._history.sample}
        found = [look(name) for of, look in looks.items() if kind in ("all", of) for name in names]
        return await self._events(request, "metrics", Metrics, [m for m in found if m is not None])

    async def _events(
        self, request: Request, name: str, kind: type[Event], events: list[Any], more: bool | None = None
    ) -> Response:
        return await self._table(request, len(events), lambda: event_table(name, kind, map(event_row, events)), more)

    async def book(self, request: Request) -> Response:
        given = request.query_params
        name = self._names.check(asked.one("instrument", given.get("instrument")))
        view = self._source.book(name, asked.whole("depth", given.get("depth"), 25, MAX_DEPTH))
        if view is None:
            raise ApiError(
                503, "no_book", f"there is no book of {name} yet", "is `book` among the channels? if so, ask again soon"
            )
        return self._json({"book": book_row(view)})

    async def bars(self, request: Request) -> Response:
        given = request.query_params
        spec = asked.interval(given.get("interval")) if self._past.kept else self._names.made(given.get("interval"))
        origin = asked.choice("origin", given.get("origin"), ("trades", "venue"))
        limit = asked.whole("limit", given.get("limit"), 500, MAX_BARS)
        memory = _of_memory(given)
        names = self._some(given.getlist("instrument"), limit, memory=memory)
        start, end = asked.moment("from", given.get("from"), 0), asked.moment("to", given.get("to"), MAX_TIME)
        found: list[Closed] = []
        more = False
        for name in names:
            last, older = await self._past.bars(request, name, spec, origin, start, end, limit, memory=memory)
            found += last
            more = more or older

        def make() -> Table:
            return event_table("bars", Bar, (bar_row(bar, closed=closed) for bar, closed in found))

        return await self._table(request, len(found), make, more=more)

    def _some(self, wanted: list[str], limit: int, *, memory: bool) -> list[str]:
        """One instrument, or of memory alone several: a page of the lake costs too much to be asked for by the dozen."""
        names = [self._names.check(asked.one("instrument", name)) for name in dict.fromkeys(wanted or [""])]
        if len(names) > 1 and not memory:
            raise asked.bad("instrument", f"{len(names)} of them", "one, or several with past=memory")
        if len(names) * limit > MAX_BARS and len(names) > 1:
            raise asked.bad(
                "limit", limit, f"at most {MAX_BARS} bars altogether: {MAX_BARS // len(names)} of each of {len(names)}"
            )
        return names

    async def livez(self, _: Request) -> Response:
        return self._json({"live": True})

    async def readyz(self, _: Request) -> Response:
        """Ready is who has data coming: a replay, or one connection that is up."""
        states = [str(c["state"]) for c in self._source.status().get("connections", [])]
        if self._source.mode == "replay" or "up" in states:
            return self._json({"ready": True, "why": ""})
        why = f"none of {len(states)} connections is up ({', '.join(sorted(set(states)))})" if states else "no connection yet"
        return self._json({"ready": False, "why": why}, 503)


def _of_memory(given: QueryParams) -> bool:
    return asked.choice("past", given.get("past"), PAST.choices) == "memory"
