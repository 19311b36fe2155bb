"""The whole state of a pipeline as bytes: loaded again and fed what comes after, it makes what the first one makes, byte for byte.

The bytes are a pickle, because state is a web of plain Python objects that point at each other (a lane at its feed, a route at its
decoder), and pickle keeps who is who. What pickle is feared for is shut out:

* **Nothing foreign is run.** Loading finds only classes and functions that the pure rooms themselves define (no I/O, no clock, by
  the test of the floors), and the few of `_OUTSIDE`. Methods come back through `_bound`, never through `getattr`. A forged state can
  hold nonsense, as a forged tape can, and can spoil the classes of those rooms for the process that loads it; it cannot reach a
  function that does anything but compute, nor any of our settings but those of the pipeline.
* **Nothing stale is trusted.** The stamp names the source of those rooms and the Python that ran them. A state of any other stamp is
  not even opened, and the replay begins earlier.
* **Nothing secret is in it.** A replay's pipeline never has keys. Of the venues' settings, addresses among them, only those
  that shape events are kept, which are those that a session's head holds.

What holds functions made at run time (a decoder's routes) leaves them out and makes them again when they are needed.
"""

import pickle
import platform
from collections import deque
from collections.abc import Callable
from enum import Enum
from fractions import Fraction
from functools import cache, partial
from hashlib import sha256
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import msgspec
import structlog

import tapeline
from tapeline.config import SHAPING, PipelineSettings, VenueSettings
from tapeline.engine.pipeline import Pipeline
from tapeline.errors import TapeError
from tapeline.frames import FrameKind
from tapeline.market.quality import Seen
from tapeline.market.sync import Fit, State
from tapeline.tape import layout, states

log = structlog.get_logger("tapeline.checkpoint")
_PROTOCOL = 5
_ROOMS = ("tapeline.venues.", "tapeline.market.")
_MODULES = {f"tapeline.{name}" for name in ("events", "frames", "instruments", "plans")}
_MODULES |= {f"tapeline.engine.{name}" for name in ("answers", "carriers", "connections", "lane", "lanes", "nameless")}
_MODULES |= {f"tapeline.engine.{name}" for name in ("pipeline", "records", "sampling", "spares", "trades")}
_SOURCES = ("*.py", "venues/*.py", "market/**/*.py", "engine/*.py")


def _bound(owner: object, name: str) -> MethodType:
    """A method of one of our objects. Raises pickle.UnpicklingError where it is anything else."""
    method = None if isinstance(owner, type) or name.startswith("__") else getattr(type(owner), name, None)
    if not _is_ours(type(owner).__module__) or not isinstance(method, FunctionType):
        raise pickle.UnpicklingError(f"{type(owner).__name__}.{name} is no method of a pipeline's state")
    return MethodType(method, owner)


def _rebuilt(kind: type[msgspec.Struct], fields: dict[str, Any]) -> Any:
    """What msgspec calls for structs with fields that go by keyword only."""
    return kind(**fields)


_OUTSIDE: dict[tuple[str, str], object] = {
    ("collections", "deque"): deque,
    ("fractions", "Fraction"): Fraction,
    ("functools", "partial"): partial,
    ("msgspec._utils", "rebuild"): _rebuilt,
    ("tapeline.config", "PipelineSettings"): PipelineSettings,
    ("tapeline.config", "VenueSettings"): VenueSettings,
    (__name__, "_bound"): _bound,
    (__name__, "_rebuilt"): _rebuilt,
}


def _is_ours(module: str) -> bool:
    return module in _MODULES or module.startswith(_ROOMS)


def _reduce_method(method: MethodType) -> tuple[Callable[..., Any], tuple[object, str]]:
    """Raises pickle.PicklingError where the name would find another one: of a base class, private, or put in by hand."""
    owner, name = method.__self__, method.__func__.__name__
    if getattr(type(owner), name, None) is not method.__func__:
        raise pickle.PicklingError(f"{type(owner).__name__}.{name} would come back as another method")
    return _bound, (owner, name)


def _reduce_venue(settings: VenueSettings) -> tuple[Callable[..., Any], tuple[type, dict[str, Any]]]:
    return _rebuilt, (VenueSettings, {key: getattr(settings, key) for key in SHAPING})


def _reduce_member(member: Enum) -> tuple[type[Enum], tuple[Any]]:
    """As Python does since 3.11.4; before, members come back through `getattr`."""
    return type(member), (member.value,)


ENUMS = (FrameKind, Fit, Seen, State)
"""All that a state may hold a member of."""


class _Pickler(pickle.Pickler):
    dispatch_table = {  # noqa: RUF012 - as pickle reads it
        MethodType: _reduce_method,
        VenueSettings: _reduce_venue,
        **dict.fromkeys(ENUMS, _reduce_member),
    }


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (known := _OUTSIDE.get((module, name))) is not None:
            return known
        if _is_ours(module):
            found = getattr(import_module(module), name, None)
            if isinstance(found, (type, FunctionType)) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a pipeline's state")


def dump(pipeline: Pipeline) -> bytes:
    """Between two frames, with what it asks for taken out of `requests` and `notices`: those are of the past. Raises TapeError where
    a metric of another package is on: it may hold anything, and nothing foreign is loaded.
    """
    if not pipeline.portable:
        raise TapeError("a metric of another package is on, whose state cannot be kept")
    out = BytesIO()
    _Pickler(out, _PROTOCOL).dump(pipeline)
    return out.getvalue()


def load(raw: bytes) -> Pipeline:
    """Raises TapeError where it is none."""
    try:
        found = _Unpickler(BytesIO(raw)).load()
    except Exception as e:  # bytes that are no pickle raise whatever they please
        raise TapeError(f"a pipeline's state cannot be read: {type(e).__name__}: {e}") from e
    if not isinstance(found, Pipeline):
        raise TapeError("it is no pipeline's state")
    found.requests.clear()
    found.notices.clear()
    return found


@cache
def stamp() -> bytes:
    """Of the code that runs here: what shapes a pipeline, and the Python that it shapes it with."""
    house = Path(tapeline.__file__).parent
    python = f"{platform.python_implementation()} {platform.python_version()} msgspec {msgspec.__version__}"
    made = sha256(f"{tapeline.__version__} {python}".encode())
    for pattern in _SOURCES:
        for path in sorted(house.glob(pattern)):
            made.update(path.relative_to(house).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return made.digest()


def latest(
    root: Path, session: str, *, most: int | None = None, before: int | None = None, least: int = 0, first: bool = False
) -> tuple[Pipeline, int] | None:
    """The pipeline of the last usable state, and the seq of the frame to feed it next; None where there is none.

    Of those with `least` <= seq <= `most` that saw only frames received before `before` (ns); with `first` the first of them.
    """
    fit = [
        state
        for state in states.states(layout.session_dir(root, session))
        if state.stamp == stamp()
        and state.seq >= least
        and (most is None or state.seq <= most)
        and (before is None or state.ts < before)
    ]
    for state in fit if first else reversed(fit):
        try:
            return load(states.read(state)), state.seq
        except TapeError as e:
            log.warning("a state beside the tape cannot be used; the replay begins earlier", reason=str(e))
    return None
