"""Names of rules and targets: they stand in settings, variables, addresses and logs."""

import re

from tapeline.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def check_name(name: str) -> str:
    """The name itself. Raises UsageError."""
    if _NAME.fullmatch(name) is None:
        raise UsageError(f"{name[:80]!r} can be no name: small letters, digits and hyphens, at most 64, as in btc-high")
    return name
