"""Names of rules and targets: they stand in settings, variables, addresses and logs."""

import re
from collections.abc import Collection
from itertools import count

from tapeline.errors import UsageError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NEEDS = "small letters, digits, hyphens and underscores, at most 64, as in btc-high"
LONGEST = 48


def name_of(text: str, taken: Collection[str]) -> str:
    """A name for a rule that was given none: `binance:BTC-USDT mid > 5` → `binance-btc-usdt-mid-5`."""
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST].strip("-") or "rule"
    return next(name for n in count(1) if (name := base if n == 1 else f"{base}-{n}") not in taken)


def check_name(name: str) -> str:
    """The name itself. Raises UsageError."""
    if NAME.fullmatch(name) is None:
        raise UsageError(f"{name[:80]!r} can be no name: {NEEDS}")
    return name
