"""Which faults a soak meets, and when: everything follows from the seed, nothing from the run.

Kinds come from a shuffled bag that is filled again when it is empty, so that even a short run meets many of them and a long one
meets each equally often. Some kinds only show at a new connection (stale and late snapshots, refusals), so they come with a close.

Left out: `ack_error`, after which a venue owes nothing more, so that the books could not be held to anything; and a size of
`1e-7`, which is a number like any other, so that nobody can tell that it is not the venue's.
"""

import random
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

from tapeline.sim import faults as f

BOOKS, TRADES, QUOTES = "*@depth*", "*@trade", "*@bookTicker"
HOWS: tuple[str, ...] = tuple(how for how in get_args(f.Malformed.__annotations__["how"]) if how != "exponent")
Kept = Literal["gap", "rejected", "crossed", "disconnected"]
SHOWS_AS: dict[str, Kept] = {"drop": "gap", "malformed": "rejected", "crossed": "crossed", "close": "disconnected"}
"""The status that must have been published where a fault of this name has acted."""


class Planned(NamedTuple):
    """`at`: seconds after the books were in step for the first time."""

    at: float
    faults: list[f.AnyFault]


def _close(rng: random.Random) -> f.Close:
    return f.Close(code=rng.choice((1006, 1006, 1005, 1001, 1012)))


def _message(rng: random.Random, *streams: str) -> dict[str, str | int]:
    return {
        "stream": rng.choice(streams),
        "after": rng.randrange(20),
        "every": rng.randint(1, 5),
        "times": rng.randint(1, 4),
    }


def _malformed(rng: random.Random) -> f.AnyFault:
    return f.convert({"fault": "malformed", "how": rng.choice(HOWS), **_message(rng, BOOKS, TRADES, QUOTES)})


def _named(name: str, *streams: str) -> Callable[[random.Random], list[f.AnyFault]]:
    return lambda rng: [f.convert({"fault": name, **_message(rng, *streams)})]


BAG: tuple[Callable[[random.Random], list[f.AnyFault]], ...] = (
    _named("drop", BOOKS),
    _named("drop", TRADES),
    _named("duplicate", BOOKS, TRADES, QUOTES),
    _named("reorder", BOOKS, TRADES),
    _named("split", BOOKS),
    _named("crossed", BOOKS),
    _named("skew", BOOKS, TRADES),
    _named("fragment", BOOKS, TRADES),
    lambda rng: [_malformed(rng)],
    lambda rng: [_malformed(rng)],
    lambda rng: [f.Oversize(stream=rng.choice((BOOKS, TRADES)), megabytes=round(rng.uniform(1, 8), 1))],
    lambda rng: [f.Stall(stream=rng.choice((BOOKS, TRADES)), count=rng.randint(10, 60))],
    lambda rng: [f.Silence(seconds=round(rng.uniform(2, 8), 1), pings=rng.random() < 0.5)],
    lambda rng: [f.Reset(last=rng.randrange(1000))],
    lambda rng: [f.Shutdown(grace=round(rng.uniform(2, 5), 1))],
    lambda rng: [f.Shutdown(grace=round(rng.uniform(2, 5), 1)), f.StaleSnapshot()],
    lambda rng: [_close(rng)],
    lambda rng: [f.StaleSnapshot(times=rng.randint(1, 3)), _close(rng)],
    lambda rng: [f.LateSnapshot(seconds=round(rng.uniform(0.5, 2), 1), fresh=rng.random() < 0.5), _close(rng)],
    lambda rng: [f.HttpFail(path="*depth*", status=rng.choice((500, 503))), _close(rng)],
    lambda rng: [f.Refuse(status=503), _close(rng)],
    lambda rng: [f.NeverAck(), _close(rng)],
)


def schedule(seed: int, seconds: float, every: float) -> list[Planned]:
    """Faults over `seconds`, `every` seconds on average apart (half of it to one and a half times of it)."""
    rng = random.Random(seed)
    planned: list[Planned] = []
    bag: list[Callable[[random.Random], list[f.AnyFault]]] = []
    at = every / 2
    while at < seconds:
        if not bag:
            bag = list(BAG)
            rng.shuffle(bag)
        planned.append(Planned(at, bag.pop()(rng)))
        at += rng.uniform(0.5, 1.5) * every
    return planned
