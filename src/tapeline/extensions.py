"""What other packages add: classes found by entry point, so that installing a package is all that its user does.

    [project.entry-points."tapeline.metrics"]        in the pyproject.toml of that package
    whale_share = "my_package:WhaleShare"

Groups: `tapeline.metrics` (a `tapeline.Metric`) and `tapeline.notifiers` (docs/alerts.md). A package that cannot be loaded is told
of and left out: what is named in the settings and missing then is an error of its own.
"""

import importlib.metadata
from functools import cache

import structlog

from tapeline.errors import UsageError

log = structlog.get_logger("tapeline.extensions")


@cache
def found(group: str) -> dict[str, type]:
    """The classes of a group by the names of their entry points; `group` without `tapeline.`"""
    classes: dict[str, type] = {}
    for entry in sorted(importlib.metadata.entry_points(group=f"tapeline.{group}"), key=lambda e: e.name):
        try:
            classes[entry.name] = _class(entry)
        except (Exception, SystemExit) as e:  # noqa: BLE001 - a package of somebody else may raise anything, or be a script
            log.warning("an extension cannot be used", group=group, name=entry.name, reason=f"{type(e).__name__}: {e}")
    return classes


def _class(entry: importlib.metadata.EntryPoint) -> type:
    loaded = entry.load()
    if not isinstance(loaded, type):
        raise UsageError(f"{entry.value} is no class")
    return loaded
