"""What a live session is asked to make is known before it begins: a name that is none stops it there, with the fix."""

from collections.abc import Collection, Iterator

from tapeline.config import PipelineSettings
from tapeline.engine import extending
from tapeline.engine.lanes import MOST_KINDS
from tapeline.errors import ConfigError, UsageError
from tapeline.market.barkinds.slots import Trading
from tapeline.market.barkinds.specs import BarSpec, live_kinds
from tapeline.market.metrics.base import Metric
from tapeline.market.metrics.groups import parse_group


def check(pipeline: PipelineSettings) -> None:
    """Raises ConfigError. A replay does not come here: it says what it lacks, and goes on."""
    for name, kind in live_kinds(pipeline.bars):
        if not isinstance(kind, BarSpec):
            raise ConfigError("pipeline.bars", name, str(kind))
    if len(set(pipeline.bars)) > MOST_KINDS:
        raise ConfigError("pipeline.bars", len(set(pipeline.bars)), f"name {MOST_KINDS} kinds at most")
    for name, metric in extending.made(pipeline.metrics):
        if not isinstance(metric, Metric):
            raise ConfigError("pipeline.metrics", name, str(metric))
    names = set[str]()
    for text in pipeline.groups:
        try:
            name = parse_group(text).name
        except UsageError as e:
            raise ConfigError("pipeline.groups", text, str(e)) from e
        if name in names:
            raise ConfigError("pipeline.groups", text, f"there is a group {name} already: give this one another name")
        names.add(name)


def absent(pipeline: PipelineSettings, streamed: Collection[str]) -> Iterator[str]:
    """What to say of members of groups that are not streamed: the group goes on without them."""
    for group in map(parse_group, pipeline.groups):
        if lacking := [member for member in group.members if member not in streamed]:
            yield f"group {group.name}: {', '.join(lacking)} not streamed, so never among it; name them as instruments, too"


def exchanges(pipeline: PipelineSettings) -> list[str]:
    """Whose calendars the bars go by: reading one takes a moment, so it is done before anything is streamed."""
    kinds = (kind for _, kind in live_kinds(pipeline.bars))
    return [kind.slots.session for kind in kinds if isinstance(kind, BarSpec) and isinstance(kind.slots, Trading)]
