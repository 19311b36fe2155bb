"""Rows a second into each sink and bytes a row, beside a weekend script's way of keeping the same rows.

    python bench/sinks.py [--short] [--json] [SINK ...]

Aims: the lake over 1,000,000 trades a second from Trade events to fsynced Parquet and under 13 bytes a trade; SQLite over 150,000.

The rows are the recorded futures session's (`sessions.py`): its trades, the venue's quotes, and its book updates, repeated with
later times and new ids to commits of the size that the runner makes (of books a tenth). A rate is the median of up to seven
commits by the clock, everything in: the position, fsyncs, the server's answer; *a core-second* is the same by this process' CPU
time. The script (`scripts.py`) takes the same rows in turns with the sink. Bytes are those of one commit of the session as it is,
since repetition would flatter a dictionary, after closing; the row says what is counted (`places.py`).
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import rows
from places import Missing, Place, place
from scripts import SCRIPTS

from tapeline.config import SinkSettings
from tapeline.events import Event
from tapeline.sinks.base import Sink
from tapeline.sinks.registry import SINKS, pace

COMMITS, BUDGET = 7, 6.0
SESSIONS = {"lake": ("binance-usdm", "binance")}  # of the lake also the spot session, whose ids and prices pack worse


def timed(work: Callable[[], int]) -> tuple[float, float]:
    """(rows a second, rows a core-second)."""
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    return count / (time.perf_counter() - wall), count / max(time.process_time() - cpu, 1e-9)


def rates(name: str, where: Place, case: str, events: Sequence[Event], most: int) -> dict[str, float]:
    """Medians of commits, the sink and the script in turns."""
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as folder:
        sink: Sink = SINKS[name](Path(folder), where.settings(case))
        script = SCRIPTS[name](Path(folder), where.url) if name in SCRIPTS else None
        sink.open()
        ours, theirs = [], []
        ends = time.perf_counter() + BUDGET
        for n in range(most):

            def commit(n: int = n) -> int:
                sink.commit("bench", n, events)
                return len(events)

            ours.append(timed(commit))
            if script is not None:
                theirs.append(timed(lambda: script.take(events))[0])
            if n >= 2 and time.perf_counter() > ends:
                break
        sink.close()
        if script is not None:
            script.close()
    found = {"rows_per_second": statistics.median(r for r, _ in ours), "per_core_second": statistics.median(c for _, c in ours)}
    return {**found, "script": statistics.median(theirs)} if theirs else found


def bytes_each(name: str, where: Place, case: str, events: Sequence[Event]) -> float:
    with tempfile.TemporaryDirectory(prefix="tapeline-bench-") as folder:
        sink = SINKS[name](Path(folder), where.settings(case))
        sink.open()
        before = where.size(Path(folder), case) if where.stand_in else 0
        sink.commit("bench", 0, events)
        sink.close()
        return (where.size(Path(folder), case) - before) / len(events)


def cases(name: str, where: Place, *, short: bool) -> Iterator[dict[str, Any]]:
    for venue in SESSIONS.get(name, ("binance-usdm",)):
        kinds, origin = rows.of(venue, 2_000 if short else None)
        for kind, events in kinds.items():
            if (name, kind) == ("sqlite", "books"):
                continue  # it keeps none
            size = pace(name, SinkSettings()).events // (10 if kind == "books" else 1) // (20 if short else 1)
            case = f"{kind}_{venue.replace('-', '_')}"
            each = bytes_each(name, where, f"{case}_bytes", events)
            measured = rates(name, where, case, rows.repeated(events, size), 1 if short else COMMITS)
            yield {
                "sink": name,
                "kind": kind,
                "session": f"{origin} {venue}",
                **{what: round(rate) for what, rate in measured.items()},
                "way": SCRIPTS[name].way if name in SCRIPTS else "",
                "bytes": round(each, 2),
                "counted": where.counted,
                "stand_in": where.stand_in,
            }


def measured(names: Sequence[str], *, short: bool) -> Iterator[dict[str, Any]]:
    """A row a sink and kind; of a sink that could not be measured, one that says why."""
    for name in names:
        try:
            with place(name) as where:
                yield from cases(name, where, short=short)
        except Missing as e:
            yield {"sink": name, "missing": str(e)}
        except KeyError:
            yield {"sink": name, "missing": "bench/places.py has no place for it"}


def line(row: dict[str, Any]) -> str:
    if "missing" in row:
        return f"{row['sink']:9} not measured: {row['missing']}"
    text = f"{row['sink']:9}{row['kind']:7}{row['session']:23}{row['rows_per_second']:11,} rows/s"
    text += f"{row['per_core_second']:11,} a core-second{row['bytes']:9.1f} bytes ({row['counted']})"
    text += f"; {row['rows_per_second'] / row['script']:.1f} × {row['way']}" if "script" in row else ""
    return text + ("; a stand-in, not the server itself" if row["stand_in"] else "")


def main() -> None:
    parser = argparse.ArgumentParser(description="Rows a second into each sink and bytes a row.")
    parser.add_argument("sinks", nargs="*", default=list(SINKS), help="these only")
    parser.add_argument("--short", action="store_true", help="small commits, one of each")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    for row in measured(options.sinks, short=options.short):
        print(json.dumps(row) if options.json else line(row), flush=True)


if __name__ == "__main__":
    main()
