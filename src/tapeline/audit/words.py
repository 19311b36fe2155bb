"""A report as a page of plain words: the verdict first, then what was proved, then what is odd or wrong, then the clocks."""

import re
from collections.abc import Iterator, Sequence

from tapeline.audit.report import Latency, Point, Report, State

ORDER = ("tape", "messages", "trade ids", "update ids", "crossed books", "bars", "lake", "sqlite")
MARK: dict[State, str] = {"holds": "ok", "noted": "note", "broken": "BROKEN", "skipped": "skipped"}
CLOCKS = "From the venue's clock to ours, in milliseconds (a negative least is a difference of clocks):"
MOST = 40
NUMBERED = re.compile(r"^\d[\d,]* rows, ")


def page(report: Report, *, everything: bool = False) -> str:
    """`everything`: each point by itself, also those that hold."""
    lines = [_verdict(report), ""]
    lines += _proved(report, everything=everything)
    for state, title in (
        ("broken", "What does not hold"),
        ("noted", "What the data themselves say"),
        ("skipped", "Not looked at"),
    ):
        found = [p for p in report.points if p.state == state]
        if found:
            lines += ["", f"{title}:", *_listed(found)]
    if report.latency:
        lines += [
            "",
            "From the venue's clock to ours, in milliseconds (a negative least is a difference of clocks):",
            *_clocks(report),
        ]
    return "\n".join(lines) + "\n"


def _verdict(report: Report) -> str:
    read = f"{_many(report.sessions, 'session')}, {_many(report.frames, 'frame')}, {_many(report.events, 'event')} made of them"
    broken, noted = len(report.broken), sum(p.state == "noted" for p in report.points)
    if broken:
        return f"{report.data} does NOT hold together: {_many(broken, 'finding')} below. Read: {read}."
    said = f" {_many(noted, 'thing')} that a reader should know of, each told in the data." if noted else ""
    return f"{report.data} holds together. Read: {read}.{said}"


def _proved(report: Report, *, everything: bool) -> Iterator[str]:
    for what in ORDER:
        held = [p for p in report.points if p.what == what and p.state == "holds"]
        if not held:
            continue
        if everything or len(held) == 1:
            for p in held:
                yield _line(p)
        else:
            where = "instruments and sessions" if held[0].instrument else "sessions"
            yield f"  {MARK['holds']:8}{what:15}{sum(p.count for p in held):,} in {len(held)} {where}: {_same(held)}"


def _same(held: Sequence[Point]) -> str:
    """What they have in common to say: the words after the colon of the one with most in it, without its own number."""
    return NUMBERED.sub("", max(held, key=lambda p: p.count).text.rpartition(": ")[2])


def _listed(found: Sequence[Point]) -> Iterator[str]:
    for p in found[:MOST]:
        yield _line(p)
        yield from (f"            {detail}" for detail in p.details)
    if len(found) > MOST:
        yield f"  … and {len(found) - MOST} more; --json has all of them"


def _line(p: Point) -> str:
    place = " ".join(filter(None, (p.instrument, f"({p.session})" if p.session else "")))
    return f"  {MARK[p.state]:8}{p.what:15}{place + ': ' if place else ''}{p.text}"


def _clocks(report: Report) -> Iterator[str]:
    head = ("instrument", "events", "least", "median", "90 %", "99 %", "most", "negative")
    rows = [head, *map(_clock, report.latency)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  " + "  ".join(cells)


def _clock(one: Latency) -> tuple[str, ...]:
    numbers = (one.skew, one.p50, one.p90, one.p99, one.most)
    return (one.instrument, f"{one.events:,}", *(f"{n:.1f}" for n in numbers), f"{one.negative:.1%}")


def _many(n: int, word: str) -> str:
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"
