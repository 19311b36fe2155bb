"""What a file system keeps through a power cut: only what it was told to keep."""

import os
from pathlib import Path


def sync_file(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Windows has no such thing, and needs none: its file system keeps renames in order."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
