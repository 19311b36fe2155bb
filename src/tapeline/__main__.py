"""`python -m tapeline`."""

from tapeline.cli import entry

entry()
