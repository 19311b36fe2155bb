"""Which venues are simulated: those whose wire stands in `tapeline.sim.<name with underscores>` under the name `WIRE`."""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from tapeline.errors import UsageError
from tapeline.venues.registry import VENUES

if TYPE_CHECKING:
    from tapeline.sim.specs import Spec
    from tapeline.sim.wire import Wire


def _module(venue: str) -> str:
    return f"tapeline.sim.{venue.replace('-', '_')}"


def simulated() -> list[str]:
    return [venue for venue in VENUES if find_spec(_module(venue)) is not None]


def wire_class(venue: str) -> "type[Wire]":
    """UsageError where there is no such venue, or no simulator of it."""
    if venue not in VENUES or find_spec(_module(venue)) is None:
        raise UsageError(f"venue {venue!r} has no simulator: choose from {', '.join(simulated())}")
    wire: type[Wire] = import_module(_module(venue)).WIRE
    return wire


def choose(wires: "Sequence[type[Wire]]", natives: Sequence[str] = ()) -> "list[Spec]":
    """What is traded. `natives` (BTCUSDT, or okx:BTC-USDT for one venue's) replace the default lists of those venues that list
    any of them; the others keep theirs. UsageError on unknown names.
    """
    known = {name for w in wires for s in w.specs for name in (s.native, f"{w.venue}:{s.native}")}
    for native in natives:
        if native not in known:
            plain = sorted({s.native for w in wires for s in w.specs})
            raise UsageError(
                f"{native!r} is not simulated at {', '.join(w.venue for w in wires)}: choose from {', '.join(plain)}"
            )
    chosen: list[Spec] = []
    for wire in wires:
        named = [s for s in wire.specs if s.native in natives or f"{wire.venue}:{s.native}" in natives]
        chosen += named or [s for s in wire.specs if s.native in wire.default]
    return chosen
