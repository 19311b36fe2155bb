"""Alerts over HTTP: the history and the rules to read, and rules to add, remove, mute and try out.

Changes are guarded as those of subscriptions are: foreign hosts and origins come no further than the guard, a body must call itself
JSON, and is bounded. Rules name targets; addresses can neither be set nor read here. A rule that is wrong is answered with the place
and the fix, by `check` as data for an editor, where one is added as an error.

A recording has the alerts that are on its tape, and no rules.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from tapeline.alerts.engine import shown
from tapeline.alerts.lines import lines_of
from tapeline.alerts.names import name_of
from tapeline.alerts.room import Room, Wanted
from tapeline.alerts.streamed import is_streamed
from tapeline.clock import MICRO
from tapeline.config import RuleSettings
from tapeline.engine.source import Source
from tapeline.errors import ConfigError, UsageError
from tapeline.server import asked, bodies
from tapeline.server.asked import MAX_TIME, ApiError
from tapeline.server.contract.operations import FROM, TO, Described, Operation, Parameter, limit, many
from tapeline.server.contract.shapes import AlertRow, RuleFault, RuleRow, TargetRow
from tapeline.server.memory.history import History
from tapeline.server.views import MEDIA, Row, encode, event_row

MAX_ALERTS = 1000
MAX_RULES = 1000
SEVERITIES = ("info", "warning", "critical")
EXAMPLE = '{"name": "btc-high", "rule": "binance:BTC-USDT mid crosses above 100000"}'
BOUNDS = "a rule is at most some thousand characters"
_TIMES = ("since", "ended")


class NewRule(RuleSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of a POST. `name` empty: one is made of the rule."""

    name: str = ""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a PATCH: `muted`, or the `settings` that a rule that was added shall have instead of all of its own, or both."""

    name: str
    muted: bool | None = None
    settings: RuleSettings | None = None


ALERTS = Operation(
    "GET", "/api/v1/alerts", "What was raised, newest first", tag="alerts",
    parameters=(
        Parameter(name="rule", text="Of this rule alone."),
        Parameter(name="instrument", text="Of this instrument alone."),
        Parameter(name="severity", text="Repeatable.", choices=SEVERITIES, repeated=True),
        limit(100, MAX_ALERTS), FROM, TO,
    ),
    answer={"alerts": many(AlertRow), "more": bool}, errors=("store_broken",),
)  # fmt: skip
_SHOWN: dict[str, Any] = {"rules": many(RuleRow), "targets": many(TargetRow)}
_CHANGED: dict[str, Any] = {"name": str, **_SHOWN}
_PATH = "/api/v1/alerts/rules"
_NAME = Parameter(name="name", text="The rule's name.", required=True)
RULES = Operation(
    "GET", _PATH, "The rules that are watched, and the targets", tag="alerts", answer=_SHOWN, errors=("no_alerts", "store_broken")
)  # fmt: skip
ADD = Operation(
    "POST", _PATH, "Add a rule", tag="alerts", body=NewRule, answer=_CHANGED,
    errors=("no_alerts", "bad_rule", "unknown_target", "too_many_rules", "store_broken"),
)  # fmt: skip
CHANGE = Operation(
    "PATCH", _PATH, "Mute a rule, hear it again, or change one that was added", tag="alerts", body=Change, answer=_CHANGED,
    errors=("no_alerts", "no_such_rule", "bad_rule", "unknown_target", "store_broken"),
)  # fmt: skip
REMOVE = Operation(
    "DELETE", _PATH, "Remove a rule that was added", tag="alerts", parameters=(_NAME,), answer=_CHANGED,
    errors=("no_alerts", "no_such_rule", "store_broken"),
)  # fmt: skip
CHECK = Operation(
    "POST", "/api/v1/alerts/check", "Whether a rule is right, and where it is not", tag="alerts", body=NewRule,
    answer={"ok": bool, "error": RuleFault | None}, errors=("no_alerts", "store_broken"),
)  # fmt: skip


class Alerts:
    """`room` None: there are no rules, as in a recording."""

    def __init__(self, source: Source, history: History, room: Room | None) -> None:
        self._source, self._history, self._room = source, history, room

    def routes(self) -> list[Described]:
        rules = {"GET": self._rules, "HEAD": self._rules, "POST": self._add, "DELETE": self._remove, "PATCH": self._change}

        async def on_rules(request: Request) -> Response:
            return await rules[request.method](request)

        return [
            Described(self._told(self._list), ALERTS),
            Described(self._told(on_rules), RULES, ADD, CHANGE, REMOVE),
            Described(self._told(self._check), CHECK),
        ]

    def _told(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except sqlite3.Error as e:
                raise ApiError(503, "store_broken", f"the alerts' file: {e}", "is the disk full?") from None

        return told

    def _json(self, row: Row) -> Response:
        return Response(encode({"mode": self._source.mode, **row}), 200, {"cache-control": "no-store"}, MEDIA["json"])

    @property
    def room(self) -> Room:
        if self._room is None:
            raise ApiError(409, "no_alerts", "no rules are watched here", "start `tapeline run` with alerts.on = true")
        return self._room

    # The history

    async def _list(self, request: Request) -> Response:
        given = request.query_params
        limit = asked.whole("limit", given.get("limit"), 100, MAX_ALERTS)
        severities = given.getlist("severity")
        for severity in severities:
            asked.choice("severity", severity, SEVERITIES)
        filters: dict[str, Any] = {
            "start": asked.moment("from", given.get("from"), 0),
            "end": asked.moment("to", given.get("to"), MAX_TIME),
            "rule": given.get("rule", ""),
            "instrument": given.get("instrument", ""),
            "severities": severities,
        }
        found = await self._found(filters, limit + 1)
        return self._json({"alerts": [_row(x) for x in found[:limit]], "more": len(found) > limit})

    async def _found(self, filters: dict[str, Any], limit: int) -> list[Row]:
        if self._room is not None:
            return await self._room.keeper.call(lambda store: store.history(**filters, limit=limit))
        told = [
            a
            for a in reversed(self._history.alerts.items)
            if filters["start"] <= a.ts_event < filters["end"]
            and filters["rule"] in ("", a.rule)
            and filters["instrument"] in ("", a.instrument)
            and (not filters["severities"] or a.severity in filters["severities"])
        ]
        return [{"event": alert, "deliveries": []} for alert in told[:limit]]

    # The rules

    async def _rules(self, _: Request) -> Response:
        return self._shown()

    def _shown(self, **more: Any) -> Response:
        status = self.room.status()
        streamed = self._streamed()
        rules = [_micro(row) | {"lines": self._lines(row), "state": _state(row, streamed)} for row in self.room.rules()]
        return self._json({**more, "rules": rules, "targets": status["targets"]})

    def _streamed(self) -> set[str]:
        """Under either name, with those whose venue has not answered yet; empty while nothing is known."""
        control = self._source.control
        wanted = [] if control is None else control.subscriptions()
        return {i.id for i in self._source.instruments()} | {row[key] for row in wanted for key in ("instrument", "name")}

    def _lines(self, row: Row) -> list[Row]:
        """The constant prices that a rule compares, of instruments by the names that they bear here."""
        simulated = self._source.mode == "simulated"
        lines = [msgspec.to_builtins(line) for line in lines_of(row["rule"], row["until"])]
        return [{**x, "instrument": shown(x["instrument"])} if simulated and ":" in x["instrument"] else x for x in lines]

    async def _add(self, request: Request) -> Response:
        room = self.room
        new = await bodies.read(request, NewRule, EXAMPLE, BOUNDS)
        rules = room.rules()
        if len(rules) >= MAX_RULES:
            raise ApiError(409, "too_many_rules", f"there are {len(rules)} rules", "remove some")
        name, settings = new.name or name_of(new.rule, {row["name"] for row in rules}), _settings(new)
        await self._kept(room.add(name, settings))
        return self._shown(name=name)

    async def _remove(self, request: Request) -> Response:
        name = asked.one("name", request.query_params.get("name"))
        await self._on_rule(self.room.remove(name))
        return self._shown(name=name)

    async def _change(self, request: Request) -> Response:
        room = self.room
        change = await bodies.read(request, Change, '{"name": "btc-high", "muted": true}', BOUNDS)
        if change.name not in {row["name"] for row in room.rules()}:
            raise ApiError(404, "no_such_rule", f"there is no rule {change.name[:80]}", "GET /api/v1/alerts/rules names them")
        if change.settings is not None:
            await self._kept(room.change(change.name, change.settings))
        if change.muted is not None:
            await self._on_rule(room.mute(change.name, on=change.muted))
        return self._shown(name=change.name)

    async def _kept(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except ConfigError as e:
            raise ApiError(400, "unknown_target", e.fix, "GET /api/v1/alerts/rules names the targets") from None
        except UsageError as e:
            raise ApiError(
                400, "bad_rule", str(e), "docs/alerts.md; POST /api/v1/alerts/check gives the place as numbers"
            ) from None

    async def _on_rule(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except UsageError as e:
            raise ApiError(404, "no_such_rule", str(e), "GET /api/v1/alerts/rules names them") from None

    async def _check(self, request: Request) -> Response:
        """200 in either case: a rule that is being written is wrong most of the time."""
        room = self.room
        new = await bodies.read(request, NewRule, EXAMPLE, BOUNDS)
        try:
            room.check(Wanted(new.name or "new", _settings(new), "added"))
        except UsageError as e:
            return self._json({"ok": False, "error": _place(e, new)})
        return self._json({"ok": True, "error": None})


def _settings(new: NewRule) -> RuleSettings:
    return RuleSettings(**{name: getattr(new, name) for name in RuleSettings.__struct_fields__})


def _place(error: UsageError, new: NewRule) -> Row:
    """Where the mistake is: `option` names the text it stands in, `line` and `column` count from 1; None where there is no place."""
    source = getattr(error, "source", None)
    option = next((n for n in RuleSettings.__struct_fields__ if source and getattr(new, n) == source), "rule")
    at = {name: getattr(error, name, None) for name in ("line", "column", "length")}
    return {"message": getattr(error, "problem", str(error)), "hint": getattr(error, "hint", ""), "option": option, **at}


def _state(row: Row, streamed: set[str]) -> str:
    """The watch's word, but of a rule that can never be raised, because nobody streams what it is of."""
    waits = row["state"] in ("waiting", "armed") and streamed
    return "not_streamed" if waits and not is_streamed(row["rule"], row["until"], streamed) else str(row["state"])


def _row(found: Row) -> Row:
    return event_row(found["event"]) | {"deliveries": [_micro(d) for d in found["deliveries"]]}


def _micro(row: Row) -> Row:
    return {k: v // MICRO if k in _TIMES and isinstance(v, int) else v for k, v in row.items()}
