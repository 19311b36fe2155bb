"""The command `tapeline`: one file a command, one place where errors become messages and exit codes.

Data goes to standard output, everything else (logs, notes, errors) to standard error. Exit codes: 0 done, 1 failure, 2 usage,
3 configuration, 4 venue or network, 5 data integrity, 130 interrupted. A reader that goes away (`| head`) is no failure.
This module imports next to nothing: `tapeline --help` must answer at once, and a command loads only what it needs.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from tapeline.cli import streams
from tapeline.errors import TapelineError

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    streams.stand_in()
    from tapeline.cli.app import launch

    try:
        code = launch(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except (TapelineError, OSError, BaseExceptionGroup) as e:
        code = _code_of(e)
    return code


def entry() -> NoReturn:
    """The program: `main`, and then the end of the process."""
    streams.write_whole()
    leave(main())


def leave(code: int) -> NoReturn:
    """End the process. Threads that a slow disk may hold are daemons, so that they hold up nobody; but Python crashes where one of
    them is inside a library while the interpreter is taken down. So it is not taken down then. Nothing is lost by that: what is
    on the disk is whole at any moment.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    threading = sys.modules.get("threading")
    if threading is not None and any(t.daemon for t in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


def complain(text: str) -> None:
    from tapeline.masking import mask

    sys.stderr.write(f"tapeline: {mask(text)}\n")


def _code_of(error: BaseException) -> int:
    """Says what `error` means and gives its exit code. What nobody raised on purpose goes on as it is: a bug shows its trace."""
    while isinstance(error, BaseExceptionGroup):
        wanted = error.subgroup((TapelineError, OSError, KeyboardInterrupt))
        if wanted is None:
            raise error
        error = wanted.exceptions[0]
    if isinstance(error, BrokenPipeError):
        streams.stop_writing()
        return 0
    if isinstance(error, KeyboardInterrupt):
        complain("interrupted")
        return INTERRUPTED
    if isinstance(error, TapelineError):
        complain(str(error))
        return error.exit_code
    if isinstance(error, OSError):
        complain(": ".join(str(p) for p in (error.filename, error.strerror or error) if p))
        return 1
    raise error
