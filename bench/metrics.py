"""What sampling metrics costs, beside what decoding and the books cost, on the recorded sessions.

    python bench/metrics.py [--short] [--json] [--each]

Counted is CPU time, each case's frames through a new pipeline, cases taking turns, medians of several rounds. "decoding and books"
is the venue's decoder and a book alone: no proof of the book, no trades' ids, no bars, no events. `--each` measures every metric by
itself: microseconds a sample, on top of the gathering that all share.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any

from sessions import FILES, load

from tapeline.config import DEFAULT_METRICS, PipelineSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.events import Event, Metrics
from tapeline.frames import Frame, FrameKind
from tapeline.market.book import Book
from tapeline.market.metrics import registry
from tapeline.venues.base import BookMessage

BATCH = 256
MESSAGE = int(FrameKind.BINARY)


def through(frames: list[Frame], metrics: Sequence[str]) -> tuple[float, int]:
    """CPU seconds, and the samples that were made."""
    pipeline, samples = Pipeline(PipelineSettings(metrics=tuple(metrics))), 0
    began = time.process_time()
    for i in range(0, len(frames), BATCH):
        out: list[Event] = []
        pipeline.feed_many(i, frames[i : i + BATCH], out)
        samples += sum(1 for e in out if type(e) is Metrics and e.values is not None)
        pipeline.requests.clear()
    spent = time.process_time() - began
    if pipeline.faults or any(lane.analytics.faults for lane in pipeline.lanes.values()):
        raise SystemExit("a metric failed")
    return spent, samples


def decoding_and_books(frames: list[Frame]) -> float:
    """CPU seconds of the decoder, and of putting each update into a book whose touch is read."""
    pipeline = Pipeline(PipelineSettings(metrics=()))
    pipeline.feed_many(0, frames[:1], [])
    (connection,) = pipeline.connections.values()
    decode, book = connection.decode, Book()
    began = time.process_time()
    for frame in frames[1:]:
        for record in decode(frame.data, frame.ts_recv) if frame.kind <= MESSAGE else ():
            if type(record) is BookMessage:
                (book.apply if record.kind == "diff" else book.replace)(record.bids, record.asks)
                book.touch()
    return time.process_time() - began


def measure(frames: list[Frame], rounds: int) -> dict[str, float]:
    """Medians: CPU seconds by case; microseconds a sample and an event gathered."""
    every = [registry.form(found) for found in registry.METRICS.values()]
    cases = {"without": (), "default": DEFAULT_METRICS, "every": every}
    spent: dict[str, list[float]] = {name: [] for name in (*cases, "decoding and books")}
    samples = 0
    for _ in range(rounds):
        for name, metrics in cases.items():
            seconds, samples = through(frames, metrics)
            spent[name].append(seconds)
        spent["decoding and books"].append(decoding_and_books(frames))
    found = {name: statistics.median(times) for name, times in spent.items()}
    return found | {"frames": len(frames), "samples": samples, "defaults": len(DEFAULT_METRICS), "metrics": len(every)}


def each(frames: list[Frame]) -> dict[str, float]:
    """Microseconds a sample of every metric by itself, gathering left out."""
    shared, samples = through(frames, ["volume_1m"])
    found = {}
    for name in map(registry.form, registry.METRICS.values()):
        seconds, _ = min(through(frames, ["volume_1m", name]) for _ in range(2))
        found[name] = (seconds - shared) / max(samples, 1) * 1e6
    return found


def text(r: dict[str, Any]) -> str:
    base = r["decoding and books"]
    parts = [f"decoding and books {base:.2f} s"]
    for name, count in (("default", r["defaults"]), ("every", r["metrics"])):
        cost = r[name] - r["without"]
        parts.append(f"{name} ({count} metrics) {cost:+.2f} s, {cost / base:.2f} of that")
    return f"{r['session']}, {r['frames']:,} frames, {r['samples']} samples: " + "; ".join(parts)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    arguments.add_argument("--short", action="store_true", help="few frames, one round")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--each", action="store_true", help="microseconds a sample of every metric by itself")
    given = arguments.parse_args()
    results: dict[str, Any] = {}
    for venue in FILES:
        frames, where = load(venue, 5_000 if given.short else None)
        results[venue] = {"session": where, **measure(frames, 1 if given.short else given.rounds)}
        if given.each:
            results[venue]["each"] = each(frames)
    if given.json:
        print(json.dumps({"metrics": results}))
        return
    for venue, r in results.items():
        print(f"{venue:13} {text(r)}")
        for name, cost in sorted(r.get("each", {}).items(), key=lambda item: -item[1]):
            print(f"    {name:32} {cost:8.1f} us a sample")


if __name__ == "__main__":
    main()
