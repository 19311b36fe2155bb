"""`/api/v1/query`: the lake asked in SQL, over the API, beside the feed.

What a question may cost is bounded on every side (settings `query`): threads, memory and time, rows and bytes of the answer, how
many at once. Whoever finds all places taken waits a little, then gets 503. A question whose asker hangs up is ended. A place is held
until the answer is sent, so that answers nobody reads do not pile up; `server/access/door.py` says how long that may take.

Questions are answered by processes of their own (`server/query/box.py`), never by this one. That the lake can only be read, and
nothing else of this machine, is the lake's own doing (`lake/sql.py`). A page of another site cannot read answers
(`server/access/guard.py`), but it could make a browser ask: what a browser marks as coming from another site is refused here.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tapeline.config import QuerySettings
from tapeline.engine.source import Mode
from tapeline.lake.bounds import MEGABYTE
from tapeline.server import asked
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import FORMAT, Described, Operation, Parameter
from tapeline.server.query import box
from tapeline.server.query.box import Box, Died, Pool, Unstarted
from tapeline.server.query.piped import Ask, Head, Sql, What
from tapeline.server.views import MEDIA

log = structlog.get_logger("tapeline.server")
MAX_SQL = 64 * 1024
WAIT_SECONDS = 3.0
PATIENCE = 5
"""Times that long a question of the server's own waits: a page that opens asks a dozen at once, and none shall come back empty."""
LOOK_SECONDS = 0.1
"""How often it is looked whether the asker is still there."""
PIECE = 256 * 1024
"""Bytes of an answer that are sent at a time."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST."""

    sql: str
    params: dict[str, str | int | float | bool | None] = {}
    format: Literal["json", "csv", "arrow", "parquet"] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Column(msgspec.Struct, frozen=True):
    name: str
    type: str


_ANSWER: dict[str, Any] = {"columns": list[Column], "rows": list[dict[str, Any]], "truncated": bool, "up_to": int | None}
_ERRORS = (
    "origin_refused",
    "bad_query",
    "query_too_big",
    "too_large",
    "no_lake",
    "query_stopped",
    "busy",
    "ending",
    "lake_broken",
)
ASK = Operation(
    "GET", "/api/v1/query", "The lake asked in SQL", answer=_ANSWER, errors=_ERRORS,
    parameters=(
        Parameter(name="sql", text="One reading statement; docs/lake.md tells the views.", required=True, longest=MAX_SQL),
        Parameter(
            name="limit", text="Most rows; by default what `query.rows` says.", kind="integer", least=1, most=QuerySettings().rows
        ),
        FORMAT,
    ),
)  # fmt: skip
POST = Operation("POST", "/api/v1/query", "The lake asked in SQL, with parameters", body=Wish, answer=_ANSWER, errors=_ERRORS)


class Queries:
    """The route, and what runs behind it. `data`: where the lake is; None where nothing is kept."""

    def __init__(self, data: Path | None, settings: QuerySettings) -> None:
        self.pool = Pool()
        self.data, self._settings = data, settings
        self._places = asyncio.Semaphore(settings.at_once)
        self._waiting: set[asyncio.Timeout] = set()
        self._ended = False

    def route(self, mode: Callable[[], Mode]) -> Described:
        async def query(request: Request) -> Response:
            return await self._query(request, mode())

        return Described(query, ASK, POST)

    async def stop(self) -> None:
        """End what is being asked, and tell those that wait: the server ends."""
        self._ended = True
        for wait in self._waiting:
            wait.reschedule(asyncio.get_running_loop().time())
        await self.pool.stop()

    async def _query(self, request: Request, mode: Mode) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise ApiError(403, "origin_refused", "pages of other sites may not ask", "open the page of this server")
        wish = await _wish(request)
        form = asked.choice("format", wish.format, MEDIA)
        rows = asked.whole("limit", wish.limit, self._settings.rows, self._settings.rows)
        ask = self._ask(Sql(sql=wish.sql, params=wish.params, form=form, mode=mode, rows=rows))
        await self._place(WAIT_SECONDS)
        try:
            _, body = await self._answer(request, ask)
        except BaseException:
            self._places.release()
            raise
        return _Sent(body, MEDIA[form], self._places.release)  # type: ignore[index]  # checked above

    async def rows(self, sql: str, params: dict[str, str | int | float | bool | None]) -> list[dict[str, Any]]:
        """For the server's own use: the rows of one statement. Raises ApiError, where all places are taken as well."""
        what = Sql(sql=sql, params=params, form="json", mode="replay", rows=self._settings.rows)
        _, body = await self.ask(None, what)
        found: list[dict[str, Any]] = msgspec.json.decode(body)["rows"]
        return found

    async def ask(self, request: Request | None, what: What) -> tuple[Head, bytes]:
        """The answer of a process to a question of our own. It is ended where who made the request hangs up. Raises ApiError."""
        ask = self._ask(what)
        await self._place(PATIENCE * WAIT_SECONDS)
        try:
            return await self._answer(request, ask)
        finally:
            self._places.release()

    async def _place(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds) as wait:
                self._waiting.add(wait)
                await self._places.acquire()
        except TimeoutError:
            self._check()
            most = self._settings.at_once
            raise ApiError(
                503, "busy", f"{most} queries are being answered", "ask again soon, or raise query.at_once"
            ) from None
        finally:
            self._waiting.discard(wait)

    def _check(self) -> None:
        if self._ended:
            raise ApiError(503, "ending", "the server ends", "ask again when it is back")

    def _ask(self, what: What) -> Ask:
        s = self._settings
        if self.data is None:
            raise ApiError(404, "no_lake", "nothing is kept here: run with a data directory", "the sink `lake` writes one")
        return Ask(
            data=str(self.data.absolute()),
            what=what,
            answer_bytes=s.answer_mb * MEGABYTE,
            seconds=s.seconds,
            memory_mb=s.memory_mb,
            threads=s.threads,
        )

    async def _answer(self, request: Request | None, ask: Ask) -> tuple[Head, bytes]:
        """The body. Raises ApiError."""
        self._check()
        taken = self.pool.take()
        try:
            await taken.start()
            head, body = await self._watched(request, taken, ask)
        except Died as e:
            self._check()
            raise box.why(e, ask.memory_mb) from None
        except Unstarted as e:
            self._check()
            log.warning("query_process_not_started", reason=str(e))
            raise ApiError(503, "busy", str(e), "ask again soon") from None
        finally:
            self.pool.give(taken)
        if head.trace:
            log.error("query_failed", trace=head.trace)
        if head.status != 200:
            raise ApiError(head.status, head.code, head.text, head.hint)
        return head, body

    async def _watched(self, request: Request | None, taken: Box, ask: Ask) -> tuple[Head, bytes]:
        """The answer of the process; it is ended where it takes too long, or nobody waits any more."""
        loop = asyncio.get_running_loop()
        late = loop.time() + ask.seconds + box.GRACE_SECONDS
        working = asyncio.ensure_future(taken.ask(ask))
        try:
            while not (await asyncio.wait({working}, timeout=LOOK_SECONDS))[0]:
                if request is not None and await request.is_disconnected():
                    raise _stopped("nobody waits for it any more")
                if loop.time() > late:
                    raise _stopped(f"it took longer than {ask.seconds:g} s")
            return working.result()
        finally:
            if not working.done():
                working.cancel()
                taken.kill()


class _Sent(Response):
    """A body that is sent as it is read; `over` is called when it has been, or nobody reads it any more."""

    def __init__(self, body: bytes, media: str, over: Callable[[], None]) -> None:
        super().__init__(body, headers={"cache-control": "no-store"}, media_type=media)
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  a response's shape
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            whole = memoryview(self.body)
            for at in range(0, len(whole), PIECE):
                await send({"type": "http.response.body", "body": bytes(whole[at : at + PIECE]), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._over()


def _stopped(text: str) -> ApiError:
    return ApiError(408, "query_stopped", text, "narrow it by instrument and ts_event, or raise query.seconds")


async def _wish(request: Request) -> Wish:
    """What is asked: the parameters of a GET, the JSON of a POST. Raises ApiError."""
    if request.method == "GET":
        given = request.query_params
        limit = None if given.get("limit") is None else asked.whole("limit", given["limit"], 1, asked.MAX_TIME)
        wish = Wish(asked.one("sql", given.get("sql")), {}, given.get("format"), limit)  # type: ignore[arg-type]  # looked at later
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
