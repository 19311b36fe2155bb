"""What the tape costs: appending in both modes, sealing, reading, verifying. Medians of several runs, in one process.

    python bench/tape.py [--short] [--frames FILE]

FILE holds one raw message a line, `.gz` too (a `<recv_ns> ` before it is taken off); without it, messages of some 280 bytes
are made up, each different. The page cache takes the writes: a disk's own speed is no part of this.
"""

import argparse
import gzip
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tapeline.clock import LiveClock
from tapeline.config import TapeSettings
from tapeline.frames import Frame, FrameKind, Session
from tapeline.tape.reader import read_batches, recover, seal, sessions, verify
from tapeline.tape.writer import TapeWriter, new_session_id


def made_up(count: int) -> list[bytes]:
    dice = random.Random(1)
    head = b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":%d,"s":"BTCUSDT","U":%d,"u":%d,"b":['
    messages = []
    for i in range(count):
        levels = b",".join(b'["%.2f","%.5f"]' % (60_000 + dice.random() * 100, dice.random()) for _ in range(6))
        messages.append(head % (1_723_100_000_000 + i * 100, i * 7, i * 7 + 6) + levels + b'],"a":[]}}')
    return messages


def recorded(path: Path, count: int) -> list[bytes]:
    opener = gzip.open if path.suffix == ".gz" else open
    messages: list[bytes] = []
    with opener(path, "rb") as lines:
        for line in lines:
            head, _, rest = line.strip().partition(b" ")
            messages.append(rest if head.isdigit() else line.strip())
            if len(messages) == count:
                break
    return messages


def batches(messages: list[bytes], size: int) -> list[list[Frame]]:
    now = time.time_ns()
    frames = [Frame(now + i * 1000, FrameKind.RECV, 1, data) for i, data in enumerate(messages)]
    return [frames[i : i + size] for i in range(0, len(frames), size)]


def append(root: Path, work: list[list[Frame]], mode: str) -> str:
    clock = LiveClock()
    session = new_session_id(clock)
    settings = TapeSettings(mode="strict" if mode == "strict" else "default")
    tape = TapeWriter(root, Session(id=session, version="bench"), settings, clock)
    for batch in work:
        tape.append_many(batch)
    tape.flush()
    tape._journal.unlock()  # noqa: SLF001  as a crash leaves it: the next step seals it
    return session


def seconds(job: Callable[[Path], object], prepare: Callable[[Path], object], runs: int) -> float:
    """The median run of `job`, each on a fresh tape."""
    times = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place:
            prepare(Path(place))
            start = time.perf_counter()
            job(Path(place))
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(messages: list[bytes], runs: int) -> dict[str, float]:
    """Frames a second by what was done."""
    big, one = batches(messages, 256), batches(messages, 1)

    def nothing(_: Path) -> None:
        pass

    def opened(root: Path) -> None:
        append(root, big, "default")

    def sealed(root: Path) -> None:
        opened(root)
        seal(root)

    def read_all(root: Path) -> int:
        return sum(len(frames) for s in sessions(root) for _, frames in read_batches(root, s.id))

    jobs: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
        "append, 256 a call": (opened, nothing),
        "append, 1 a call": (lambda root: append(root, one, "default"), nothing),
        "append, strict, 256 a call": (lambda root: append(root, big, "strict"), nothing),
        "append, strict, 1 a call": (lambda root: append(root, one, "strict"), nothing),
        "recover": (recover, opened),
        "seal": (seal, opened),
        "read, open": (read_all, opened),
        "read, sealed": (read_all, sealed),
        "verify, sealed": (verify, sealed),
    }
    return {name: len(messages) / seconds(job, prepare, runs) for name, (job, prepare) in jobs.items()}


def bytes_per_frame(messages: list[bytes]) -> tuple[float, float]:
    """On the open tape and on the sealed one."""
    with tempfile.TemporaryDirectory() as place:
        append(Path(place), batches(messages, 256), "default")
        before = sum(s.bytes for s in sessions(Path(place)))
        seal(Path(place))
        return before / len(messages), sum(s.bytes for s in sessions(Path(place))) / len(messages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer frames, one run")
    parser.add_argument("--frames", type=Path, help="recorded messages, one a line")
    arguments = parser.parse_args()
    count, runs = (20_000, 1) if arguments.short else (200_000, 5)
    messages = recorded(arguments.frames, count) if arguments.frames else made_up(count)
    before, after = bytes_per_frame(messages)
    size = sum(map(len, messages)) / len(messages)
    print(f"{len(messages)} frames of {size:.0f} bytes on average; on the tape {before:.0f} open, {after:.0f} sealed")
    for name, rate in measure(messages, runs).items():
        print(f"{name:28} {rate:12,.0f} frames/s {1e9 / rate:8.0f} ns/frame {rate * size / 1e6:8.0f} MB/s")


if __name__ == "__main__":
    main()
