"""A simulated market behind real venues' wire protocols: a test double for anything that talks to an exchange.

`SimServer` serves it on loopback, `faults` says what can go wrong. Heavy imports happen when `SimServer` is first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapeline.sim.server import SimBook, SimServer

__all__ = ["SimBook", "SimServer"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tapeline.sim' has no attribute {name!r}")
    from tapeline.sim import server

    return getattr(server, name)
