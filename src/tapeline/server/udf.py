"""TradingView's Universal Data Feed under `/udf`, so that other charting front ends can be pointed at a running Tapeline.

Times are whole seconds, as the protocol has them. Bars are those of `/api/v1/bars`, value for value; marks are the alerts that were
raised, timescale marks the gaps, each put on the bar it fell into, because a mark is only drawn where a bar stands.

    history   the bars of [from, to), or with `countback` the last so many before `to`, whatever `from` says. Nothing there:
              `no_data`, and `nextTime` is the newest bar before, so that the front end goes on from there
    quotes    an error for an instrument that is silent or cut off: the protocol has no word for an old price

Deliberately not done: `/symbol_info` (it excludes `/search`), and the front end's saved charts. Parameters that mean nothing here
are let pass, since front ends send more than the protocol names. Errors are the API's with `"s": "error"` and `errmsg`, which it
wants, beside.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from tapeline.alerts.room import Room
from tapeline.clock import SECOND, Clock
from tapeline.config import INTERVALS
from tapeline.engine.source import Source
from tapeline.events import Alert, Bar, Status
from tapeline.instruments import Instrument
from tapeline.market.barkinds.specs import parse
from tapeline.market.sessions import hours
from tapeline.server import asked
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import KNOWN, Described, Operation, Parameter, limit
from tapeline.server.live.hub import Hub
from tapeline.server.memory.history import History
from tapeline.server.past.past import Past
from tapeline.server.rest import MAX_BARS
from tapeline.server.udf_words import COLOURS, RESOLUTIONS, config, found, interval_of, symbol
from tapeline.server.views import MEDIA, Row, encode

MAX_FOUND = 500
MAX_MARKS = 500
MAX_QUOTES = 200
FAR = 2**63 // SECOND - 1
BROKEN = ("gap", "disconnected", "resyncing", "stale", "crossed")
"""What of the status events is worth a mark on the time scale."""
SILENT = ("stale", "disconnected", "waiting")
Answer = Callable[[Request], Awaitable[Any]]

SYMBOL = Parameter(name="symbol", text="An instrument's id, or its symbol where one venue streams it.", required=True)
RESOLUTION = Parameter(name="resolution", text="`D` is `1D`.", required=True, choices=(*RESOLUTIONS, "D"))
SECONDS = tuple(
    Parameter(name=n, text=f"{t} time, in seconds since 1970.", kind="number") for n, t in (("from", "First"), ("to", "End of"))
)


def _operation(name: str, summary: str, *parameters: Parameter, errors: tuple[str, ...] = ()) -> Operation:
    return Operation("GET", f"/udf/{name}", summary, tag="charts", parameters=parameters, errors=errors)


OPERATIONS = (
    _operation("config", "What TradingView's data feed serves here"),
    _operation("symbols", "One instrument, as a chart needs it", SYMBOL, errors=KNOWN),
    _operation(
        "search", "Instruments that are streamed",
        Parameter(name="query", text="A part of the id."), Parameter(name="type", text="Of `symbols_types`."),
        Parameter(name="exchange", text="A venue."), limit(30, MAX_FOUND, text="Most rows."),
    ),
    _operation(
        "history", "Bars in columns", SYMBOL, RESOLUTION, *SECONDS,
        Parameter(name="countback", text="So many before `to`, whatever `from` says.", kind="integer", least=0, most=MAX_BARS),
        errors=KNOWN,
    ),
    _operation(
        "quotes", "The latest of instruments",
        Parameter(name="symbols", text="Joined by commas.", required=True, longest=4096),
    ),
    _operation("marks", "Alerts, on their bars", SYMBOL, RESOLUTION, *SECONDS, errors=(*KNOWN, "store_broken")),
    _operation("timescale_marks", "Gaps, on their bars", SYMBOL, RESOLUTION, *SECONDS, errors=KNOWN),
)  # fmt: skip
TIME = Operation("GET", "/udf/time", "The engine's clock in seconds", tag="charts", media="text/plain")


class Udf:
    def __init__(self, source: Source, history: History, hub: Hub, past: Past, room: Room | None, clock: Clock) -> None:
        self._source, self._history, self._past, self._room, self._clock = source, history, past, room, clock
        self._names = hub.names
        self._answers: dict[str, Answer] = {
            "config": self._config,
            "symbols": self._symbols,
            "search": self._search,
            "history": self._bars,
            "quotes": self._quotes,
            "marks": self._marks,
            "timescale_marks": self._breaks,
        }

    def routes(self) -> list[Described]:
        routes = [Described(self._told(self._answers[one.path.removeprefix("/udf/")]), one) for one in OPERATIONS]
        return [*routes, Described(self.time, TIME)]

    def _told(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def told(request: Request) -> Response:
            try:
                body, status = await answer(request), 200
            except ApiError as e:
                body, status = {"mode": self._source.mode, "s": "error", "errmsg": str(e), "error": e.body()}, e.status
            return Response(encode(body), status, {"cache-control": "no-store"}, MEDIA["json"])

        return told

    async def time(self, _: Request) -> Response:
        """The engine's clock: of a replay the tape's."""
        return PlainTextResponse(str(self._clock.now() // SECOND), headers={"cache-control": "no-store"})

    async def _config(self, _: Request) -> Row:
        return config(sorted({i.venue for i in self._source.instruments()}))

    def _instrument(self, given: QueryParams) -> Instrument:
        """By its id, or by its symbol alone where only one is streamed under that."""
        name = asked.one("symbol", given.get("symbol"))
        streams = self._source.instruments()
        exact = [i for i in streams if i.id == name] or [i for i in streams if i.id.upper() == name.upper()]
        like = exact or [i for i in streams if i.symbol.upper() == name.upper()]
        if len(like) == 1:
            return like[0]
        if like:
            raise asked.bad("symbol", name, f"one of {', '.join(i.id for i in like)}")
        self._names.check(name)
        raise ApiError(404, "not_streaming", f"{name} is streamed no more", "`tapeline subscribe` adds it")

    async def _symbols(self, request: Request) -> Row:
        instrument = self._instrument(request.query_params)
        known = {row["id"]: row for row in self._source.status().get("instruments", ())}
        zone, session = await asyncio.to_thread(hours, instrument.session, self._clock.now())
        return symbol(instrument, known.get(instrument.id, {}).get("price_decimals", 2), zone, session)

    async def _search(self, request: Request) -> list[Row]:
        given = request.query_params
        limit = asked.whole("limit", given.get("limit"), 30, MAX_FOUND)
        query, kind, venue = given.get("query", "").upper(), given.get("type", ""), given.get("exchange", "")
        matching = [i for i in self._source.instruments() if query in i.id.upper() and venue in ("", i.venue)]
        return [row for i in sorted(matching, key=lambda i: i.id) if kind in ("", (row := found(i))["type"])][:limit]

    # Bars

    async def _bars(self, request: Request) -> Row:
        given = request.query_params
        instrument, interval = self._instrument(given), _interval(given)
        start, end = _span(given)
        wanted = asked.whole("countback", given.get("countback"), 0, MAX_BARS) if given.get("countback") != "0" else 0
        bars = await self._between(request, instrument.id, interval, 0 if wanted else start, end, wanted or MAX_BARS)
        if bars:
            return _columns(bars)
        older = await self._between(request, instrument.id, interval, 0, start, 1)
        return {"s": "no_data", **({"nextTime": older[0].ts_open // SECOND} if older else {})}

    async def _between(self, request: Request, name: str, interval: str, start: int, end: int, limit: int) -> list[Bar]:
        bars, _ = await self._past.bars(request, name, parse(interval), "trades", start * SECOND, end * SECOND, limit)
        return [bar for bar, _ in bars]

    # The latest

    async def _quotes(self, request: Request) -> Row:
        given = request.query_params
        names = [n for n in asked.one("symbols", given.get("symbols")).split(",") if n]
        if len(names) > MAX_QUOTES:
            raise asked.bad("symbols", f"{len(names)} names", f"at most {MAX_QUOTES}")
        streams = {i.id: i for i in self._source.instruments()}
        states = {row["id"]: row["state"] for row in self._source.status().get("instruments", ())}
        return {"s": "ok", "d": [self._quote(name, streams.get(name), states.get(name, "waiting")) for name in names]}

    def _quote(self, name: str, instrument: Instrument | None, state: str) -> Row:
        if instrument is None:
            return {"s": "error", "n": name, "v": {}, "errmsg": "not streamed"}
        if state in SILENT:
            return {"s": "error", "n": name, "v": {}, "errmsg": state}
        values = self._figures(name, with_book=state != "resyncing")
        about = {"short_name": instrument.symbol, "exchange": instrument.venue, "description": found(instrument)["description"]}
        return {"s": "ok", "n": name, "v": about | {k: v for k, v in values.items() if v is not None}}

    def _figures(self, name: str, *, with_book: bool) -> Row:
        """Figures of the day are the venue's own 24 hours, where it tells them."""
        h = self._history
        ticker, trades = h.tickers.get(name), h.trades.get(name)
        last = trades.items[-1].price if trades and trades.items else ticker.last if ticker else None
        values: Row = {"lp": last}
        if ticker is not None:
            values |= {"open_price": ticker.open, "high_price": ticker.high, "low_price": ticker.low, "volume": ticker.volume}
            if last is not None and ticker.open:
                values |= {"ch": last - ticker.open, "chp": 100 * (last - ticker.open) / ticker.open}
        if with_book and (quote := next(iter(h.quotes(name)), None)) is not None:
            spread = None if quote.bid is None or quote.ask is None else quote.ask - quote.bid
            values |= {"bid": quote.bid, "ask": quote.ask, "spread": spread}
        return values

    # Marks

    async def _marks(self, request: Request) -> Row:
        given = request.query_params
        instrument, interval = self._instrument(given), _interval(given)
        start, end = (s * SECOND for s in _span(given))
        raised = [a for a in await self._alerts(instrument.id, start, end) if a.state == "raised"]
        severities = [a.severity or "info" for a in raised]
        return {
            "id": [f"{a.rule} {a.id or a.ts_event}" for a in raised],
            "time": [_bar_time(a.ts_event, interval) for a in raised],
            "color": [COLOURS.get(s, "blue") for s in severities],
            "text": [f"{a.rule} ({s}): {a.text}" for a, s in zip(raised, severities, strict=True)],
            "label": [a.rule[:1].upper() for a in raised],
            "labelFontColor": ["black" if s == "warning" else "white" for s in severities],
            "minSize": [14] * len(raised),
        }

    async def _alerts(self, name: str, start: int, end: int) -> list[Alert]:
        """The newest MAX_MARKS, oldest first."""
        if self._room is None:
            events: Iterable[Alert] = self._history.alerts.items
            told = [a for a in events if a.instrument == name and start <= a.ts_event < end]
            return told[-MAX_MARKS:]
        try:
            rows = await self._room.keeper.call(lambda s: s.history(start=start, end=end, instrument=name, limit=MAX_MARKS))
        except sqlite3.Error as e:
            raise ApiError(503, "store_broken", f"the alerts' file: {e}", "is the disk full?") from None
        return [row["event"] for row in reversed(rows)]

    async def _breaks(self, request: Request) -> list[Row]:
        given = request.query_params
        """Of the status events in memory, the last 500 of all instruments."""
        instrument, interval = self._instrument(given), _interval(given)
        start, end = (s * SECOND for s in _span(given))

        def meant(event: Status) -> bool:
            of = event.instrument == instrument.id or (not event.instrument and event.venue == instrument.venue)
            return of and event.kind in BROKEN and start <= event.ts_event < end

        return [_break(e, interval) for e in self._history.status.items if meant(e)]


def _interval(given: QueryParams) -> str:
    resolution = asked.one("resolution", given.get("resolution"))
    interval = interval_of(resolution)
    if interval is None:
        raise asked.bad("resolution", resolution, f"one of {', '.join(RESOLUTIONS)}")
    return interval


def _span(given: QueryParams) -> tuple[int, int]:
    """[`from`, `to`) in seconds; a fraction is cut off, and a time before 1970 is its beginning."""
    start, end = (_seconds(name, given.get(name), default) for name, default in (("from", 0), ("to", FAR)))
    return start, end


def _seconds(name: str, value: str | None, default: int) -> int:
    if value is None:
        return default
    try:
        return min(max(int(float(value)), 0), FAR)
    except (ValueError, OverflowError):
        raise asked.bad(name, value, "seconds since 1970") from None


def _columns(bars: list[Bar]) -> Row:
    return {
        "s": "ok",
        "t": [b.ts_open // SECOND for b in bars],
        "o": [b.open for b in bars],
        "h": [b.high for b in bars],
        "l": [b.low for b in bars],
        "c": [b.close for b in bars],
        "v": [b.volume for b in bars],
    }


def _bar_time(ts: int, interval: str) -> int:
    return (ts - ts % INTERVALS[interval]) // SECOND


def _break(event: Status, interval: str) -> Row:
    count = [] if event.count is None else [f"{event.count} missing"]
    return {
        "id": f"{event.kind} {event.ts_event}",
        "time": _bar_time(event.ts_event, interval),
        "color": "red" if event.kind == "gap" else "yellow",
        "label": event.kind[:1].upper(),
        "tooltip": [f"{event.kind} {event.channel}".strip(), event.reason, *count],
    }
