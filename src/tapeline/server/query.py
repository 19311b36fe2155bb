"""`/api/v1/query`: the lake asked in SQL, over the API, beside the feed.

What a question may cost is bounded on every side (settings `query`): threads, memory and time, rows and bytes of the answer, how
many at once. Whoever finds all places taken waits a little, then gets 503. A question whose asker hangs up is stopped.

Questions run in threads of their own, daemons, so that none holds up the end of the program. That the lake can only be read, and
nothing else of this machine, is the lake's own doing (`lake/sql.py`). A page of another site cannot read answers
(`server/guard.py`), but it could make a browser ask: what a browser marks as coming from another site is refused here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tapeline.clock import MICRO
from tapeline.config import QuerySettings
from tapeline.engine.source import Mode
from tapeline.errors import TapelineError, UsageError
from tapeline.server import asked
from tapeline.server.asked import ApiError
from tapeline.server.views import MEDIA
from tapeline.sinks.worker import Worker

if TYPE_CHECKING:
    from tapeline.lake.sql import Answer, Question

MAX_SQL = 64 * 1024
WAIT_SECONDS = 3.0
LOOK_SECONDS = 0.1
"""How often it is looked whether the asker is still there."""
HINT = "docs/lake.md tells the views and their columns"


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST."""

    sql: str
    params: dict[str, str | int | float | bool | None] = {}
    format: str | None = None
    limit: int | None = None


class Queries:
    """The route, and what runs behind it. `data`: where the lake is; None where nothing is kept."""

    def __init__(self, data: Path | None, settings: QuerySettings) -> None:
        self._data, self._settings = data, settings
        self._places = asyncio.Semaphore(settings.at_once)
        self._running: set[Question] = set()

    def route(self, mode: Callable[[], Mode]) -> Route:
        async def query(request: Request) -> Response:
            return await self._query(request, mode())

        return Route("/api/v1/query", query, methods=["GET", "POST"])

    def stop(self) -> None:
        """Stop what is being asked: the server ends."""
        for question in self._running:
            question.stop("the server ends")

    async def _query(self, request: Request, mode: Mode) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise ApiError(403, "origin_refused", "pages of other sites may not ask", "open the page of this server")
        wish = await _wish(request)
        form = asked.choice("format", wish.format, MEDIA)
        rows = asked.whole("limit", wish.limit, self._settings.rows, self._settings.rows)
        async with self._place():
            body = await self._answer(request, wish, form, rows, mode)
        return Response(body, headers={"cache-control": "no-store"}, media_type=MEDIA[form])  # type: ignore[index]  # checked above

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            most = self._settings.at_once
            raise ApiError(
                503, "busy", f"{most} queries are being answered", "ask again soon, or raise query.at_once"
            ) from None
        try:
            yield
        finally:
            self._places.release()

    async def _answer(self, request: Request, wish: Wish, form: str, rows: int, mode: Mode) -> bytes:
        """The body. The work is done in a thread; here it is only looked whether somebody still waits for it."""
        worker = Worker("query")
        try:
            question = await worker.call(lambda: _question(wish, rows, self._settings))
            working = asyncio.ensure_future(worker.call(lambda: _rendered(self._asked(question), form, mode)))
            self._running.add(question)
            try:
                while not (await asyncio.wait({working}, timeout=LOOK_SECONDS))[0]:
                    if await request.is_disconnected():
                        question.stop("nobody waits for it any more")
                return working.result()
            finally:
                if not working.done():
                    question.stop("nobody waits for it any more")
                    working.cancel()
                self._running.discard(question)
        except TapelineError as e:
            raise _as_api_error(e) from None
        finally:
            worker.stop()

    def _asked(self, question: "Question") -> "Answer":
        from tapeline.lake.lake import Lake

        if self._data is None:
            raise UsageError("nothing is kept here: run with a data directory")
        return Lake(self._data).ask(question)


async def _wish(request: Request) -> Wish:
    """What is asked: the parameters of a GET, the JSON of a POST. Raises ApiError."""
    if request.method == "GET":
        given = request.query_params
        asked.only(given, ("sql", "format", "limit"))
        limit = None if given.get("limit") is None else asked.whole("limit", given["limit"], 1, asked.MAX_TIME)
        wish = Wish(asked.one("sql", given.get("sql")), {}, given.get("format"), limit)
    else:
        wish = await _posted(request)
    if len(wish.sql) > MAX_SQL:
        raise ApiError(413, "too_large", f"a query of {len(wish.sql)} characters", f"at most {MAX_SQL}")
    return wish


async def _posted(request: Request) -> Wish:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ApiError(415, "not_json", "the body is not marked as JSON", "send Content-Type: application/json")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > 2 * MAX_SQL:
            raise ApiError(413, "too_large", f"a body of more than {2 * MAX_SQL} bytes", "send less")
    try:
        return msgspec.json.decode(body, type=Wish)
    except msgspec.ValidationError as e:
        raise ApiError(400, "bad_parameter", str(e), 'send {"sql": "select …", "params": {…}, "format": "json"}') from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ApiError(400, "bad_json", str(e), 'send {"sql": "select …"}') from None


def _question(wish: Wish, rows: int, s: QuerySettings) -> "Question":
    """In the thread, for the first one imports DuckDB. Raises QueryError."""
    from tapeline.lake.sql import Limits, Question

    limits = Limits(rows=rows, bytes=s.answer_mb << 20, seconds=s.seconds, memory_mb=s.memory_mb, threads=s.threads)
    return Question(wish.sql, wish.params, limits)


def _as_api_error(error: TapelineError) -> ApiError:
    """The lake's errors in the API's words."""
    from tapeline.lake.sql import QueryError, QueryStopped, QueryTooBig

    text = str(error)
    if isinstance(error, QueryError):
        return ApiError(400, "bad_query", text, HINT)
    if isinstance(error, QueryTooBig):
        return ApiError(400, "query_too_big", text, "narrow it by instrument and ts_event, or raise query.memory_mb")
    if isinstance(error, QueryStopped):
        return ApiError(408, "query_stopped", text, "narrow it by instrument and ts_event, or raise query.seconds")
    if isinstance(error, UsageError):
        return ApiError(404, "no_lake", text, "the sink `lake` writes one")
    return ApiError(503, "lake_broken", text)


def _rendered(answer: "Answer", form: str, mode: Mode) -> bytes:
    from tapeline.lake import formats

    table = answer.table
    head: dict[str, Any] = {"mode": mode, "truncated": answer.truncated, "up_to": answer.reach}
    if form in formats.BINARY:
        about = {f"tapeline.{name}": "" if value is None else str(value).lower() for name, value in head.items()}
        table = table.replace_schema_metadata({**about, "tapeline.time_unit": "ns"})
        return b"".join(formats.pieces(table, form))  # type: ignore[arg-type]  # one of them
    table = formats.micros(table)
    if form == "csv":
        return b"".join(formats.pieces(table, "csv"))
    head["up_to"] = None if answer.reach is None else answer.reach // MICRO
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    start = formats.encode({**head, "columns": columns}).removesuffix(b"}")
    return start + b',"rows":' + b"".join(formats.pieces(table, "json")).rstrip() + b"}"
