"""Standard input, output and error as a program must find them, whoever started it."""

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer


def stand_in() -> None:
    """Where a standard stream was closed (`>&-`), nothing stands in for it: Python has None there, and the next file that is
    opened, a segment of the tape perhaps, would get its number and whatever is printed.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def write_whole() -> None:
    """With PYTHONUNBUFFERED, which containers like to set, nothing stands between us and the system. That writes only a part where a
    signal comes in between (Ctrl-Z and `fg`), and Python then drops the rest without a word.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and isinstance(stream.buffer, io.RawIOBase):
            kept = {"encoding": stream.encoding, "errors": stream.errors}
            whole = io.TextIOWrapper(_Whole(stream.detach()), write_through=True, **kept)
            setattr(sys, name, whole)
            setattr(sys, f"__{name}__", whole)  # the same stream by its other name: Textual draws on `sys.__stderr__`


def stop_writing() -> None:
    """The reader is gone: let Python's own flush at exit write into nothing."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


class _Whole(io.BufferedWriter):
    """Writes all that it is given, at once."""

    def write(self, data: "Buffer", /) -> int:
        size = super().write(data)
        self.flush()
        return size
