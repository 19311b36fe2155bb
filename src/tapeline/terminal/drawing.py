"""The panes of `tapeline top` as rich text, made of what is known and of how wide and high they are. Pure.

Colour is never the only sign: buys are ▲ and sells ▼, asks stand above bids, states are words. What may be old is dim, and its pane
says of when it is.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Literal

from rich.text import Text

from tapeline.terminal import words
from tapeline.terminal.state import Health, Row, Screen

Palette = Literal["safe", "classic", "plain"]
COLOURS: dict[Palette, tuple[str, str]] = {
    "safe": ("#5aa9ff", "#ff9f43"),
    "classic": ("#26c281", "#ff5c5c"),
    "plain": ("bold", "default"),
}
"""Up and down. `safe` is told apart with any of the common colour blindnesses."""
KINDS = {"live": "black on #26c281", "simulated": "black on #e6c229", "replay": "black on #b39ddb", "paused": "black on #9e9e9e",
         "connecting": "white on #555555", "reconnecting": "white on #c0392b"}  # fmt: skip
ARROWS = {"buy": "▲", "sell": "▼", "unknown": "·"}
BEHIND: dict[Palette, tuple[str, str]] = {
    "safe": ("#28507d", "#7d5126"),
    "classic": ("#1a6b48", "#803535"),
    "plain": ("dim", "dim"),
}
"""The same for areas, which would shout in full colour."""
NAME, PRICE, SPARK, LEAST_SPARK = 28, 13, 30, 9
"""Columns: of a name at most, of a price, of a small line at most."""


def health_line(screen: Screen, health: Health, width: int) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f" {health.label} ", KINDS[health.kind])
    line.append(f" {health.detail} ")
    if screen.status and not health.dead:
        line.append(" · ".join(_figures(screen.status, narrow=width < 80)), "dim")
    elif screen.status:
        line.append(f"what is shown is of {words.clock(screen.server_now(screen.status_at))} UTC", "bold")
    line.truncate(max(width, 1), overflow="ellipsis")
    return line


def _figures(status: Row, *, narrow: bool) -> list[str]:
    latency = status.get("latency_ms")
    lag = max((s["lag_seconds"] for s in status["sinks"]), default=None)
    dropped = sum(s["dropped"] for s in status["sinks"]) + status["dropped_viewers"]
    parts = [
        f"{words.count(status['frames_per_second'])} msgs/s",
        "latency –" if latency is None else f"latency {latency:.0f} ms",
    ]
    if not narrow:
        parts += [f"{status['gaps']} gaps", f"{status['resyncs']} resyncs", f"{dropped} dropped"]
        parts += [] if lag is None else [f"sink lag {lag:.1f} s"]
        parts += [f"tape {status['tape']['state']}", f"{status['viewers']} viewers"]
    return parts


def watchlist(screen: Screen, health: Health, now: float, width: int, height: int, palette: Palette) -> Text:
    rows = screen.instruments()
    at = rows.index(screen.chosen) if screen.chosen in rows else 0
    first = min(max(0, at - height + 2), max(0, len(rows) - height + 1))
    wide = min(max([len(name) for name in rows] or [10]) + 2, NAME)
    head = f"{' instrument':{wide}.{wide}}{'mid':>{PRICE}}{'30 min':>9}{'age':>8}"
    head += "  last hour" if len(head) + 2 + LEAST_SPARK <= width else ""
    lines = [Text(head[:width], "dim")]
    lines += [_watched(screen, health, name, now, (width, wide), palette) for name in rows[first : first + height - 1]]
    return Text("\n").join(lines)


def _watched(screen: Screen, health: Health, name: str, now: float, columns: tuple[int, int], palette: Palette) -> Text:
    width, wide = columns
    about, closes, mid = screen.instrument(name), screen.closes(name), screen.mid(name)
    state = about.get("state", "waiting")
    old = health.dead or state not in ("live", "closed")
    moved = words.change(closes[-30:], mid)
    up, down = COLOURS[palette]
    style = "" if moved is None or old else up if moved >= 0 else down
    sign = "" if moved is None else "▲" if moved > 0 else "▼" if moved < 0 else " "
    last = about.get("last_event") or 0
    aged = "old" if health.dead else state
    if last and aged == "live":
        aged = words.age((screen.server_now(now) - last) / 1e6)
    line = Text(no_wrap=True, style="dim" if old else "")
    line.append(f"{'›' if name == screen.chosen else ' '}{name:{wide - 1}.{wide - 1}}", "bold" if name == screen.chosen else "")
    line.append(f"{words.price(mid, about.get('price_decimals', 2)):>{PRICE}}")
    line.append("        –" if moved is None else f" {sign}{abs(moved):6.2f}%", style)
    line.append(f"{'no link' if aged == 'disconnected' else aged:>8}  ")
    if (room := width - len(line)) >= LEAST_SPARK:
        line.append(words.spark(closes, min(SPARK, room)), style)
    line.truncate(max(width, 1))
    if name == screen.chosen:
        line.stylize("reverse", 0, wide)
    return line


def ladder(screen: Screen, health: Health, width: int, height: int, palette: Palette) -> Text:
    """Asks above, bids below, the spread between them; each level with its size and the sum up to it as a bar."""
    book, about = screen.book, screen.instrument(screen.chosen)
    if book is None:
        return Text("no book of it yet" if about.get("book") != "none" else "no book of it is streamed", "dim")
    each = max(1, (height - 2) // 2)
    asks, bids = book["asks"][:each], book["bids"][:each]
    decimals = (about.get("price_decimals", 2), about.get("size_decimals", 4))
    deepest = max(sum(s for _, s in asks), sum(s for _, s in bids), 1e-12)
    proved = book["state"] == "synced" and not health.dead
    up, down = zip(COLOURS[palette], BEHIND[palette], strict=True) if proved else (("", ""), ("", "dim"))
    lines = [Text(_proof(book["state"], health), "dim" if proved else "bold")]
    lines += reversed(list(_levels(asks, deepest, width, decimals, down)))
    lines.append(Text(_spread(asks, bids, decimals[0]), "bold"))
    lines += _levels(bids, deepest, width, decimals, up)
    whole = Text("\n").join(lines)
    if not proved:
        whole.stylize("dim", len(lines[0]))
    return whole


def _proof(state: str, health: Health) -> str:
    if health.dead:
        return "old: the connection is lost"
    return "proved right" if state == "synced" else f"NOT proved: {state}"


def _spread(asks: list[list[float]], bids: list[list[float]], decimals: int) -> str:
    if not asks or not bids:
        return "one side is empty"
    (ask, _), (bid, _) = asks[0], bids[0]
    return f"{words.price((ask + bid) / 2, decimals + 1):>{PRICE}}  spread {words.price(ask - bid, decimals)}"


def _levels(
    levels: Iterable[list[float]], deepest: float, width: int, decimals: tuple[int, int], styles: tuple[str, str]
) -> Iterable[Text]:
    total = 0.0
    for price, size in levels:
        total += size
        line = Text(no_wrap=True)
        line.append(f"{words.price(price, decimals[0]):>{PRICE}}", styles[0])
        line.append(f"{words.size(size, decimals[1]):>11} ")
        line.append(words.bar(total / deepest, max(0, width - PRICE - 12)), styles[1])
        yield line


def tape(screen: Screen, health: Health, width: int, height: int, palette: Palette) -> Text:
    """The newest on top."""
    about = screen.instrument(screen.chosen)
    up, down = COLOURS[palette]
    head = f"{screen.missed} missed: the line is too slow" if screen.missed else "newest on top"
    lines = [Text(head, "bold" if screen.missed else "dim")]
    for trade in islice(reversed(screen.trades), max(0, height - 1)):
        style = {"buy": up, "sell": down}.get(trade["side"], "")
        line = Text(no_wrap=True, style="dim" if health.dead else "")
        line.append(f"{words.clock(trade['ts_event'], millis=width > 40)} ", "dim")
        line.append(
            f"{ARROWS.get(trade['side'], '·')}{words.price(trade['price'], about.get('price_decimals', 2)):>{PRICE}}", style
        )
        line.append(f"{words.size(trade['size'], about.get('size_decimals', 4)):>11}")
        lines.append(line)
    return Text("\n").join(lines)
