"""Intervals of time by name: `market/intervals.py`, by the lake's own name for it."""

from tapeline.market.intervals import Interval, interval_of, step_of

__all__ = ["Interval", "interval_of", "step_of"]
