"""`tapeline metrics`: what can be sampled, to look through and to search."""

import re
from typing import Annotated

from cyclopts import Parameter

from tapeline.cli import context, output
from tapeline.errors import UsageError

FEW = 3
HEAD = ("metric", "unit", "after a hole", "what")


def metrics(
    query: Annotated[str | None, Parameter(help="Part of a name or of what it says.")] = None,
    /,
    *,
    json: context.Json = False,
) -> None:
    """List or search the metrics that can be sampled, those of installed packages among them.

    A name is written as shown, with other parameters where you like: vwap_15m. docs/analytics.md has formulas and sources.
    """
    from tapeline.engine import extending
    from tapeline.market.metrics import catalogue, registry

    extending.install()
    words = (query or "").casefold()
    entries = [catalogue.entry(found) for _, found in sorted(registry.METRICS.items())]
    chosen = [e for e in entries if words in e["form"].casefold() or words in e["text"].casefold()]
    if not chosen:
        raise UsageError(f"no metric says {query!r}; `tapeline metrics` lists all {len(entries)}")
    if json:
        output.write_json(chosen)
        return
    gaps = {"none": "as before", "window": "incomplete"}
    shown = _whole if len(chosen) <= FEW else _first_sentence
    output.write(output.columns([HEAD, *((e["form"], e["unit"] or "-", gaps[e["gap"]], shown(e["text"])) for e in chosen)]))


def _whole(text: str) -> str:
    return " ".join(text.split())


def _first_sentence(text: str) -> str:
    return re.split(r"\.(?:\s|$)|:\s|\s\(", _whole(text).replace("`", ""), maxsplit=1)[0]
