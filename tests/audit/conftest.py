import shutil
from pathlib import Path

import pytest


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    """A copy, to be spoiled, of what the module's `sound` recorded."""
    shutil.copytree(sound, tmp_path / "d")
    return tmp_path / "d"
