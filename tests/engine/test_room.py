import shutil
from pathlib import Path

import pytest

from tapeline.clock import SECOND
from tapeline.engine.room import Disk


def test_free_and_total_of_the_file_system(tmp_path: Path) -> None:
    usage, row = shutil.disk_usage(tmp_path), Disk(tmp_path).row(0)
    assert row is not None
    assert (row["path"], row["total"]) == (str(tmp_path), usage.total)
    assert isinstance(row["free"], int)
    assert 0 < row["free"] <= usage.total


def test_asked_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or real(path))
    disk = Disk(tmp_path)
    for second in range(11):
        disk.row(second * SECOND)
    assert len(asked) == 3


def test_a_directory_that_is_gone_is_not_known(tmp_path: Path) -> None:
    assert Disk(tmp_path / "gone").row(0) is None
