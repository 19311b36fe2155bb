"""What the launcher leaves for the command that runs: the options of every command, and from them the settings.

A command calls `load({"server.port": port, "data": data})` with its own flags; one that was not given is None. Flags beat
`--set`, which beats the environment.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from tapeline import settings
from tapeline.errors import UsageError

config: str | None = None
assignments: dict[str, str] = {}

Json = Annotated[bool, Parameter(name="--json", help="JSON on standard output.")]


def read_assignments(texts: Iterable[str]) -> dict[str, str]:
    """`["server.port=8800"]` → {"server.port": "8800"}."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: write KEY=VALUE, as in --set server.port=8800")
        pairs[key.strip()] = value.strip()
    return pairs


def load(flags: Mapping[str, Any] | None = None) -> settings.Loaded:
    """The settings in force, with their origins. Raises ConfigError."""
    from tapeline.venues.registry import VENUES

    given = {k: v for k, v in (flags or {}).items() if v is not None}
    return settings.load({**assignments, **given}, config=config, venues=[*VENUES, "sim"])
