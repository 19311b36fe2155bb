"""A small Binance client, written from the documents and independent of Tapeline's own decoders."""

import json
from decimal import Decimal

import aiohttp


class Book:
    """A local order book by the documented steps. `spot` chooses the rule of continuity."""

    def __init__(self, *, spot: bool) -> None:
        self.spot = spot
        self.buffer: list[dict] = []
        self.sides: tuple[dict, dict] = ({}, {})
        self.id: int | None = None
        self.gaps = 0
        self.applied = 0

    def snapshot(self, answer: dict) -> bool:
        """False where it is older than what was buffered and must be fetched again."""
        last = answer["lastUpdateId"]
        if self.buffer and last < self.buffer[0]["U"] - (1 if self.spot else 0):
            return False
        self.sides = tuple({Decimal(p): Decimal(q) for p, q in answer[side]} for side in ("bids", "asks"))
        self.id = last
        fresh = [d for d in self.buffer if (d["u"] > last if self.spot else d["u"] >= last)]
        self.buffer = []
        for n, diff in enumerate(fresh):
            if n == 0:
                assert (
                    diff["U"] <= last + 1 <= diff["u"] + 1
                    if self.spot
                    else diff["U"] <= last <= diff["u"] or diff["pu"] <= last
                )
                self._put(diff)
            else:
                self.diff(diff)
        return True

    def diff(self, diff: dict) -> None:
        if self.id is None:
            self.buffer.append(diff)
            return
        if diff["u"] <= self.id:
            return
        follows = (
            diff["U"] <= self.id + 1 if self.spot else diff["pu"] == self.id or (self.applied == 0 and diff["U"] <= self.id)
        )
        if not follows:
            self.gaps += 1
        self._put(diff)

    def _put(self, diff: dict) -> None:
        for side, key in zip(self.sides, "ba", strict=True):
            for price, size in diff[key]:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                else:
                    side.pop(Decimal(price), None)
        self.id = diff["u"]
        self.applied += 1

    def touch(self) -> tuple:
        bids, asks = self.sides
        bid, ask = max(bids), min(asks)
        return bid, bids[bid], ask, asks[ask]

    def levels(self) -> tuple[list, list]:
        bids, asks = self.sides
        return (
            [(float(p), float(bids[p])) for p in sorted(bids, reverse=True)],
            [(float(p), float(asks[p])) for p in sorted(asks)],
        )


async def receive(ws: aiohttp.ClientWebSocketResponse) -> dict:
    message = await ws.receive(timeout=30)
    assert message.type is aiohttp.WSMsgType.TEXT, message
    return json.loads(message.data)


async def drain(ws: aiohttp.ClientWebSocketResponse, session: aiohttp.ClientSession) -> list[dict]:
    """All that was sent up to now: a LIST_SUBSCRIPTIONS is answered behind it."""
    await ws.send_json({"method": "LIST_SUBSCRIPTIONS", "id": "drain"})
    got = []
    while True:
        message = await receive(ws)
        if message.get("id") == "drain":
            return got
        got.append(message)
