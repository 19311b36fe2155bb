"""`/api/v1/openapi.json`: the OpenAPI 3.1 document, made of the operations of the routes themselves.

What OpenAPI has no words for, the WebSocket, stands in the text of a tag and under `x-websocket`. Every answer carries `mode`, every
error has one form; an operation names only what is its own. The document is made when it is first asked for, and again where what it
says besides has changed.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from tapeline import __version__
from tapeline.config import INTERVALS
from tapeline.engine.source import Mode
from tapeline.server.access.gate import OPEN, Gate
from tapeline.server.asked import MAX_TIME, Names
from tapeline.server.contract.codes import CODES, EVERYWHERE
from tapeline.server.contract.operations import LONGEST, Described, Operation, Parameter
from tapeline.server.views import MEDIA, Format, encode

REF = "#/components/schemas/{name}"
Schema = dict[str, Any]
SOCKET = "/api/v1/ws"
ABOUT = """Live market data: every message kept, every book proved, every gap reported.

Times are integer microseconds UTC; what is not known is null. Instruments are named as in `binance:BTC-USDT`."""
TAGS = {
    "data": "What the markets said, and what was made of it.",
    "control": "What is streamed, and changing it.",
    "alerts": "Rules, and what they raised.",
    "replay": "Recordings, and playing them.",
    "charts": "For other charting front ends.",
    "server": "The server itself.",
    "socket": f"""`{SOCKET}` is a WebSocket, which OpenAPI cannot describe. Say
`{{"method": "subscribe", "params": {{"channel": "trades", "instruments": ["binance:BTC-USDT"]}}, "id": 1}}`
and a snapshot and updates follow; docs/api.md tells the channels, their messages and the bounds.""",
}
MOMENT: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": MAX_TIME // 1000},
        {"type": "string", "format": "date-time"},
    ]
}
CONTENTS: dict[Format, Schema] = {
    "json": {},
    "csv": {"type": "string"},
    "arrow": {"type": "string", "format": "binary"},
    "parquet": {"type": "string", "format": "binary"},
}

OPENAPI = Operation(
    "GET",
    "/api/v1/openapi.json",
    "This document",
    tag="server",
    media="application/vnd.oai.openapi+json;version=3.1",
)


def operations(routes: Iterable[BaseRoute]) -> Iterator[Operation]:
    for route in routes:
        if isinstance(route, Described):
            yield from (one for one in route.operations if one.listed)


class Surroundings(msgspec.Struct, frozen=True):
    """What the document says besides: `root`, the path under which the application is mounted; `shut`, whether a token is demanded;
    `kinds` of bars that are made here.
    """

    root: str = ""
    shut: bool = False
    kinds: tuple[str, ...] = tuple(INTERVALS)


def document(routes: Iterable[BaseRoute], around: Surroundings = Surroundings()) -> Schema:  # noqa: B008  frozen
    found = list(operations(routes))
    schemas, components = _schemas(found)
    paths: dict[str, Schema] = {}
    for one in found:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, schemas, around)
    used = {one.tag for one in found} | {"socket"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tapeline",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": around.root or "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "security": [{"token": []}] if around.shut else [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _error()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "x-websocket": {SOCKET: {"description": TAGS["socket"]}},
    }


def _schemas(found: list[Operation]) -> tuple[dict[int, Schema], dict[str, Schema]]:
    """The schema of each type that an operation names, by its id, and the components that these refer to."""
    kinds = [kind for one in found for kind in (*(one.answer or {}).values(), *([one.body] if one.body is not None else []))]
    shown, components = msgspec.json.schema_components(kinds, ref_template=REF)
    return dict(zip(map(id, kinds), shown, strict=True)), dict(sorted(components.items()))


def _operation(one: Operation, schemas: dict[int, Schema], around: Surroundings) -> Schema:
    made: Schema = {
        "operationId": _name(one),
        "summary": one.summary,
        "tags": [one.tag],
        "parameters": [_parameter(p, around) for p in one.parameters],
        "responses": _answers(one, schemas),
    }
    if one.text:
        made["description"] = one.text
    if one.path in OPEN:
        made["security"] = []
    if one.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[id(one.body)]}}}
    return made


def _name(one: Operation) -> str:
    path = one.path.removeprefix("/api/v1") if one.strict else f"/server{one.path}"
    return "_".join([one.method.lower(), *path.translate(str.maketrans("/.{}", "    ")).split()])


def _parameter(one: Parameter, around: Surroundings) -> Schema:
    schema = _value(one, around)
    if one.repeated:
        schema = {"type": "array", "items": schema}
    made: Schema = {"name": one.name, "in": one.where, "required": one.required or one.where == "path", "schema": schema}
    if one.text:
        made["description"] = one.text
    if one.example is not None:
        made["example"] = one.example
    return made


def _value(one: Parameter, around: Surroundings) -> Schema:
    if one.kind == "moment":
        return MOMENT
    if one.kind == "interval":
        return {"type": "string", "enum": list(around.kinds), "default": one.default}
    schema: Schema = {"type": one.kind}
    bounds = {
        "enum": list(one.choices) or None,
        "default": one.default,
        "minimum": one.least,
        "exclusiveMinimum": one.above,
        "maximum": one.most,
        "minLength": 1 if one.kind == "string" and one.required else None,
        "pattern": one.pattern or None,
        "maxLength": one.longest or (LONGEST if one.kind == "string" and not one.choices else None),
    }
    return schema | {name: bound for name, bound in bounds.items() if bound is not None}


def _answers(one: Operation, schemas: dict[int, Schema]) -> Schema:
    content = _content(one, schemas)
    made: Schema = {str(status): {"description": one.summary, "content": content} for status in (one.status, *one.others)}
    by_status: dict[int, list[str]] = {}
    for code in (*one.codes(), *EVERYWHERE):
        by_status.setdefault(CODES[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        narrow = {"properties": {"error": {"properties": {"code": {"enum": sorted(codes)}}}}}
        schema = {"allOf": [{"$ref": REF.format(name="Error")}, narrow]}
        told = {"description": ", ".join(codes), "content": {MEDIA["json"]: {"schema": schema}}}
        made[str(status)] = _either(made[str(status)], told) if str(status) in made else told
    return made


def _either(answer: Schema, error: Schema) -> Schema:
    """A status that an answer and an error share."""
    content = dict(answer["content"])
    schemas = [part["content"][MEDIA["json"]]["schema"] for part in (answer, error) if MEDIA["json"] in part["content"]]
    content[MEDIA["json"]] = {"schema": {"anyOf": schemas} if len(schemas) > 1 else schemas[0]}
    return {"description": f"{answer['description']}; {error['description']}", "content": content}


def _content(one: Operation, schemas: dict[int, Schema]) -> Schema:
    if one.answer is None:
        return {one.media: {}} if one.media else {}
    members = {name.rstrip("?"): schemas[id(kind)] for name, kind in one.answer.items()}
    required = [name for name in one.answer if not name.endswith("?")]
    made: Schema = {MEDIA["json"]: {"schema": _envelope(members, required)}}
    if one.formats:
        made |= {MEDIA[form]: {"schema": schema} for form, schema in CONTENTS.items() if form != "json"}
    return made


def _envelope(members: Schema, required: list[str]) -> Schema:
    mode = {"enum": list(Mode.__args__)}  # type: ignore[attr-defined]  # a Literal has them
    return {"type": "object", "properties": {"mode": mode, **members}, "required": ["mode", *required]}


def _error() -> Schema:
    members = ("code", "message", "hint")
    error = {"type": "object", "properties": {name: {"type": "string"} for name in members}, "required": list(members)}
    return _envelope({"error": error | {"additionalProperties": False}}, ["error"])


class Document:
    """The route. `routes` are the application's own, this one among them, so it is asked for them late."""

    def __init__(self, gate: Gate, names: Names) -> None:
        self._gate, self._names = gate, names
        self._made: tuple[Surroundings, bytes] | None = None

    async def openapi(self, request: Request) -> Response:
        made_here = [*INTERVALS, *self._names.kinds()]
        kinds = (*made_here, *(f"heikin-ashi:{kind}" for kind in made_here))
        around = Surroundings(request.scope.get("root_path", ""), self._gate.lock.shut, kinds)
        if self._made is None or self._made[0] != around:  # 30 ms, of which the loop has none to spare for whoever asks again
            self._made = around, encode(document(request.app.routes, around))
        return Response(self._made[1], headers={"cache-control": "no-cache"}, media_type=OPENAPI.media)

    def route(self) -> Described:
        return Described(self.openapi, OPENAPI)
