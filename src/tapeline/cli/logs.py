"""Logs: structlog to standard error, readable or as JSON lines, always masked. The standard library's loggers end here too."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from tapeline.clock import LiveClock, iso
from tapeline.masking import is_secret, mask

_clock = LiveClock()


def _stamp(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["time"] = iso(_clock.now())[:23] + "Z"
    return event


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if is_secret(name):
            event[name] = "***"
        elif isinstance(value, str):
            event[name] = mask(value)
    return event


def configure(*, as_json: bool, verbose: bool = False) -> None:
    level = logging.DEBUG if verbose else logging.INFO
    shared: list[structlog.typing.Processor] = [structlog.stdlib.add_log_level, _stamp]
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="time", pad_event_to=0)
    )
    # The mask comes after the trace has become text: an exception's message may hold an address with its password.
    traces: list[structlog.typing.Processor] = [structlog.processors.format_exc_info]
    tail = [*traces, _mask, render]
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_meta, *tail]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)


def _drop_meta(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, method, event)
