"""The other end of `helpers.Nursery`: forks a child for each line of standard input. Commands are tab-separated."""

import csv as csv_module  # noqa: F401 - as below; whoever has become nobody may not find it any more
import json
import os
import resource
import sys
import time
from pathlib import Path

import duckdb  # noqa: F401 - imported before forking, as all that is heavy
import pyarrow.parquet  # noqa: F401

from tapeline.events import Event
from tapeline.sinks import csv, jsonl, lake, postgres, questdb, sqlite  # noqa: F401
from tapeline.sinks.base import Sink
from tests.lake import upkeep_helpers
from tests.sinks.helpers import MANY, T0, frames
from tests.sinks.subjects import subject


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)).replace("\n", " ") + "\n").encode())


def sink_of(name: str, data: str) -> Sink:
    return subject(name).make(Path(data))


def write(name: str, data: str, session: str, count: str, step: str, quiet: str, most: str) -> None:
    """Resume where the sink stands and commit `step` frames at a time, up to `count`, at most `most` frames; then wait to be killed.

    It says that it is at work after `quiet` commits; 0: before it opens the sink.
    """
    made = frames(int(count))
    if quiet == "0":
        say("working", os.getpid())
    sink = sink_of(name, data)
    sink.open()
    first = sink.position(session) + 1
    for n, i in enumerate(range(first, min(first + int(most), len(made)), int(step)), 1):
        part = made[i : i + int(step)]
        persist(sink, session, i + len(part) - 1, [e for events in part for e in events])
        if n == int(quiet):
            say("working", os.getpid())
    time.sleep(60)


def persist(sink: Sink, session: str, seq: int, events: list[Event]) -> None:
    """As the runner does: again where it fails, unless it went through all the same."""
    failed = False
    while True:
        try:
            if not (failed and sink.position(session) >= seq):
                sink.commit(session, seq, events)
        except OSError:
            failed = True
            time.sleep(0.05)
        else:
            return


def forbidden(name: str, data: str) -> None:
    """Open a sink in a folder that may be read only; as root one must first become somebody."""
    say("working", os.getpid())
    if os.getuid() == 0:
        os.setuid(65534)
    try:
        sink_of(name, data).open()
    except Exception as e:  # noqa: BLE001 - the parent judges
        say(type(e).__name__, e)


def full(name: str, data: str, session: str, count: str) -> None:
    """Half the frames are committed; then no file may grow past what is hardly anything; then it may again."""
    made = frames(int(count))
    half = len(made) // 2
    say("working", os.getpid())
    sink = sink_of(name, data)
    sink.open()
    sink.commit(session, half - 1, [e for events in made[:half] for e in events])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    rest = [e for events in made[half:] for e in events]
    try:
        sink.commit(session, len(made) - 1, rest)
        said = "no error"
    except OSError as e:
        said = f"OSError {e}"
    position = sink.position(session)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sink.commit(session, len(made) - 1, rest)
    say(position, said)


def kept_up(data: str, session: str, count: str, step: str, closed: str) -> None:
    """As `write`, into the lake, while its upkeep merges whatever it can as fast as it can. `closed`: the days are over.

    It says that it is at work once something has been merged.
    """
    made = frames(MANY)[: int(count)]
    sink = lake.LakeSink(Path(data))
    sink.open()
    keeper = upkeep_helpers.upkeep(
        sink, upkeep_helpers.Hands(T0 + (2 if closed == "1" else -1) * upkeep_helpers.DAY), [], fan=2
    )
    keeper.start()
    said = False
    for i in range(sink.position(session) + 1, len(made), int(step)):
        part = made[i : i + int(step)]
        sink.commit(session, i + len(part) - 1, [e for events in part for e in events])
        if not said and keeper.stats.made_files:
            said = True
            say("working", os.getpid())
    keeper.join(10)
    sink.close()
    if not said:
        say("working", os.getpid())


def crowded(data: str, session: str, count: str) -> None:
    """Many small files; then no file may grow past what is hardly anything while they are to be merged; then it may again."""
    say("working", os.getpid())
    made, said = frames(int(count)), []
    sink = lake.LakeSink(Path(data))
    sink.open()
    upkeep_helpers.commit_all(sink, session, made, 10)
    files = len(sink.store.state.files())
    keeper = upkeep_helpers.upkeep(sink, upkeep_helpers.Hands(T0 + 2 * upkeep_helpers.DAY), said)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    failed = [keeper.run_once() for _ in range(2)]
    left = sorted(p.name for p in sink.store.pending.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    same = len(sink.store.state.files()) == files
    went = keeper.run_once()
    say(json.dumps({"failed": failed, "left": left, "same": same, "went": went, "error": keeper.stats.error, "said": said}))
    sink.close()


def locked(data: str, session: str, count: str) -> None:
    """Many small files; then some folders may not be written while they are to be merged; then they may again."""
    say("working", os.getpid())
    made, said = frames(int(count)), []
    if os.getuid() == 0:
        os.setuid(65534)
    sink = lake.LakeSink(Path(data))
    sink.open()
    upkeep_helpers.commit_all(sink, session, made[:-10], 10)
    trades = list(Path(data, "lake").glob("kind=trade/*/*/*"))
    for folder in trades:
        folder.chmod(0o500)
    files = len(sink.store.state.files())
    keeper = upkeep_helpers.upkeep(sink, upkeep_helpers.Hands(T0 + 2 * upkeep_helpers.DAY), said)
    failed = [keeper.run_once() for _ in range(2)]
    left = sorted(p.name for p in sink.store.pending.iterdir())
    fewer = len(sink.store.state.files()) < files
    for folder in trades:
        folder.chmod(0o700)
    sink.commit(session, len(made) - 1, [e for events in made[-10:] for e in events])
    went = keeper.run_once()
    say(json.dumps({"failed": failed, "left": left, "fewer": fewer, "went": went, "error": keeper.stats.error, "said": said}))
    sink.close()


COMMANDS = {"write": write, "forbidden": forbidden, "full": full, "kept_up": kept_up, "crowded": crowded, "locked": locked}


def main() -> None:
    frames(MANY)  # cached, so that each child has them at once
    for line in sys.stdin:
        command, *arguments = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            try:
                COMMANDS[command](*arguments)
            except BaseException as e:  # noqa: BLE001 - a forked child must not run on
                say("failed", repr(e))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        say("end", "killed" if os.WIFSIGNALED(status) else "ended")


if __name__ == "__main__":
    main()
