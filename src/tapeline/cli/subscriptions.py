"""`tapeline subscriptions`, `subscribe` and `unsubscribe`: what a running Tapeline streams, asked and changed over its local API."""

import http.client
import socket
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.live import say
from tapeline.cli.options import Channels, Host
from tapeline.cli.output import columns, write, write_json
from tapeline.errors import ConfigError, TapelineError, Unreachable, UsageError, VenueError
from tapeline.server.access.access import VARIABLE, credentials
from tapeline.server.addresses import here

PATH = "/api/v1/subscriptions"
SECONDS = 60.0  # a new venue is given its time to answer
Names = Annotated[str, Parameter(help="As in binance:ETH-USDT; several.")]
Port = Annotated[int | None, Parameter(help="Port of the running Tapeline's page.", show_default=False)]


def subscriptions(*, port: Port = None, host: Host = None, json: context.Json = False) -> None:
    """What the running Tapeline streams: instruments and their channels."""
    answer = _ask("GET", "", None, port, host)
    _show(answer, as_json=json)


def subscribe(
    *instruments: Names, channels: Channels = None, port: Port = None, host: Host = None, json: context.Json = False
) -> int:
    """Stream further instruments, or further channels of some, on the Tapeline that runs. The next start goes on with them.

    Without --channels: those of the settings that it runs with.
    """
    wish: dict[str, Any] = {"instruments": _named(instruments)}
    if channels is not None:
        wish["channels"] = _split(channels)
    return _change(_ask("POST", "", wish, port, host), as_json=json)


def unsubscribe(
    *instruments: Names, channels: Channels = None, port: Port = None, host: Host = None, json: context.Json = False
) -> int:
    """Stream instruments, or only some of their channels, no more on the Tapeline that runs. What else it streams is not touched."""
    query = [("instrument", name) for name in _named(instruments)] + [("channel", c) for c in _split(channels or "")]
    return _change(_ask("DELETE", f"?{urlencode(query)}", None, port, host), as_json=json)


def _named(instruments: Sequence[str]) -> list[str]:
    if not instruments:
        raise UsageError("name an instrument, as in binance:ETH-USDT; `tapeline subscriptions` shows what is streamed")
    return list(instruments)


def _split(channels: str) -> list[str]:
    return [c.strip() for c in channels.split(",") if c.strip()]


def _change(answer: dict[str, Any], *, as_json: bool) -> int:
    """Show what is streamed now; say what failed, and give its exit code."""
    _show(answer, as_json=as_json)
    for failed in answer["failed"]:
        name, message = failed["instrument"], failed["message"]
        say(message if name in message else f"{name}: {message}")
    return _error(answer["failed"][0]).exit_code if answer["failed"] else 0


def _show(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(answer["subscriptions"])
        return
    if not answer["subscriptions"]:
        say("nothing is streamed: `tapeline subscribe binance:BTC-USDT` begins")
    for row in answer["subscriptions"]:
        if row["error"]:
            say(f"{row['name']}: {row['error']}")
    if answer["subscriptions"]:
        write(columns([[row["name"], row["instrument"], ", ".join(row["channels"])] for row in answer["subscriptions"]]))


def _ask(method: str, query: str, body: Any, port: int | None, host: str | None) -> dict[str, Any]:
    """The answer of the Tapeline that listens where the settings say. Raises what it answers as error, Unreachable without one."""
    server = context.load({"server.port": port, "server.host": host}).settings.server
    where = here(server.host)
    asking = http.client.HTTPConnection(where, server.port, timeout=SECONDS)
    headers = credentials() | ({"Content-Type": "application/json"} if body is not None else {})
    try:
        asking.request(method, PATH + query, None if body is None else msgspec.json.encode(body), headers)
        response = asking.getresponse()
        text, ours = response.read(), response.getheader("X-Tapeline-Mode") is not None
    except (OSError, http.client.HTTPException) as e:
        raise Unreachable(_nobody(where, server.port, e)) from None
    finally:
        asking.close()
    if not ours:
        raise Unreachable(f"what answers at {where}:{server.port} is no Tapeline: name another --port")
    answer: dict[str, Any] = msgspec.json.decode(text)
    if response.status != 200:
        raise _error(answer["error"])
    return answer


def _nobody(host: str, port: int, error: Exception) -> str:
    why = "timed out" if isinstance(error, socket.timeout) else getattr(error, "strerror", None) or str(error) or "no answer"
    return (
        f"no Tapeline answers at {host}:{port} ({why}): start `tapeline run`, or name its --port; "
        "`tapeline record` has no page and cannot be asked"
    )


def _error(error: dict[str, Any]) -> TapelineError:
    text, code = error["message"], error["code"]
    if code == "unauthorized":
        return UsageError(f"{text}: set {VARIABLE} to the token that `tapeline run` printed or was given")
    if code == "bad_parameter":
        return UsageError(f"{text}: {error['hint']}")
    if code == "venue_error":
        return VenueError(text)
    if code == "not_configured":
        return _Unset(text)
    return UsageError(text)


class _Unset(TapelineError):
    exit_code = ConfigError.exit_code
