"""`tapeline simulate`: the simulated market on a port, for whoever wants to talk to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tapeline.cli.live import interruptible, say
from tapeline.cli.options import INTERRUPTED
from tapeline.errors import UsageError

if TYPE_CHECKING:
    from tapeline.sim.playback import Playback
    from tapeline.sim.server import SimServer


Traded = Annotated[
    str,
    Parameter(help="What to trade, by the venues' own names: BTCUSDT, or okx:BTC-USDT for one venue's; a handful by default."),
]
Tape = Annotated[
    Path | None,
    Parameter(help="Serve a recording instead: a data directory, or a file of `<recv_ns> <raw>` lines.", show_default=False),
]
Speed = Annotated[str, Parameter(help="With --tape: how many times faster than it was; max: as fast as clients take it.")]
Faults = Annotated[
    list[str] | None,
    Parameter(help="A fault to arm, as in `drop:stream=btcusdt@depth*,after=50`; repeatable. docs/simulator.md lists them."),
]


async def simulate(
    *instruments: Traded,
    venues: Annotated[str, Parameter(help="Comma-separated names, or all.")] = "binance,binance-usdm",
    port: Annotated[int, Parameter(help="Port on 127.0.0.1; 0 takes a free one.")] = 8790,
    seed: Annotated[int, Parameter(help="The same seed makes the same market.")] = 1,
    rate: Annotated[float, Parameter(help="How busy the market is; 1 is normal, 60 is some 45,000 messages a second.")] = 1.0,
    tape: Tape = None,
    session: Annotated[str, Parameter(help="With --tape: which session; the latest by default.")] = "",
    speed: Speed = "1",
    fault: Faults = None,
    rest_lag: Annotated[float, Parameter(help="Seconds between taking a book snapshot and answering it.")] = 0.0,
) -> int:
    """Serve a simulated market behind the venues' own WebSocket and HTTP protocols, on loopback, until Ctrl-C.

    Every answer carries `X-Tapeline-Simulated: 1`: Tapeline labels such data `sim` wherever it shows.
    """
    from tapeline.sim.faults import parse
    from tapeline.sim.registry import simulated
    from tapeline.sim.server import SimServer

    names = simulated() if venues == "all" else [v.strip() for v in venues.split(",") if v.strip()]
    if not 0 < rate < float("inf"):
        raise UsageError(f"--rate {rate:g}: must be more than 0")
    if not 0 <= port <= 65_535:  # the system would take its last sixteen bits
        raise UsageError(f"--port {port}: must be from 0 to 65535")
    recordings = _playback(names, tape, session, speed)
    names = [recording.venue for recording in recordings] or names
    sim = SimServer(
        venues=names,
        instruments=instruments or None,
        seed=seed,
        rate=rate,
        port=port,
        playback=recordings,
        faults=[parse(text) for text in fault or []],
        rest_lag=rest_lag,
    )
    async with interruptible() as stop, sim:
        _introduce(sim, names)
        await stop.wait()
    say(f"{sim.hub.messages} messages sent")
    return INTERRUPTED


def _playback(venues: Sequence[str], tape: Path | None, session: str, speed: str) -> "list[Playback]":
    """Of each venue that the recording has something of; UsageError where it has nothing of any."""
    if tape is None:
        return []
    from tapeline.sim.playback import Playback

    try:
        factor = 0.0 if speed == "max" else float(speed)
    except ValueError:
        raise UsageError(f"--speed {speed}: a number, or max") from None
    if tape.is_file() and len(venues) > 1:
        raise UsageError("a file of recorded lines does not say whose it is: name one venue with --venues")
    found, reasons = [], []
    for venue in venues:
        try:
            found.append(Playback(venue, tape, session=session, speed=factor))
        except UsageError as e:
            reasons.append(str(e))
    if not found:
        raise UsageError("; ".join(reasons))
    return found


def _introduce(sim: "SimServer", venues: Sequence[str]) -> None:
    for venue in venues:
        say(f"{venue}: {', '.join(sim.wires[venue].natives())} at {sim.ws_url(venue)} and {sim.http_url(venue)}")
    assignments = " ".join(
        f"--set venues.{v}.ws_url={sim.ws_url(v)} --set venues.{v}.http_url={sim.http_url(v)}" for v in venues
    )
    say(f"connect with: tapeline run {assignments}")
    say("Ctrl-C ends")
