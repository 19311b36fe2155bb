"""The page's files, as Vite built them into `server/page/`. `index.html` is asked for anew each time; what carries a hash in its
name never changes and is kept for ever. Without a built page, `/` says how to build it.
"""

import mimetypes
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tapeline.server.contract.operations import Described, Operation

PAGE = Path(__file__).parent / "page"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".json": "application/json",
         ".webmanifest": "application/manifest+json", ".wasm": "application/wasm", ".ico": "image/x-icon"}  # fmt: skip
EMBEDDED = re.compile(r"embed/(?:chart|book|tape|heatmap)/?")
MISSING = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Tapeline</title>
<h1>Tapeline is running; its page is not built</h1>
<p>In a clone of the repository, build it with <code>make setup</code> and start again.</p>
<p>The API works without it: <a href="/api/v1/status">/api/v1/status</a>, <a href="/api/v1/instruments">/api/v1/instruments</a>.</p>
</html>
"""


PAGE_MISSING = Operation("GET", "/", "How to build the page", media="text/html", listed=False)
DOCS = Operation("GET", "/docs", "The API's OpenAPI document, to be read and tried", media="text/html", listed=False)


class PageFiles(StaticFiles):
    """The files, and one of them for every panel that can be embedded: which one it is, it reads from its address."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if EMBEDDED.fullmatch(path):
            path = "embed.html"
        response = await super().get_response(path, scope)
        hashed = path.startswith("assets/")
        response.headers["cache-control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return response


async def missing(_: Request) -> Response:
    return HTMLResponse(MISSING, headers={"cache-control": "no-cache"})


def page_routes(directory: Path = PAGE) -> list[BaseRoute]:
    for (
        suffix,
        kind,
    ) in TYPES.items():  # a machine's own table may say otherwise (Windows: .js as text/plain), and nosniff is strict
        mimetypes.add_type(kind, suffix)
    docs = directory / "docs.html"

    async def show_docs(request: Request) -> Response:
        return FileResponse(docs, headers={"cache-control": "no-cache"}) if docs.is_file() else await missing(request)

    described = Described(show_docs, DOCS)
    if (directory / "index.html").is_file():
        return [described, Mount("/", PageFiles(directory=directory, html=True))]
    return [described, Described(missing, PAGE_MISSING)]
