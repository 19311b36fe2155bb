"""Commands to be killed: a parent that has imported everything forks one for each line of standard input.

A line is the command's words as JSON. What the command prints goes nowhere.
"""

import json
import os
import sys

import duckdb  # noqa: F401 - imported before forking, as all that is heavy
import pyarrow.parquet  # noqa: F401

from tapeline.audit import audit  # noqa: F401
from tapeline.cli import app, export, import_, importing, lake, main, repair, tape  # noqa: F401
from tapeline.lake import exporting, upkeep  # noqa: F401
from tapeline.sinks import csv, rebuild, sqlite  # noqa: F401
from tapeline.sinks import lake as lake_sink  # noqa: F401


def say(word: str) -> None:
    os.write(1, f"{word}\n".encode())


def become(words: list[str], said: str) -> None:
    nowhere = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    code = 1
    try:
        code = main(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run() -> None:
    for line in sys.stdin:
        said, *words = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(words, said)
        say(f"born {pid}")
        _, status = os.waitpid(pid, 0)
        say("killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}")


if __name__ == "__main__":
    run()
