"""What is streamed, and changing it: GET, POST and DELETE of `/api/v1/subscriptions`, the only route here that changes anything.

The guard has refused foreign hosts and origins before a request comes here, and browsers name their origin with every POST and
DELETE. A POST must call itself JSON besides, which no form of another page can. Bodies and names are bounded.

Each name succeeds or fails by itself. Where all failed the answer is an error; else it says what was `done` and what `failed`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tapeline.engine.source import Control, Source
from tapeline.engine.subscriptions import Changed
from tapeline.errors import ConfigError, TapelineError, VenueError
from tapeline.plans import Channel
from tapeline.server import asked, bodies
from tapeline.server.asked import ApiError
from tapeline.server.contract.operations import Described, Operation, Parameter, many
from tapeline.server.contract.shapes import Failed, SubscriptionRow
from tapeline.server.views import MEDIA, encode

MAX_NAMES = 200


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST. `channels` None: those of the settings. What the document says besides is looked at below, where it can be
    said with the right names.
    """

    instruments: Annotated[tuple[str, ...], msgspec.Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_NAMES})]
    channels: tuple[Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(get_args(Channel))})], ...] | None = None


SUBSCRIPTIONS: dict[str, Any] = {"subscriptions": many(SubscriptionRow)}
CHANGED: dict[str, Any] = {"done": list[str], "failed": many(Failed), **SUBSCRIPTIONS}
REFUSED = ("not_live", "not_configured", "cannot_subscribe", "venue_error")
LIST = Operation(
    "GET", "/api/v1/subscriptions", "What is streamed", tag="control", answer=SUBSCRIPTIONS, errors=("not_live",)
)  # fmt: skip
ADD = Operation(
    "POST", "/api/v1/subscriptions", "Stream more", tag="control", body=Wish, answer=CHANGED,
    errors=("missing_parameter", *REFUSED),
)  # fmt: skip
REMOVE = Operation(
    "DELETE", "/api/v1/subscriptions", "Stream less", tag="control", answer=CHANGED, errors=REFUSED,
    parameters=(
        Parameter(name="instrument", text="Either name will do; repeatable.", required=True, repeated=True),
        Parameter(name="channel", text="All by default; repeatable.", choices=get_args(Channel), repeated=True),
    ),
)  # fmt: skip


class Subscriptions:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._on: dict[str, Callable[[Request, Control], Awaitable[Response]]] = {
            "GET": self._list,
            "HEAD": self._list,
            "POST": self._add,
            "DELETE": self._remove,
        }

    def routes(self) -> list[Described]:
        return [Described(self.handle, LIST, ADD, REMOVE)]

    async def handle(self, request: Request) -> Response:
        control = self._source.control
        if control is None:
            raise ApiError(409, "not_live", "a recording is played: it has no subscriptions", "start `tapeline run`")
        return await self._on[request.method](request, control)

    async def _list(self, _: Request, control: Control) -> Response:
        return self._answer(control, {})

    async def _add(self, request: Request, control: Control) -> Response:
        wish = await _wish(request)
        channels = None if wish.channels is None else tuple(map(_channel, wish.channels))
        return self._told(control, await control.subscribe(wish.instruments, channels))

    async def _remove(self, request: Request, control: Control) -> Response:
        given = request.query_params
        names = given.getlist("instrument")
        _bounded(names)
        channels = [_channel(name) for name in given.getlist("channel")]
        return self._told(control, await control.unsubscribe(names, channels or None))

    def _told(self, control: Control, changed: Changed) -> Response:
        if not changed.done:
            try:
                changed.check()
            except TapelineError as e:
                raise _error(e) from None
        failed = [{"instrument": name, **_error(e).body()} for name, e in changed.failed.items()]
        return self._answer(control, {"done": changed.done, "failed": failed})

    def _answer(self, control: Control, more: dict[str, Any]) -> Response:
        body = {"mode": self._source.mode, **more, "subscriptions": control.subscriptions()}
        return Response(encode(body), 200, {"cache-control": "no-store"}, MEDIA["json"])


async def _wish(request: Request) -> Wish:
    example = '{"instruments": ["binance:ETH-USDT"], "channels": ["trades"]}'
    wish = await bodies.read(request, Wish, example, f"name at most {MAX_NAMES} instruments a call")
    _bounded(wish.instruments)
    return wish


def _bounded(names: tuple[str, ...] | list[str]) -> None:
    if not names:
        raise ApiError(400, "missing_parameter", "no instrument is named", "name some, as in binance:ETH-USDT")
    if len(names) > MAX_NAMES:
        raise ApiError(400, "bad_parameter", f"{len(names)} instruments", f"at most {MAX_NAMES} a call")


def _channel(name: str) -> Channel:
    known: tuple[Channel, ...] = get_args(Channel)
    for channel in known:
        if channel == name:
            return channel
    raise asked.bad("channel", name, f"one of {', '.join(known)}")


def _error(error: TapelineError) -> ApiError:
    if isinstance(error, VenueError):
        return ApiError(502, "venue_error", str(error), "see `last_error` in /api/v1/status, or try again later")
    if isinstance(error, ConfigError):
        return ApiError(409, "not_configured", str(error), "set it and start again")
    return ApiError(404, "cannot_subscribe", str(error), "`tapeline instruments` searches the venues")
