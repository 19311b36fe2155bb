"""A small market whose every event is known, in a lake of its own: what exports are tried on."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tapeline.engine.lines import decode_lines
from tapeline.events import Event
from tapeline.sinks.lake import LakeSink
from tapeline.venues.registry import venue_class
from tests.engine.feeds import MS, SECOND, T0, levels, snapshot, spot_diff, trade

BTC = "binance:BTC-USDT"
SESSION = "20261121T100500Z-0001"
SKEW = 300 * MS  # the recorder's clock is behind the venue's by so much


def compact(message: Any) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def market(count: int = 600, seed: int = 1, start: int = T0, first: int = 1) -> list[tuple[int, bytes]]:
    """(receive time, message): diffs before a snapshot, then diffs and trades by turns; now and then a trade comes late."""
    r, made, number = random.Random(seed), [], first
    mid, seq = 10_000, 100 * first
    bids = {f"{(mid - i) / 100:.2f}": f"{r.randint(1, 500) / 100}" for i in range(1, 30)}
    asks = {f"{(mid + i) / 100:.2f}": f"{r.randint(1, 500) / 100}" for i in range(1, 30)}
    for i in range(count):
        venue = start + i * 50 * MS
        recv = venue - SKEW + r.randrange(5, 40) * MS
        if i == 3:
            made.append((recv + 1, compact(snapshot(seq, levels(bids), levels(asks)))))
        if i % 3 == 1:
            late = 200 * r.randrange(2)
            message = trade(
                number, venue // MS - late, f"{mid / 100:.2f}", f"{r.randint(1, 900) / 1000}", maker=r.random() < 0.5
            )
            number += 1
        else:
            side, sign = r.choice(((bids, -1), (asks, 1)))
            price, size = f"{(mid + sign * r.randint(1, 30)) / 100:.2f}", r.choice(("0.00", f"{r.randint(1, 500) / 100}"))
            side[price] = size
            message = spot_diff(seq + 1, seq + 2, *([[price, size]], []) if sign < 0 else ([], [[price, size]]), ms=venue // MS)
            seq += 2
        made.append((recv, compact(message)))
    times = sorted(t for t, _ in made)
    return [(t, raw) for t, (_, raw) in zip(times, made, strict=True)]


def events_of(messages: Iterable[tuple[int, bytes]]) -> list[Event]:
    return list(decode_lines(venue_class("binance")(), (b"%d %s" % m for m in messages), "market"))


def lake_of(data: Path, events: list[Event], session: str = SESSION, parts: int = 3) -> list[Event]:
    """The events committed in several steps, as a live session does: several files a day."""
    sink = LakeSink(data)
    sink.open()
    size = len(events) // parts + 1
    for i in range(parts):
        sink.commit(session, i, events[i * size : (i + 1) * size])
    sink.finish(session)
    sink.close()
    return events


def over_midnight(count: int = 600) -> list[Event]:
    """The same market, half of it on the next day."""
    midnight = T0 // (86_400 * SECOND) * 86_400 * SECOND + 86_400 * SECOND
    return events_of(market(count, start=midnight - count * 25 * MS))
