"""A simulated market behind real venues' wire protocols: a test double for anything that talks to an exchange.

`SimServer` serves it on loopback (`ThreadedSim` in a thread of its own), `faults` says what can go wrong. Heavy imports happen
when a name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapeline.sim.server import SimServer
    from tapeline.sim.threaded import ThreadedSim
    from tapeline.sim.wire import SimBook

_HOMES = {"SimServer": "server", "ThreadedSim": "threaded", "SimBook": "wire"}
__all__ = ["SimBook", "SimServer", "ThreadedSim"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tapeline.sim' has no attribute {name!r}")
    return getattr(import_module(f"tapeline.sim.{_HOMES[name]}"), name)
