"""Bodies of requests that change something: JSON that says it is JSON (no form of another page can), bounded, read strictly."""

from typing import TypeVar

import msgspec
from starlette.requests import Request

from tapeline.server.asked import ApiError

MAX_BODY = 64 * 1024
T = TypeVar("T")


async def read(request: Request, kind: type[T], example: str, bounds: str) -> T:
    """Raises ApiError. `example` is a right body, `bounds` how to keep below the size."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise ApiError(415, "not_json", f"a body of type {given[:80] or 'none'!r}", "send Content-Type: application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise ApiError(413, "too_large", f"a body of over {MAX_BODY} bytes", bounds)
    try:
        return msgspec.json.decode(bytes(body), type=kind)
    except msgspec.ValidationError as e:
        raise ApiError(400, "bad_parameter", str(e), example) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise ApiError(400, "bad_json", str(e), "send one JSON object") from None
