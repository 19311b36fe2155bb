"""Spoiling a payload leaf by leaf: what the tests of malformed messages share."""

from typing import Any

Path = tuple[Any, ...]


def places(value: Any, path: Path = ()) -> list[Path]:
    """Every leaf of a payload."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in places(v, (*path, k))]
    if isinstance(value, list):
        return [p for i, v in enumerate(value) for p in places(v, (*path, i))]
    return [path]


def put(value: Any, path: Path, new: Any) -> Any:
    """A copy of the payload with another leaf."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy
