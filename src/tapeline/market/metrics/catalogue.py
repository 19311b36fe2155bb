"""What the metrics say of themselves: for `tapeline metrics`, `/api/v1/metrics/catalogue` and docs/analytics.md."""

import inspect
from collections.abc import Iterator
from typing import Any

from tapeline.market.metrics import registry
from tapeline.market.metrics.base import Metric


def entry(found: type[Metric]) -> dict[str, Any]:
    """What one class says. `form`: how a full name looks; `family`: the file it lives in; `text`: its docstring."""
    return {
        "name": found.name,
        "form": registry.form(found),
        "family": found.__module__.rpartition(".")[2],
        "unit": found.unit,
        "gap": found.gap,
        "warm_up": found.warm_up,
        "parts": list(found.parts),
        "parameters": [{"name": p.name, "kind": p.kind, "default": p.default} for p in found.parameters],
        "text": inspect.getdoc(found) or "",
    }


def families() -> Iterator[tuple[str, list[type[Metric]]]]:
    """The docstring of each file of metrics, and its metrics, in the order in which they are registered."""
    modules = dict.fromkeys(found.__module__ for found in registry.METRICS.values())
    for name in modules:
        found = [m for m in registry.METRICS.values() if m.__module__ == name]
        yield inspect.getdoc(inspect.getmodule(found[0])) or "", found
