"""The soak: Tapeline at work under load and faults, watched, stopped and held to everything it promises.

    python tools/soak.py [--minutes 10] [--rate 10] [--seed 1]      the faults follow from the seed
    python tools/soak.py --short                                    some 25 seconds, part of `make test`
    python tools/soak.py --venues all [--short] [--minutes 10]      every simulated venue at once, in peace

The simulated market is a process of its own (`tapeline simulate`), so that memory and descriptors seen here are Tapeline's. In this
process runs what `tapeline run` runs: collector, tape, both sinks, the page's server. Around it, two viewers, one of them far too
slow, and every few seconds a fault. At the end the faults are taken away, the market is stopped, and these must hold:

    books     equal the simulator's own, level by level
    faults    those that acted were reported; no frame met a fault of Tapeline's own
    the end   leaves no task, thread or descriptor behind; memory did not grow (judged in runs of two minutes and more)
    tape      verifies; its replay gives the digest that was taken of the live events
    sinks     hold each event once: counts and column sums equal the replay's

With `--venues all` no fault is armed (those are tried venue by venue in tests/live/test_every_venue.py). Instead nothing may be
lost: no gap, no connection, no message, no book crossed; and the table says what each venue cost.

A sink may owe its last events when the program ends: the next start brings them in from the tape, and so does this, saying how
many. One table on standard output; exit code 1 and a plain sentence for each thing that does not hold.
"""

import argparse
import asyncio
import contextlib
import gc
import logging
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import structlog
import uvloop
from soak_books import Feeds, every
from soak_faults import SHOWS_AS, schedule
from soak_proof import Digest, Expected, differences, kept_in_lake, kept_in_sqlite
from soak_watch import Viewer, Watch, descriptors, memory, threads
from soak_world import Plan, World, market

from tapeline.audit.audit import audit
from tapeline.cli.live import LiveSession
from tapeline.config import PipelineSettings, ServerSettings, Settings, SinkSettings, WireSettings
from tapeline.engine.bus import Batch
from tapeline.engine.replay import batches
from tapeline.events import Status
from tapeline.server.app import Server
from tapeline.sim.wire import SimBook
from tapeline.sinks.recovery import repair
from tapeline.sinks.registry import make
from tapeline.tape import reader

IN_STEP_SECONDS = 60.0  # most that the books may take to be in step again once the faults are gone
SETTLE_SECONDS = 2.0
LAST_WRITERS_SECONDS = 30.0
JUDGE_MEMORY_AFTER = 120.0
GROWTH, GROWTH_MB = 1.10, 16.0


class Report:
    """What is told at the end: rows of the table, and sentences about what does not hold."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []
        self.wrong: list[str] = []

    def row(self, name: str, text: object) -> None:
        self.rows.append((name, str(text)))

    def demand(self, holds: object, otherwise: str) -> None:
        if not holds:
            self.wrong.append(otherwise)

    def show(self) -> int:
        width = max(len(name) for name, _ in self.rows)
        print("\n".join(f"{name:<{width}}  {text}" for name, text in self.rows))
        print("\n".join(f"does not hold: {text}" for text in self.wrong) or "everything holds", flush=True)
        return 1 if self.wrong else 0


def settings(address: str, data: Path, plan: Plan) -> Settings:
    """As a user has them, but quicker to reconnect and to notice silence, so that more happens in a minute."""
    short = plan.seconds < JUDGE_MEMORY_AFTER
    return Settings(
        data=str(data),
        instruments=tuple(plan.feeds.instruments),
        venues=plan.feeds.settings(address),
        server=ServerSettings(port=0),
        wire=WireSettings(backoff_first=0.2, backoff_most=2.0, stable_seconds=5.0, silence_seconds=10.0),
        pipeline=PipelineSettings(stale_seconds=30.0 if plan.feeds.calm else 3.0, quiet_seconds=30.0),
        sinks=SinkSettings(lake_seconds=5.0 if short else 30.0),
    )


class Live:
    """The session at work: what is counted on the loop while it runs."""

    def __init__(self, session: LiveSession, feeds: Feeds) -> None:
        self.session, self.feeds = session, feeds
        self.digest = Digest()
        self.statuses: Counter[str] = Counter()
        session.collector.bus.tap(self._tap)

    def _tap(self, batch: Batch) -> None:
        self.digest.add(batch.events)
        self.statuses.update(e.kind for e in batch.events if type(e) is Status)

    def queues(self) -> list[int]:
        return [s.depth for s in self.session.collector.bus.subscriptions]

    async def in_step(self, truth: dict[str, SimBook] | None = None, seconds: float = IN_STEP_SECONDS) -> bool:
        """Whether every book is proved within `seconds`, and is what `truth` says it is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.apart(truth):
                return True
            await asyncio.sleep(0.05)
        return False

    def apart(self, truth: dict[str, SimBook] | None = None) -> list[str]:
        """The books that are not proved, or not what `truth` says."""
        views = {name: self.session.collector.book(name, 1 if truth is None else 1_000_000) for name in self.feeds.books}
        if truth is not None:
            return self.feeds.differences(views, truth)
        return [
            f"{name} {view.state if view else 'has no book'}"
            for name, view in views.items()
            if not view or view.state != "synced"
        ]


@contextlib.asynccontextmanager
async def busy(*work: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(w) for w in work]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()  # its error
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run(plan: Plan, data: Path, report: Report) -> Digest:
    with market(plan) as address:
        async with aiohttp.ClientSession() as http:
            world = World(http, address)
            await world.ask("GET", "status")
            before = (len(asyncio.all_tasks()), threads(), descriptors())
            live = await run_session(plan, settings(address, data, plan), world, report)
            await last_writers(before[1], report)
            after = (len(asyncio.all_tasks()), threads(), descriptors())
    report.row(
        "left behind", "tasks {}, threads {}, descriptors {}".format(*(a - b for a, b in zip(after, before, strict=True)))
    )
    report.demand(after[0] <= before[0], f"{after[0] - before[0]} tasks are left behind")
    report.demand(after[1] <= before[1], f"{after[1] - before[1]} threads are left behind")
    report.demand(after[2] <= before[2], f"{after[2] - before[2]} file descriptors are left behind")
    return live.digest


async def last_writers(usual: int, report: Report) -> None:
    """A sink that did not manage its last commit in the time that an end may take goes on in its thread; wait for it."""
    began = time.monotonic()
    while threads() > usual and time.monotonic() - began < LAST_WRITERS_SECONDS:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.05)
    report.row("last writers done after (s)", f"{time.monotonic() - began:.1f}")
    gc.collect()


async def run_session(plan: Plan, chosen: Settings, world: World, report: Report) -> Live:
    began = time.monotonic()
    async with LiveSession(chosen) as session:
        live = Live(session, plan.feeds)
        server = Server(session.collector, chosen.server, session.collector.clock)
        page = await server.start()
        await session.connect("live")
        report.demand(await live.in_step(), f"the books were not in step at the start: {', '.join(live.apart())}")
        report.row("books in step after (s)", f"{time.monotonic() - began:.1f}")
        watch = Watch(plan.seconds, session.collector.status, live.queues)
        watched = list(plan.feeds.books)
        quick, slow = Viewer(page, watched), Viewer(page, watched, pause=0.5)
        async with busy(watch.run(), quick.run(), slow.run()):
            await unleash(plan, world)
            await world.disarm()
            await compare_books(live, world, report)
        tell_viewers(report, quick, slow, server)
        await server.stop()
        tell_faults(report, live, world, await world.ask("GET", "status"))
        tell_venues(report, live)
        stopping = time.monotonic()
    lasted = time.monotonic() - stopping
    status = session.collector.status()
    watch.trouble |= {f"{s['name']}: {s['error']}" for s in status["sinks"] if s["error"]}
    tell_session(report, live, lasted)
    tell_watch(report, watch, plan)
    return live


async def unleash(plan: Plan, world: World) -> None:
    """The faults, each at its time."""
    began = time.monotonic()
    for planned in [] if plan.feeds.calm else schedule(plan.seed, plan.seconds, plan.every):
        await asyncio.sleep(max(0.0, began + planned.at - time.monotonic()))
        await world.arm(planned.faults)
    await asyncio.sleep(max(0.0, began + plan.seconds - time.monotonic()))


async def stop_in_step(live: Live, world: World) -> list[str]:
    """Stop the market where no book waits for its next update; the books that were not the simulator's.

    A fault may still be at work when it is taken away (a silence, an announced shutdown), and a book that lost its step then can
    only find it again in a market that goes on.
    """
    deadline, left = time.monotonic() + IN_STEP_SECONDS, ["none was in step"]
    while time.monotonic() < deadline:
        await live.in_step()
        await world.ask("POST", "pause")
        truth = {name: await world.book(*place) for name, place in live.feeds.books.items()}
        if await live.in_step(truth, SETTLE_SECONDS):
            return []
        left = live.apart(truth)
        await world.ask("POST", "resume")
        await asyncio.sleep(SETTLE_SECONDS)
    return left


async def compare_books(live: Live, world: World, report: Report) -> None:
    began = time.monotonic()
    left = await stop_in_step(live, world)
    report.row("and after the faults (s)", f"{time.monotonic() - began:.1f}")
    report.row("books equal to the simulator's", f"{len(live.feeds.books) - len(left)} of {len(live.feeds.books)}")
    report.demand(not left, f"the books did not become the simulator's within {IN_STEP_SECONDS:g} s: {', '.join(left)}")


def tell_venues(report: Report, live: Live) -> None:
    """What each venue cost, of the time that the process took altogether; in peace, that nothing was lost."""
    collector = live.session.collector
    seconds = (collector.clock.now() - collector.started) / 1e9
    for venue in collector.status()["venues"]:
        share = venue["cpu_seconds"] / seconds
        report.row(f"cpu {venue['protocol']}", f"{share:.2%} of a core, {venue['frames']} frames, {venue['events']} events")
    report.row("cpu of the process", f"{time.process_time() / seconds:.0%} of a core: sinks, page, tape and viewers, too")
    if live.feeds.calm:
        lost = {kind: n for kind in ("gap", "rejected", "crossed", "disconnected") if (n := live.statuses[kind])}
        report.demand(not lost, f"something was lost in peace: {lost}")


def tell_viewers(report: Report, quick: Viewer, slow: Viewer, server: Server) -> None:
    report.row("viewers' messages", f"{quick.messages} quick, {slow.messages} slow")
    report.row("viewers", f"quick missed {quick.missed} trades; slow missed {slow.missed}, dropped {server.hub.dropped} times")
    report.demand(quick.messages and slow.messages, "a viewer was sent nothing")
    report.demand(quick.opened == 1, f"the quick viewer was thrown out {quick.opened - 1} times")
    report.demand(not quick.errors | slow.errors, f"viewers were refused: {', '.join(quick.errors | slow.errors)}")


def tell_faults(report: Report, live: Live, world: World, market_status: dict[str, Any]) -> None:
    names = [f"{name} {world.hits[name]}/{armed}" for name, armed in sorted(world.armed.items())]
    report.row("faults: hits/armed", ", ".join(names))
    report.row("statuses", ", ".join(f"{kind} {n}" for kind, n in sorted(live.statuses.items())))
    slow, skipped = market_status["slow_closed"], market_status["skipped_seconds"]
    if slow or skipped:
        report.row("too much for this machine", f"{slow} connections closed as too slow, {skipped:.1f} s of market skipped")
    for name, kind in SHOWS_AS.items():
        report.demand(
            not world.hits[name] or live.statuses[kind], f"{name} acted {world.hits[name]} times: no {kind} was reported"
        )


def tell_session(report: Report, live: Live, lasted: float) -> None:
    collector = live.session.collector
    stats = collector.pipeline.stats()
    seconds = (collector.clock.now() - collector.started) / 1e9
    report.row("frames", f"{collector.frames} ({collector.frames / seconds:.0f}/s)")
    report.row("events", f"{collector.events} ({collector.events / seconds:.0f}/s)")
    report.row("pipeline", ", ".join(f"{name} {n}" for name, n in stats.items()))
    for runner in live.session.runners:
        s = runner.stats
        report.row(f"sink {s.name}", f"{s.events} events in {s.commits} commits, {s.missed} caught up from the tape")
        report.demand(not s.dropped, f"{s.name} lost {s.dropped} events")
    report.row("stopped in (s)", f"{lasted:.2f}")
    report.demand(not stats["faults"], f"{stats['faults']} frames met a fault of Tapeline's own; the log names them")


def tell_watch(report: Report, watch: Watch, plan: Plan) -> None:
    for name, peaks in watch.peaks.items():
        report.row(f"peak {name}", "  ".join(f"{p:.4g}" for p in peaks) + "  by quarter")
    report.demand(not watch.trouble, f"trouble was reported: {'; '.join(sorted(watch.trouble))}")
    if plan.seconds < JUDGE_MEMORY_AFTER:
        return
    _, early, _, late = watch.peaks["memory (MB)"]
    report.demand(late <= early * GROWTH + GROWTH_MB, f"memory grew from {early:.0f} MB to {late:.0f} MB")
    for name in ("descriptors", "tasks", "threads"):
        _, early, _, late = watch.peaks[name]
        report.demand(late <= early + 8, f"{name} grew from {early:.0f} to {late:.0f}")


def prove(data: Path, live: Digest, report: Report) -> None:
    """After the end, from the files alone."""
    findings = reader.verify(data)
    report.row("tape", f"{sum(s.bytes for s in reader.sessions(data)) / 1e6:.1f} MB, findings {len(findings)}")
    for finding in findings:
        report.wrong.append(f"tape: {finding}")
    (session,) = reader.sessions(data)
    owed = bring_in(data, {session.id: session.last_seq})
    report.row("owed at the end, brought in", ", ".join(f"{name} {n}" for name, n in owed.items()))
    began, digest, expected = time.monotonic(), Digest(), Expected()
    for batch in batches(data, session.id):
        digest.add(batch.events)
        expected.add(batch.events)
    report.row("digest live, replay", f"{live}, {digest} ({time.monotonic() - began:.1f} s)")
    same = (live.events, str(live)) == (digest.events, str(digest))
    report.demand(same, f"the replay's {digest.events} events are not the {live.events} live ones")
    for name, want, have in (
        ("sqlite", expected.sqlite(), kept_in_sqlite(data)),
        ("lake", expected.lake(), kept_in_lake(data)),
    ):
        report.row(f"{name} holds", ", ".join(f"{kind} {row['rows']}" for kind, row in sorted(have.items())))
        report.wrong.extend(differences(name, want, have))
    verify(data, report)


def verify(data: Path, report: Report) -> None:
    """What `tapeline verify` says of it."""
    found = audit(data)
    states = Counter(p.state for p in found.points)
    report.row("verify", ", ".join(f"{state} {n}" for state, n in sorted(states.items())))
    report.wrong.extend(f"verify: {p.what} of {p.instrument or p.session}: {p.text} {p.details}" for p in found.broken)


def bring_in(data: Path, ends: dict[str, int | None]) -> dict[str, int]:
    """What the next start would do; events by sink."""
    sinks = make(data, Settings())
    for sink in sinks:
        sink.open()
    try:
        reports = repair(data, sinks, ends, partial(batches, data))
    finally:
        for sink in sinks:
            sink.close()
    return {r.sink: r.events for r in reports}


def options() -> Plan:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true", help="some 25 seconds at a low rate")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, help="how busy the market is; 1 is normal (default 10, short 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the market and of the faults")
    parser.add_argument("--venues", choices=("binance", "all"), default="binance", help="all: every simulated venue, no faults")
    given = parser.parse_args()
    seconds = 14.0 if given.short else given.minutes * 60
    feeds = every() if given.venues == "all" else Feeds()
    usual = 1.0 if feeds.calm else 2.0 if given.short else 10.0
    return Plan(seconds, given.rate or usual, given.seed, 1.5 if given.short else 5.0, feeds)


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    plan, report = options(), Report()
    what = f"{len(plan.feeds.venues)} venues in peace" if plan.feeds.calm else f"a fault every {plan.every:g} s or so"
    report.row("soak", f"{plan.seconds:g} s at rate {plan.rate:g}, seed {plan.seed}, {what}")
    with tempfile.TemporaryDirectory(prefix="tapeline-soak-") as directory:
        data = Path(directory)
        live = uvloop.run(run(plan, data, report))
        prove(data, live, report)
    report.row("memory at the end (MB)", f"{memory() / 1e6:.0f}")
    return report.show()


if __name__ == "__main__":
    raise SystemExit(main())
