"""The rule of conftest.py, tried on a small project of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run(tmp_path: Path, body: str, *, ci: bool, shared: bool = False) -> tuple[int, str]:
    project = tmp_path / "clone"
    (project / "tests").mkdir(parents=True)
    shutil.copy(HERE / "conftest.py", project / "tests")
    (project / "tests" / "test_it.py").write_text("import pytest\n" + body)
    if shared:
        (tmp_path / "shared" / "frames").mkdir(parents=True)
    env = {k: v for k, v in os.environ.items() if k not in {"CI", "TAPELINE_SHARED"} and not k.startswith("PYTEST")}
    env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take a slow machine longer to load than all else here
    if ci:
        env["CI"] = "true"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


SKIP = "def test_a():\n    pytest.skip('no browser')\n"
NO_FRAMES = "def test_a(shared_frames):\n    assert shared_frames.is_dir()\n"


def test_a_skip_is_allowed_at_home_and_fails_on_ci(tmp_path):
    assert run(tmp_path / "home", SKIP, ci=False)[0] == 0
    code, text = run(tmp_path / "ci", SKIP, ci=True)
    assert code == 1
    assert "no browser" in text
    assert "proves nothing" in text


def test_a_missing_shared_folder_may_be_skipped_everywhere(tmp_path):
    code, text = run(tmp_path / "without", NO_FRAMES, ci=True)
    assert code == 0, text
    assert "1 skipped" in text
    code, text = run(tmp_path / "with", NO_FRAMES, ci=True, shared=True)
    assert "1 passed" in text


def test_naming_a_folder_that_is_there_excuses_nothing(tmp_path):
    body = "def test_a():\n    pytest.skip('no ../shared/frames')\n"
    assert run(tmp_path, body, ci=True, shared=True)[0] == 1


def test_whole_modules_and_fixtures_count_too_and_expected_failures_do_not(tmp_path):
    assert run(tmp_path / "module", "pytest.skip('no node', allow_module_level=True)\n", ci=True)[0] != 0
    fixture = "@pytest.fixture\ndef f():\n    pytest.skip('no disk')\ndef test_a(f): pass\n"
    assert run(tmp_path / "fixture", fixture, ci=True)[0] == 1
    assert run(tmp_path / "xfail", "@pytest.mark.xfail\ndef test_a(): assert 0\n", ci=True)[0] == 0
