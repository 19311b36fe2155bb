"""The report of a capture: for a person on standard error, and the same as JSON (`--report`).

JSON:  `messages` seen, by what they held, and how many could not be read; `trades` over all; and the same for each of
`instruments`, with the first and last time (ISO 8601, UTC) and the gaps. For all of them `seen` + `recovered` = `kept` + `dropped`.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tapeline.cli.capture import Capture, Counts, Gap
from tapeline.cli.output import many
from tapeline.clock import SECOND, iso
from tapeline.engine.engine import Engine


def report(capture: Capture, engine: Engine) -> dict[str, Any]:
    kinds = dict(capture.tally.messages)
    total = sum_of(capture.counts.values())
    return {
        "csv": capture.name,
        "mode": engine.mode,
        "session": engine.session,
        "started": iso(engine.started),
        "seconds": round((engine.clock.now() - engine.started) / SECOND, 3),
        "messages": {
            "seen": sum(kinds.values()),
            "by_content": kinds,
            "not_used": {kind: n for feed in engine.pipeline.feeds.values() for kind, n in feed.decoder.unknown.items()},
            "malformed": kinds.get("malformed", 0),
        },
        "trades": trades(total),
        "not_written": capture.spool.missed,
        "gaps": [gap(g) for g in capture.lost],
        "instruments": {name: instrument(counts) for name, counts in sorted(capture.counts.items()) if name},
    }


def sum_of(all_counts: Iterable[Counts]) -> Counts:
    total = Counts()
    for c in all_counts:
        for field in ("kept", "recovered", "zero", "duplicate", "rejected"):
            setattr(total, field, getattr(total, field) + getattr(c, field))
        total.off_book += c.off_book
    return total


def trades(counts: Counts) -> dict[str, Any]:
    dropped = {"zero_price_or_size": counts.zero, "off_book": counts.off_book.total(), "duplicate": counts.duplicate}
    return {
        "seen": counts.seen,
        "kept": counts.kept,
        "recovered": counts.recovered,
        "dropped": dropped,
        "off_book_reasons": dict(counts.off_book),
        "rejected": counts.rejected,
    }


def instrument(counts: Counts) -> dict[str, Any]:
    times = {"first": counts.first and iso(counts.first), "last": counts.last and iso(counts.last)}
    return {**trades(counts), **times, "gaps": [gap(g) for g in counts.gaps]}


def gap(g: Gap) -> dict[str, Any]:
    return {"time": iso(g.time), "channel": g.channel, "reason": g.reason, "count": g.count}


def lines(made: dict[str, Any]) -> list[str]:
    """The report for a person."""
    said = [f"{made['csv']}: {many(made['trades']['kept'], 'trade')} in {made['seconds']:g} s, {made['mode']} data"]
    messages = made["messages"]
    said.append(f"messages  {messages['seen']} seen: {listed(messages['by_content']) or 'none'}")
    if messages["not_used"]:
        said.append(f"          nothing is made of {listed(messages['not_used'])}")
    said.append(f"trades    {_trades(made['trades'])}")
    for name, one in made["instruments"].items():
        said.append(f"{name}  {_trades(one) if len(made['instruments']) > 1 else ''}".rstrip())
        said.append(f"          from {one['first']} to {one['last']}" if one["first"] else "          none was kept")
        said += [f"          gap: {_gap(g)}" for g in one["gaps"][:5]]
        if len(one["gaps"]) > 5:
            said.append(f"          and {len(one['gaps']) - 5} gaps more, see --report")
    said += [f"gap       {_gap(g)}" for g in made["gaps"][:5]]
    if made["not_written"]:
        said.append(f"{many(made['not_written'], 'trade')} kept and NOT WRITTEN: the disk was too slow")
    return said


def _trades(t: dict[str, Any]) -> str:
    d = t["dropped"]
    reasons = Counter(t["off_book_reasons"])
    off_book = f"{d['off_book']} off-book" + (f" ({listed(reasons)})" if reasons else "")
    text = f"{t['seen']} seen, {t['kept']} kept, {sum(d.values())} dropped: {d['zero_price_or_size']} zero price or size, "
    text += f"{off_book}, {many(d['duplicate'], 'duplicate')}"
    if t["recovered"]:
        text += f"; {t['recovered']} of those kept were missing and fetched"
    return text + (f"; {t['rejected']} rejected" if t["rejected"] else "")


def listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items(), key=lambda pair: -pair[1]))


def _gap(g: dict[str, Any]) -> str:
    return f"{g['time']} {g['channel']}: {g['reason']}" + (f" ({g['count']})" if g["count"] else "")
