"""What a simulated venue says to what its venue file asks: one conversation for each plan, in a market that stands or plays.

The messages go over a real socket, by a client that knows nothing of Tapeline's own wire.
"""

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import aiohttp

from tapeline.config import VenueSettings
from tapeline.engine.connections import label_of
from tapeline.instruments import Instrument, Registry
from tapeline.plans import ConnectionPlan
from tapeline.sim import SimServer
from tapeline.sim.registry import simulated, wire_class
from tapeline.venues.base import Decoder, Venue
from tapeline.venues.registry import venue_class

T = 1_795_132_800_000_000_000
KEY = "a-key-of-this-suite"
SIMULATED = tuple(simulated())
QUIET = 0.25  # seconds without a message that end an answer


class Talk(NamedTuple):
    """What was said on one connection: `answers` to the hello messages in a market that stands, `data` of seconds of market
    after them, `gone`: the answers to the end of all its streams, `after`: what came of the market then.
    """

    plan: ConnectionPlan
    answers: list[bytes]
    data: list[bytes]
    gone: list[bytes]
    after: list[bytes]


class Heard(NamedTuple):
    venue: Venue
    talks: list[Talk]
    lists: list[bytes]  # answers to the questions for instruments

    @property
    def messages(self) -> list[tuple[str, bytes]]:
        return [(t.plan.url, m) for t in self.talks for m in [*t.answers, *t.data]]

    def decoder(self) -> Decoder:
        """A new one, which knows the venue's list."""
        registry = Registry(label_of(self.venue.name, simulated=True))
        registry.fill(i for body in self.lists for i in self.venue.read_instruments(body, registry.label))
        return self.venue.decoder(registry, simulated=True)


def make(name: str, settings: VenueSettings | None = None) -> Venue:
    """With a key, where it needs one."""
    return venue_class(name)(settings or VenueSettings(), KEY if venue_class(name).secret else "")


def natives_of(name: str, least: int = 2) -> list[str]:
    """So many instruments of a venue, and one of each kind that it has."""
    wire = wire_class(name)
    specs = {s.native: s for s in wire.specs}
    kinds: dict[tuple[str, bool], str] = {}
    for native in wire.default:
        kinds.setdefault((specs[native].kind, specs[native].inverse), native)
    return sorted({*wire.default[:least], *kinds.values()}, key=wire.default.index)


def instruments(venue: Venue, natives: Sequence[str]) -> list[Instrument]:
    label = label_of(venue.name, simulated=True)
    return [venue.derive(native, label) for native in natives]


@cache
def heard(name: str) -> Heard:
    """Every channel of some instruments of a venue."""
    return asyncio.run(_hear(name))


async def _hear(name: str) -> Heard:
    natives = natives_of(name)
    async with SimServer(venues=[name], instruments=[f"{name}:{n}" for n in natives], seed=3, live=False, rate=20.0) as sim:
        at = VenueSettings(ws_url=sim.ws_url(name), http_url=sim.http_url(name))
        venue = make(name, at)
        plans = venue.plan(instruments(venue, natives), venue.channels)
        async with aiohttp.ClientSession() as session:
            lists = [await _ask(session, r.url, dict(r.headers)) for r in venue.instruments_requests()]
            talks = [await _talk(session, sim, venue, plan) for plan in plans]
    return Heard(venue, talks, lists)


async def _ask(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bytes:
    async with session.get(url, headers=headers) as answer:
        assert answer.status == 200, f"{url}: {answer.status}"
        return await answer.read()


async def _talk(session: aiohttp.ClientSession, sim: SimServer, venue: Venue, plan: ConnectionPlan) -> Talk:
    async with session.ws_connect(plan.url, max_msg_size=0, origin=plan.origin or None) as ws:
        answers = await _say(ws, plan.hello, plan.limits.messages_per_second)
        await sim.play(3.0)
        data = await _listen(ws)
        gone = await _say(ws, venue.unsubscribe(plan.streams, 500), plan.limits.messages_per_second)
        await sim.play(3.0)
        return Talk(plan, answers, data, gone, await _listen(ws))


async def _say(ws: aiohttp.ClientWebSocketResponse, messages: Sequence[bytes], most: float) -> list[bytes]:
    for message in messages:
        await ws.send_str(message.decode())
        await asyncio.sleep(min(0.3, 1.1 / most))
    return await _listen(ws)


async def _listen(ws: aiohttp.ClientWebSocketResponse) -> list[bytes]:
    found: list[bytes] = []
    while True:
        try:
            message = await ws.receive(QUIET)
        except TimeoutError:
            return found
        assert message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}, message
        found.append(message.data.encode() if isinstance(message.data, str) else message.data)
