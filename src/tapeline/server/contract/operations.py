"""What the API can do, said once: an `Operation` stands beside its handler, and the route is made of it.

    TRADES = Operation(
        "GET", "/api/v1/trades", "Trades of an instrument, oldest first",
        parameters=(INSTRUMENT, limit(200, MAX_TRADES), FROM, TO, FORMAT),
        answer={"trades": many(row_of(Trade)), "more": bool},
        errors=KNOWN,
    )
    ...
    Described(self.trades, TRADES)            # several operations where a path has several methods

`Described` refuses a parameter that the operation does not name (a typing error must not pass for a default) and one that is said
twice and may not be: the handler reads values, never names. `openapi.py` makes the document of the same words, and a test
demands that every route of the application is one of these. Errors that any request may meet (a wrong host, no token, too many
requests) are not repeated here: `EVERYWHERE` has them.

Types are Python's, described by msgspec; what is answered as a plain dict has its shape in `server/contract/shapes.py`.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from tapeline.events import Bar, Event, Flag, fields
from tapeline.server import asked
from tapeline.server.asked import ApiError
from tapeline.server.contract.codes import CODES

Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
Kind = Literal["string", "integer", "number", "boolean", "moment", "interval"]
"""`moment`: whole microseconds since 1970, or an ISO 8601 time. `interval`: a kind of bars that is made here."""
Handler = Callable[[Request], Awaitable[Response]]
API = "/api/v1/"
SCOPE = "tapeline.access"
"""Where a request's scope says what its client may: `full` or `embed`."""
LONGEST, MOST_REPEATED = 256, 200


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """`least` and `most` bound a number, `above` is a bound that is not itself allowed; `longest` and
    `pattern` (for the document; the handler has the last word) bound a text.
    """

    name: str
    text: str = ""
    kind: Kind = "string"
    where: Literal["query", "path"] = "query"
    required: bool = False
    repeated: bool = False
    choices: tuple[str, ...] = ()
    default: str | int | float | bool | None = None
    least: float | None = None
    above: float | None = None
    most: float | None = None
    longest: int | None = None  # else LONGEST
    pattern: str = ""
    example: str | int | float | None = None


class Operation(msgspec.Struct, frozen=True):
    """One method of one path.

    `answer`: what stands in a JSON answer beside `mode`: a name and the type of each; a name that ends in `?` may be missing.
    `media`: the answer's type where it is no JSON. `body`: a struct. `status`: of the answer; `others`: further statuses with the
    same body (`readyz` says 503 with its reason). `errors`: its own codes, of `server/contract/codes.py`.
    `embeds`: whether an embed's token opens it: data that a panel shows, and nothing that changes or costs much. `listed`: whether
    it stands in the OpenAPI document.
    """

    method: Method
    path: str
    summary: str
    text: str = ""
    tag: str = "data"
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    answer: Mapping[str, Any] | None = None
    media: str = "application/json"
    status: int = 200
    others: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()
    embeds: bool = False
    listed: bool = True

    @property
    def strict(self) -> bool:
        """Whether an unknown parameter is refused; probes and scrapers of other makers add their own."""
        return self.path.startswith(API)

    @property
    def formats(self) -> bool:
        return FORMAT in self.parameters

    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters if p.where == "query")

    def codes(self) -> tuple[str, ...]:
        """All error codes of this operation, without those of `EVERYWHERE`."""
        own = [*self.errors]
        if self.strict:
            own.append("unknown_parameter")
        if self.names():
            own.append("bad_parameter")
        if any(p.required and p.where == "query" for p in self.parameters):
            own.append("missing_parameter")
        if self.body is not None:
            own += ["bad_parameter", "bad_json", "not_json", "too_large"]
        return tuple(dict.fromkeys(own))


class Described(Route):
    """A route of one path, made of the operations that it answers."""

    def __init__(self, handler: Handler, *operations: Operation) -> None:
        (path,) = {one.path for one in operations}
        self.operations = operations
        by_method = {one.method: one for one in operations}
        unknown = {code for one in operations for code in one.errors if code not in CODES}
        if unknown:
            raise ValueError(f"{path}: {', '.join(sorted(unknown))} stands not in server/contract/codes.py")

        async def checked(request: Request) -> Response:
            check(request, by_method["GET" if request.method == "HEAD" else request.method])  # type: ignore[index]  # one of them
            return await handler(request)

        super().__init__(path, checked, methods=[one.method for one in operations])

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Another method is ours to refuse (405): what comes behind, as the page's files at `/`, knows less of this path."""
        match, more = super().matches(scope)
        return (Match.NONE if match is Match.NONE else Match.FULL), more


def check(request: Request, operation: Operation) -> None:
    """Raises ApiError on a parameter that means nothing here, is said too often, or is too long."""
    if request.scope.get(SCOPE) == "embed" and not operation.embeds:
        raise embed_refused()
    if operation.strict:
        asked.only(request.query_params, operation.names())
    for parameter in operation.parameters:
        said = request.query_params.getlist(parameter.name)
        if len(said) > (most := MOST_REPEATED if parameter.repeated else 1):
            raise ApiError(400, "bad_parameter", f"{parameter.name} is said {len(said)} times", f"at most {most}")
        if any(len(value) > (longest := parameter.longest or LONGEST) for value in said):
            raise ApiError(400, "bad_parameter", f"{parameter.name} is too long", f"at most {longest} characters")


def embed_refused() -> ApiError:
    return ApiError(403, "embed_refused", "an embed's token does not open this", "use the server's own token")


# Parameters that many share

INSTRUMENT = Parameter(name="instrument", text="As in `binance:BTC-USDT`.", required=True)
INSTRUMENTS = Parameter(name="instrument", text="As in `binance:BTC-USDT`; repeatable; all by default.", repeated=True)
FROM = Parameter(name="from", text="The first time that is wanted.", kind="moment")
TO = Parameter(name="to", text="The first time that is not wanted any more.", kind="moment")
FORMAT = Parameter(name="format", text="How a table is written.", choices=("json", "csv", "arrow", "parquet"), default="json")
KNOWN = ("unknown_instrument", "not_streaming")
"""Errors of whoever asks for an instrument by name."""


def limit(default: int, most: int, name: str = "limit", text: str = "Most rows; the oldest are cut.") -> Parameter:
    return Parameter(name=name, text=text, kind="integer", default=default, least=1, most=most)


# Types of answers


def many(kind: Any) -> Any:
    """A list of `kind`, which may be made at run time."""
    return list.__class_getitem__(kind)


def one_of(*values: str) -> Any:
    return Literal.__getitem__(values)


def or_null(kind: Any) -> Any:
    return kind | None


def shape(name: str, **members: Any) -> Any:
    """A struct of these members, each of them there."""
    return msgspec.defstruct(name, list(members.items()))


@cache
def row_of(event: type[Event]) -> Any:
    """An event as the API shows it (`server.views.event_row`): flags by name, times in microseconds."""
    flags = many(one_of(*(str(f.name) for f in Flag)))
    members: dict[str, Any] = {"type": one_of(str(event.__struct_config__.tag))}
    members |= {name: flags if name == "flags" else kind for name, kind in fields(event).items()}
    if event is Bar:
        members |= {"closed": bool, "nano": int}
    return shape(event.__name__, **members)
