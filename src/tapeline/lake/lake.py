"""The reader's door to everything that is kept: `tl.open(data)` gives a `Lake`.

What it answers is Arrow tables, so that pandas, polars and DuckDB take them without a copy. Each question reads a new catalogue, so
an open `Lake` of a live session sees what has been committed up to that moment, and no lock is held in between.
"""

from pathlib import Path

from tapeline.lake.catalogue import Catalogue, read


class Lake:
    """The lake under `data`, read only. Usable from several threads; nothing has to be closed, but `with` works."""

    def __init__(self, data: str | Path) -> None:
        """Raises UsageError where there is no lake."""
        self.data = Path(data)
        read(self.data)

    def catalogue(self) -> Catalogue:
        """What is in it now, file by file."""
        return read(self.data)
