"""The metrics of other packages, looked for once a name is met that is none of ours: looking takes tens of milliseconds."""

from collections.abc import Iterable, Iterator
from functools import cache

import structlog

from tapeline import extensions
from tapeline.errors import UsageError
from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Metric

log = structlog.get_logger("tapeline.extensions")


@cache
def install() -> None:
    """Register them. One that cannot be is told of and left out."""
    for name, found in extensions.found("metrics").items():
        try:
            registry.register(found)
        except UsageError as e:
            log.warning("an extension cannot be used", group="metrics", name=name, reason=str(e))


def made(names: Iterable[str]) -> Iterator[tuple[str, Metric | UsageError]]:
    """As `registry.made`, with the metrics of other packages."""
    for name, found in registry.made(names):
        if isinstance(found, UsageError):
            install()
            yield from registry.made([name])
        else:
            yield name, found


def metric(full_name: str) -> Metric:
    """As `registry.metric`, with the metrics of other packages. Raises UsageError."""
    ((_, found),) = made([full_name])
    if isinstance(found, UsageError):
        raise found
    return found
