"""Logs go to standard error, in the form that was asked for, without secrets; ours and those of libraries alike."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tapeline.cli import app

SRC = Path(app.__file__).parents[2]
SAY = """
import logging, structlog
from tapeline.cli.logs import configure
configure(as_json={as_json}, verbose={verbose})
log = structlog.get_logger("tapeline.test")
log.debug("whispered")
log.info("connected", url="wss://me:c0ffee@venue?token=c0ffee", api_key="c0ffee", attempt=2)
logging.getLogger("library").warning("from outside with token=%s", "c0ffee")
logging.getLogger("library").info("chatter")
try:
    raise OSError("http://me:c0ffee@proxy refused")
except OSError:
    log.exception("failed")
"""


def said(*, as_json: bool, verbose: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SAY.format(as_json=as_json, verbose=verbose)],
        env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == ""
    assert "c0ffee" not in done.stderr
    return done.stderr


def test_readable_lines():
    text = said(as_json=False)
    assert "connected" in text
    assert "attempt=2" in text
    assert "from outside with token=***" in text
    assert "OSError: http://***@proxy refused" in text
    assert "whispered" not in text
    assert "chatter" not in text
    assert "\x1b[" not in text  # no terminal, no colours


def test_json_lines():
    lines = [json.loads(line) for line in said(as_json=True).splitlines()]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert lines[0]["event"] == "connected"
    assert lines[0]["api_key"] == "***"
    assert lines[0]["url"] == "wss://***@venue?token=***"
    assert all(line["time"].endswith("Z") for line in lines)
    assert "OSError" in lines[2]["exception"]


def test_verbose_adds_what_is_whispered():
    lines = [json.loads(line)["event"] for line in said(as_json=True, verbose=True).splitlines()]
    assert {"whispered", "chatter"} <= set(lines)
