"""Documents cannot rot: what there is, is documented; what is documented, is there; and README's commands run."""

import ast
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tapeline import events, settings
from tapeline.cli import app as cli
from tapeline.server.prometheus import METRICS

ROOT = Path(__file__).parent.parent
SHELL = re.compile(r"^```sh(?P<run> run)?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def tracked() -> list[Path]:
    """The files that git knows of; where this is no clone (an unpacked archive), all that are not made."""
    asked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if asked.returncode == 0:
        found = [ROOT / name for name in asked.stdout.split("\0") if name]
    else:
        made = {".venv", "node_modules", "__pycache__", "page", "data", "dist"}
        found = [p for p in ROOT.rglob("*") if not made & set(p.relative_to(ROOT).parts)]
    return [p for p in found if p.is_file() and not p.is_symlink()]


def markdown() -> list[Path]:
    return [p for p in tracked() if p.suffix == ".md"]


def generated():
    spec = importlib.util.spec_from_file_location("tools_docs", ROOT / "tools" / "docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(text: str) -> list[str]:
    """The lines of every sh block, continued ones joined."""
    lines = []
    for block in SHELL.finditer(text):
        lines += [line for line in block["body"].replace("\\\n", " ").splitlines() if line.strip()]
    return lines


def test_the_pages_made_from_the_code_are_up_to_date():
    assert generated().outdated() == [], "run `make docs`"


def test_every_command_is_documented_and_its_help_works(capsys):
    page = (ROOT / "docs" / "cli.md").read_text()
    for name in cli.COMMANDS:
        assert cli.launch([name, "--help"]) == 0
        assert f"tapeline {name}" in capsys.readouterr().out
        assert f"## tapeline {name}\n" in page


def test_every_setting_event_field_flag_and_metric_is_documented():
    page = (ROOT / "docs" / "settings.md").read_text()
    for key in settings.catalogue().values():
        assert generated().spelt_out(key.env) in page
    page = (ROOT / "docs" / "events.md").read_text()
    for tag, kind in events.TYPES.items():
        section = page.partition(f"\n## {tag}\n")[2].partition("\n## ")[0]
        for field in set(events.fields(kind)) - {"instrument", "ts_event", "ts_recv", "flags"}:
            assert f"`{field}`" in section, (tag, field)
    for flag in events.Flag:
        assert f"`{flag.name}`" in page
    page = (ROOT / "docs" / "metrics.md").read_text()
    for metric in METRICS:
        assert f"`{metric.name}" in page


def test_every_metric_that_is_named_anywhere_exists():
    names = {m.name + ("_total" if m.kind == "counter" else "") for m in METRICS}
    for path in markdown():
        for name in re.findall(r"`(tapeline_[a-z_]+)`", path.read_text()):
            assert name in names, (path, name)


def test_links_between_files_lead_somewhere():
    link = re.compile(r"\]\((?!https?://|mailto:|#)([^)#\s]+)[^)]*\)")
    links = [(path, target) for path in markdown() for target in link.findall(path.read_text())]
    assert len(links) > 10
    wrong = [f"{path.relative_to(ROOT)} → {target}" for path, target in links if not (path.parent / target).exists()]
    assert wrong == []


def test_the_architecture_fits_on_a_page_and_has_one_drawing():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    assert len(text.split()) <= 500
    assert text.count("```") == 2


def test_no_tracked_file_names_a_machine_or_a_package_index():
    """Built where somebody works, read where somebody else does: no absolute home, no index of theirs."""
    bad = re.compile(
        r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work|tmp/wt)/\w|file:///|pypi\.org/simple|registry\.npmjs\.org|"
        r"--(?:extra-)?index-url|\"resolved\": \"http"
    )
    wrong = []
    for path in tracked():
        if path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += [f"{path.relative_to(ROOT)}: {m.group()}" for m in bad.finditer(text)]
    assert wrong == []


def test_every_command_line_in_the_documents_can_be_parsed():
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    parsed = 0
    for path in markdown():
        for line in commands(path.read_text()):
            for part in re.split(r"\||&&|;", line.partition(" #")[0]):
                words = [w for w in shlex.split(part) if not re.fullmatch(r"[A-Z_]+=\S*", w) or part.strip().startswith("make")]
                if words[:1] == ["make"]:
                    assert {w for w in words[1:] if "=" not in w} <= targets, (path, line)
                elif words[:1] == ["tapeline"]:
                    parsed += parses(words[1:], f"{path.name}: {line}")
    assert parsed > 5


def parses(words: list[str], where: str) -> int:
    """1: the command is there and takes these words."""
    if not words[0].startswith("-"):
        assert words[0] in cli.COMMANDS, where
        read = [i for i, word in enumerate(words) if word == "--set" or words[i - 1] == "--set"]  # by the launcher
        words = [word for i, word in enumerate(words) if i not in read]
        cli.build().parse_args(words, exit_on_error=False, print_error=False)
    return 1


def runnable() -> list[str]:
    return [b["body"] for p in markdown() for b in SHELL.finditer(p.read_text()) if b["run"]]


@pytest.mark.parametrize("block", runnable())
def test_the_commands_marked_as_runnable_run(block, tmp_path):
    """As a newcomer would: in an empty folder, in a shell that stops at the first failure."""
    launcher = tmp_path / "bin" / "tapeline"
    launcher.parent.mkdir()
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT / "src"}" exec "{sys.executable}" -m tapeline "$@"\n')
    launcher.chmod(0o755)
    place = tmp_path / "place"
    place.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith("TAPELINE_")}
    env["PATH"] = f"{launcher.parent}{os.pathsep}{env['PATH']}"
    env["TAPELINE_WIRE_CONNECT_SECONDS"] = "2"
    script = "set -eu\n" + block
    done = subprocess.run(
        ["sh", "-c", script], cwd=place, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_there_is_something_to_run_and_a_failing_block_would_be_seen(tmp_path):
    assert len(runnable()) >= 2
    with pytest.raises(AssertionError):
        test_the_commands_marked_as_runnable_run("tapeline no-such-command\n", tmp_path)


def test_every_public_room_says_what_it_is():
    """A header says the theory. Whoever opens a file learns there what it is for."""
    bare = [
        str(p.relative_to(ROOT))
        for p in (ROOT / "src").rglob("*.py")
        if p.read_text().strip() and ast.get_docstring(ast.parse(p.read_text())) is None
    ]
    assert bare == []
