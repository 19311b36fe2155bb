"""The last resort for an event that a table cannot hold.

Decoders refuse numbers that are none and flag times that cannot be true, but they keep what a venue says: an id of 65 bits
or a time far past the year 2262 can reach a sink. One such event must not stop a sink for ever, so it is changed as little as
possible: an optional number that does not fit becomes null (not known), a time that does not fit stands at the limit and
is flagged BAD_TIME, a text that is no Unicode has the offending characters replaced. The tape keeps the venue's bytes.

Sinks call this only after a batch was refused: the usual batch pays nothing.
"""

from functools import cache
from typing import Any

import msgspec

from tapeline.events import Event, Flag, bare_type, fields

INT64_MAX = (1 << 63) - 1
INT64_MIN = -(1 << 63)


@cache
def _optional(event_type: type[Event]) -> frozenset[str]:
    return frozenset(name for name, hint in fields(event_type).items() if bare_type(hint)[1])


def storable(event: Event) -> Event:
    """The event itself where every table holds it, otherwise the nearest one that a table does hold."""
    changes: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
            changes[name] = None if name in _optional(type(event)) else max(INT64_MIN, min(value, INT64_MAX))
        elif isinstance(value, str) and not _is_unicode(value):
            changes[name] = value.encode("utf-8", "replace").decode("utf-8")
    if not changes:
        return event
    if changes.keys() & {"ts_event", "ts_recv", "ts_open"}:
        changes["flags"] = event.flags | Flag.BAD_TIME
    return msgspec.structs.replace(event, **changes)


def values_text(values: dict[str, float]) -> str:
    """A metrics event's values where a table has no maps: one JSON object."""
    return msgspec.json.encode(values).decode()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
