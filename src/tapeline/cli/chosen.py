"""Which set a session streams: the one named on the command line, the one that the last session left, or the settings'.

    named                                   a new set
    none named, one kept, same settings     the kept one, as it was when the last session ended
    none named, settings edited since       the settings', a new set
    none named, none kept                   the settings'

Names on the command line and in the settings must be right; of a kept set, what cannot be streamed any more is left out and said.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tapeline.cli import context
from tapeline.cli.live import say
from tapeline.cli.output import many
from tapeline.config import Settings
from tapeline.engine import subscriptions
from tapeline.engine.connections import is_simulated, real_name
from tapeline.engine.subscriptions import FILE, Kept, Wanted
from tapeline.errors import ConfigError, UsageError
from tapeline.instruments import split_id, split_pair
from tapeline.venues.registry import venue_class

Configured = tuple[tuple[str, ...], tuple[str, ...]]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """`why`: which set this is, for a person. `kept`: it was taken up from the last session."""

    settings: Settings
    configured: Configured
    wanted: Wanted
    why: str
    kept: bool = False


def choose(named: tuple[str, ...], channels: str | None, flags: Mapping[str, object]) -> Chosen:
    """The settings in force and the set to stream, its names looked at before anything is started. ConfigError, UsageError."""
    for name in named:
        _whole(name)
    loaded = context.load(flags)
    base = loaded.settings
    configured: Configured = (base.instruments, base.channels)
    settings = context.load({**flags, "channels": channels, **({"instruments": named} if named else {})}).settings
    kept = None if named else _kept(Path(settings.data), configured)
    if kept is not None:
        wanted = {name: settings.channels if channels else had for name, had in kept.items()}
        count, file = many(len(wanted), "instrument"), Path(settings.data) / FILE
        why = f"{count} of {file}, as the last session left them; name some to begin a new set"
        return Chosen(settings=settings, configured=configured, wanted=wanted, why=why, kept=True)
    for name in settings.instruments:
        try:
            _served(name)
        except UsageError as e:
            if named:
                raise
            raise ConfigError("instruments", name, f"{e} ({loaded.origin('instruments')})") from None
    origin = "named here" if named else f"of the settings ({loaded.origin('instruments')})"
    why = f"{many(len(settings.instruments), 'instrument')} {origin}, a new set"
    wanted = subscriptions.wanted(settings.instruments, settings.channels)
    return Chosen(settings=settings, configured=configured, wanted=wanted, why=why)


def _kept(data: Path, configured: Configured) -> Wanted | None:
    """The set that the last session left, None where there is none that counts."""
    try:
        kept = subscriptions.load(data)
    except (ValueError, OSError) as e:
        try:
            where = f"it is kept as {subscriptions.put_aside(data)}"
        except OSError:
            where = "it is left aside"
        say(f"{data / FILE} cannot be read ({e}): {where}")
        return None
    if kept is None or not kept.subscriptions:
        return None
    if kept.configured != configured:
        say(f"the settings name other instruments or channels than when {data / FILE} was begun: it is left aside")
        return None
    return _usable(kept)


def _usable(kept: Kept) -> Wanted | None:
    usable = dict(kept.subscriptions)
    for name in kept.subscriptions:
        try:
            _served(name)
        except UsageError as e:
            say(f"{FILE}: {e}; it is left out")
            del usable[name]
    return usable or None


def _whole(name: str) -> None:
    """`btcusdt` and `BTC-USDT` are what people type first: the answer spells out what they meant."""
    if ":" in name:
        return
    pair = split_pair(name.upper().replace("-", "").replace("/", ""))
    likely = "-".join(pair or ("BTC", "USDT"))
    raise UsageError(
        f"{name!r} is no instrument: write venue:symbol, as in binance:{likely}; `tapeline instruments {name}` searches the venues"
    )


def _served(name: str) -> None:
    venue, _ = split_id(name)
    if is_simulated(venue):
        real = real_name(name)
        raise UsageError(f"{name} is what the simulated market calls it: name the real one and add --simulate, as in {real}")
    venue_class(venue)
