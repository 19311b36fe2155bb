"""What is subscribed to: which channels of which instruments, by the instruments' real names, and kept across restarts.

A set is a plain dict, `binance:BTC-USDT` → channels, in the order of subscription. Names are the venue's and never a simulated
market's, so that one set serves both. `Kept` is the set on disk, one small JSON file in the data directory, replaced as a whole
(written beside, synced, renamed) at every change. It remembers what the settings named when the set began: settings that
were edited since are a new wish, and begin a new set.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from tapeline.errors import TapelineError, UsageError, VenueError
from tapeline.plans import Channel
from tapeline.tape.layout import sync_dir

FILE = "subscriptions.json"
Wanted = dict[str, tuple[Channel, ...]]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`configured`: the instruments and channels of the settings, flags aside, when the set began."""

    version: Literal[1] = 1
    configured: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    subscriptions: Wanted = {}


class Changed(msgspec.Struct, frozen=True):
    """What became of one wish: the names `done`, as they are called here, and what kept the others from it, by the name given."""

    done: tuple[str, ...]
    failed: dict[str, TapelineError]

    def check(self) -> None:
        """Raises what failed, if anything did: the error itself, or one that says all."""
        errors = list({str(e): e for e in self.failed.values()}.values())
        if len(errors) == 1:
            raise errors[0]
        if errors:
            text = "; ".join(map(str, errors))
            raise VenueError(text) if all(isinstance(e, VenueError) for e in errors) else UsageError(text)


def wanted(instruments: Iterable[str], channels: Sequence[Channel]) -> Wanted:
    return {name: tuple(channels) for name in instruments}


def joined(had: Sequence[Channel], more: Sequence[Channel]) -> tuple[Channel, ...]:
    return tuple(dict.fromkeys((*had, *more)))


def less(had: Sequence[Channel], fewer: Sequence[Channel] | None) -> tuple[Channel, ...]:
    """`fewer` None: all of them."""
    return () if fewer is None else tuple(c for c in had if c not in fewer)


def load(data: Path) -> Kept | None:
    """The set that was kept under `data`, None where none was. Raises ValueError where it cannot be read, OSError as usual."""
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as e:
        raise ValueError(str(e)) from None


def put_aside(data: Path) -> Path:
    """Keep a set that cannot be read under another name, before a new one takes its place. Raises OSError."""
    return (data / FILE).replace(data / f"{FILE}.unreadable")


def save(
    data: Path, configured: tuple[tuple[str, ...], tuple[str, ...]], subscriptions: Mapping[str, Sequence[Channel]]
) -> None:
    """Replace the kept set. Raises OSError."""
    kept = Kept(configured=configured, subscriptions={name: tuple(channels) for name, channels in subscriptions.items()})
    beside = data / f"{FILE}.tmp"
    with beside.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(data / FILE)
    sync_dir(data)
