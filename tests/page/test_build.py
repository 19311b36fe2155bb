"""What the page is built from, and when it is built anew."""

import json
import os
import re
from pathlib import Path

import hatch_build

WEB = Path(__file__).parents[2] / "web"


def test_the_lock_file_names_no_registry():
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert len(packages) > 10
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert all("integrity" in entry for name, entry in packages.items() if name)


def test_a_page_newer_than_its_sources_is_not_built_again(tmp_path, monkeypatch):
    web, page = tmp_path / "web", tmp_path / "page"
    for path in (web / "src" / "main.ts", web / "node_modules" / "later.js", page / "index.html"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    monkeypatch.setattr(hatch_build, "WEB", web)
    monkeypatch.setattr(hatch_build, "PAGE", page)
    os.utime(web / "src" / "main.ts", (1000, 1000))
    os.utime(page / "index.html", (2000, 2000))
    assert hatch_build.is_fresh()
    os.utime(web / "src" / "main.ts", (3000, 3000))
    assert not hatch_build.is_fresh()
    (page / "index.html").unlink()
    assert not hatch_build.is_fresh()


def test_the_policy_needs_no_exception_for_the_page():
    html = (WEB / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html) == []
    sources = [p.read_text() for p in (WEB / "src").rglob("*.ts")]
    assert [s for s in sources if re.search(r"innerHTML|insertAdjacentHTML|\beval\(|new Function", s)] == []
    assert "attributionLogo: false" in (WEB / "src" / "chart" / "axis.ts").read_text()  # it would bring an inline style
