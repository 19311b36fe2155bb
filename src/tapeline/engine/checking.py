"""What a live session is asked to make is known before it begins: a name that is none stops it there, with the fix."""

from tapeline.config import PipelineSettings
from tapeline.engine import extending
from tapeline.errors import ConfigError
from tapeline.market.barkinds.specs import BarSpec, live_kinds
from tapeline.market.metrics.base import Metric


def check(pipeline: PipelineSettings) -> None:
    """Raises ConfigError. A replay does not come here: it says what it lacks, and goes on."""
    for name, kind in live_kinds(pipeline.bars):
        if not isinstance(kind, BarSpec):
            raise ConfigError("pipeline.bars", name, str(kind))
    for name, metric in extending.made(pipeline.metrics):
        if not isinstance(metric, Metric):
            raise ConfigError("pipeline.metrics", name, str(metric))
