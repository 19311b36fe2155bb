"""`tapeline replay`: a recording as if it were live, to the page, the API and the sinks.

What a sink has of the recording already it is not given again, so a replay fills what is missing: a sink that was switched off, or
one that is new. A sink in which another tapeline writes is left alone.
"""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tapeline.cli import context
from tapeline.cli.live import SINK_CLOSE_SECONDS, TellsOfSinks, feed_sinks, interruptible, say, until
from tapeline.cli.options import INTERRUPTED
from tapeline.cli.output import many
from tapeline.clock import LiveClock, parse_iso
from tapeline.config import Settings
from tapeline.engine.player import Player
from tapeline.engine.replay import chosen_sessions
from tapeline.engine.replay import replay as events_of
from tapeline.errors import ConfigError, UsageError
from tapeline.events import to_json
from tapeline.frames import FrameKind
from tapeline.server.app import Server
from tapeline.server.query.query import Queries
from tapeline.sinks.base import Sink
from tapeline.sinks.registry import make
from tapeline.tape import reader


async def replay(
    data: Annotated[str | None, Parameter(help="Directory with the tape.", show_default=False)] = None,
    *,
    session: Annotated[
        str, Parameter(help="Which session; the latest with data by default. `tapeline tape ls` lists them.")
    ] = "",
    speed: Annotated[str, Parameter(help="How many times faster than it was; max: as fast as this machine can.")] = "1",
    port: Annotated[int | None, Parameter(help="Port of the page; 0 takes a free one.", show_default=False)] = None,
    events: Annotated[bool, Parameter(help="Print the events as JSON lines instead of serving a page.")] = False,
    instruments: Annotated[str, Parameter(help="With --events: only these, comma-separated.")] = "",
    start: Annotated[str | None, Parameter(help="With --events: from this ISO time.", show_default=False)] = None,
    end: Annotated[str | None, Parameter(help="With --events: up to this ISO time.", show_default=False)] = None,
) -> int:
    """Play a tape back as if it were live: the same events, on the page and the API, or as JSON lines."""
    settings = context.load({"data": data, "server.port": port}).settings
    root = Path(settings.data)
    if events:
        _print(root, session, instruments, start, end)
        return 0
    chosen, pace = _chosen(root, session), _speed(speed)
    player = WatchedPlayer(root, chosen.id, speed=pace, last=chosen.last_ts)
    server = Server(player, settings.server, LiveClock(), queries=Queries(root, settings.query), recordings=root)
    async with interruptible() as stop, AsyncExitStack() as stack:
        await server.start()
        for runner in feed_sinks(player, _opened(root, settings), root, settings.sinks, _on_tape):
            stack.push_async_callback(runner.close, SINK_CLOSE_SECONDS)
        told = f"{pace:g}×" if pace else "full speed"
        where = " or ".join([server.link(), *server.links()])
        say(f"session {chosen.id}, {many(chosen.frames, 'frame')}, at {told} on {where}; Ctrl-C ends")
        try:
            await until(stop, _play(player))
        finally:
            await server.stop()
    if not player.finished:
        say(_played(player))
    return INTERRUPTED


async def _play(player: Player) -> None:
    def ended() -> None:
        say(f"{_played(player)}: this is the end of the recording. The page stays as it is until Ctrl-C")

    await player.perform(ended)


def _played(player: Player) -> str:
    return f"{many(player.frames, 'frame')}, {many(player.events, 'event')} played"


def _chosen(root: Path, session: str) -> reader.SessionInfo:
    """The one named, else the latest in which a connection was opened: a start that failed leaves a session with nothing in it."""
    for info in reversed(chosen_sessions(root, session)):
        if session or any(frame.kind == FrameKind.OPENED for _, frame in reader.read(root, info.id)):
            return info
        say(f"session {info.id} is empty, looking further back")
    raise UsageError(f"no session under {root} has anything to play: `tapeline tape ls` lists them")


class WatchedPlayer(TellsOfSinks, Player):
    pass


async def _on_tape(_: int) -> None:
    """What is played is on the disk already."""
    await asyncio.sleep(0)


def _opened(root: Path, settings: Settings) -> list[Sink]:
    opened = []
    for sink in make(root, settings):
        try:
            sink.open()
        except ConfigError as e:
            say(f"{sink.name} is not fed: {e}")
        else:
            opened.append(sink)
    return opened


def _speed(text: str) -> float:
    """0 stands for as fast as can be."""
    if text == "max":
        return 0.0
    try:
        speed = float(text.rstrip("x×"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise UsageError(f"--speed {text}: write a positive number, as in 10, or max")
    return speed


def _time(name: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_iso(text)
    except ValueError:
        raise UsageError(f"{name} {text}: write an ISO time, as in 2026-11-20T09:00:00Z") from None


def _print(root: Path, session: str, instruments: str, start: str | None, end: str | None) -> None:
    names = [n.strip() for n in instruments.split(",") if n.strip()]
    first, last = _time("--start", start), _time("--end", end)
    out = sys.stdout.buffer
    for event in events_of(root, instruments=names, start=first, end=last, session=session, absent=say):
        out.write(to_json(event) + b"\n")
