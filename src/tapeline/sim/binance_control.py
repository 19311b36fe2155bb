"""Binance's control messages, the same on spot and futures: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_ and GET_PROPERTY.

Source: binance-spot-api-docs, web-socket-streams.md. Answers are never wrapped in the combined envelope. An unknown stream is
acknowledged like any other and stays silent. Error texts are the documented ones; `wrapped` chooses the newer form
`{"error": {"code", "msg"}, "id"}` that some servers send. Which error a subscription beyond the stream limit gets is documented
nowhere: here it is "too many parameters", and nothing of the request is obeyed.
"""

from typing import Any

import msgspec

from tapeline.sim.hub import Conn, Hub
from tapeline.sim.wire import Wire

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_EXPECTED = ", ".join(f"`{m}`" for m in METHODS)


class ControlError(Exception):
    def __init__(self, code: int, msg: str, request_id: Any = None) -> None:
        self.code, self.msg, self.id = code, msg, request_id
        super().__init__(msg)

    def answer(self, *, wrapped: bool) -> bytes:
        error: dict[str, Any] = {"code": self.code, "msg": self.msg}
        if wrapped:
            return msgspec.json.encode({"error": error, "id": self.id})
        return msgspec.json.encode({**error, "id": self.id} if self.id is not None else error)


def _read(data: bytes) -> dict[str, Any]:
    try:
        request = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ControlError(3, "Invalid JSON: expected value at line 1 column 1") from None
    end = f"at line 1 column {len(data)}"
    if not isinstance(request, dict):
        raise ControlError(2, f"Invalid request: invalid type: {type(request).__name__}, expected struct Request {end}")
    if "method" not in request:
        raise ControlError(2, f"Invalid request: missing field `method` {end}")
    if request["method"] not in METHODS:
        column = data.find(b'"', data.find(b'"method"') + 9) + len(str(request["method"])) + 2
        raise ControlError(
            2, f"Invalid request: unknown variant {request['method']}, expected one of {_EXPECTED} at line 1 column {column}"
        )
    request_id = request.get("id")
    if not _valid_id(request_id):
        raise ControlError(2, "Invalid request: request ID must be an unsigned integer")
    return request


def _valid_id(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 36 and value.isascii() and value.replace("-", "").replace("_", "").isalnum()
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63)


def answer(hub: Hub, wire: Wire, conn: Conn, data: bytes, *, wrapped: bool = False) -> bytes:
    """Obey one control message; the bytes to send back."""
    try:
        request = _read(data)
        result = _obey(hub, wire, conn, request)
    except ControlError as error:
        return error.answer(wrapped=wrapped)
    return msgspec.json.encode({"result": result, "id": request.get("id")})


def _obey(hub: Hub, wire: Wire, conn: Conn, request: dict[str, Any]) -> Any:
    method, params, request_id = request["method"], request.get("params", []), request.get("id")
    match method:
        case "LIST_SUBSCRIPTIONS":
            return list(conn.streams)
        case "SET_PROPERTY" | "GET_PROPERTY":
            return _property(conn, method, params, request_id)
    if not isinstance(params, list) or not all(isinstance(p, str) for p in params):
        raise ControlError(2, "Invalid request: invalid type: expected a sequence of strings", request_id)
    if method == "UNSUBSCRIBE":
        for name in params:
            hub.unsubscribe(conn, name)
        return None
    if len({*conn.streams, *params}) > wire.max_streams:
        raise ControlError(2, "Invalid request: too many parameters", request_id)
    for name in params:
        hub.subscribe(conn, name, served=wire.serves(name, conn.path))
    return None


def _property(conn: Conn, method: str, params: Any, request_id: Any) -> Any:
    most = 2 if method == "SET_PROPERTY" else 1
    if not isinstance(params, list) or not params or not isinstance(params[0], str):
        raise ControlError(2, "Invalid request: property name must be a string", request_id)
    if len(params) > most:
        raise ControlError(2, "Invalid request: too many parameters", request_id)
    if params[0] != "combined":
        raise ControlError(0, "Unknown property", request_id)
    if method == "GET_PROPERTY":
        return conn.combined
    if len(params) < 2 or not isinstance(params[1], bool):
        raise ControlError(1, "Invalid value type: expected Boolean", request_id)
    conn.combined = params[1]
    return None
