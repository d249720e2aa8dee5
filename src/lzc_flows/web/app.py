"""The application: pages, JSON and static files, guarded."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp

from lzc_flows.errors import InputError
from lzc_flows.report.page.assets import PLOTLY, SHARED
from lzc_flows.web.data import data_routes
from lzc_flows.web.guard import ReadOnly
from lzc_flows.web.live import Live
from lzc_flows.web.pages import FOLDER, make_templates, page_routes
from lzc_flows.web.source import DatabaseAwayError

POLL_S = 3.0
"""How often an open page asks for what is new, in s."""

FILES = {
    "style": SHARED / "style.css",
    "figures": SHARED / "figures.js",
    "live_style": FOLDER / "static" / "live.css",
    "live": FOLDER / "static" / "live.js",
    "charts": FOLDER / "static" / "charts.js",
    "icon": FOLDER / "static" / "icon.svg",
    # as the installed plotly brings it: nothing is fetched from elsewhere
    "plotly": PLOTLY,
}
"""The files that pages use, by name."""

_FOREVER = "public, max-age=31536000, immutable"


def create_app(live: Live, hosts: Sequence[str], poll_s: float = POLL_S) -> ASGIApp:
    """Return the application.

    Parameters
    ----------
    live
        What it shows; closed when the application ends.
    hosts
        Names by which browsers may ask for it: another name is one that points here without our knowing (DNS
        rebinding), and is refused.
    poll_s
        How often an open page asks for what is new, in s.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        live.close()

    addresses = {name: f"/static/{_digest(path)}/{path.name}" for name, path in FILES.items()}
    templates = make_templates(poll_s, addresses)
    errors = _Errors(templates, live)
    app = Starlette(
        routes=[
            *page_routes(live, templates),
            *data_routes(live),
            *(Route(addresses[name], _serve(path)) for name, path in FILES.items()),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={
            InputError: errors.not_there,
            HTTPException: errors.of_http,
            DatabaseAwayError: errors.away,
            Exception: errors.failed,
        },
        lifespan=lifespan,
    )
    return ReadOnly(app)  # around all of it: answers to errors are guarded as well


def _digest(path: Path) -> str:
    """Return what an address holds of a file's content, so that a browser may keep it for ever."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _serve(path: Path) -> Callable[[Request], Response]:
    def file(_: Request) -> Response:
        return FileResponse(path, headers={"cache-control": _FOREVER})

    return file


class _Errors:
    """What went wrong, as a page, or as JSON and as plain text for scripts."""

    def __init__(self, templates: Jinja2Templates, live: Live) -> None:
        self.templates, self.live = templates, live

    def not_there(self, request: Request, error: Exception) -> Response:
        return self._say(request, 404, "Not there", str(error))

    def of_http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._say(request, error.status_code, "Not there", str(error.detail))

    def away(self, request: Request, _: Exception) -> Response:
        return self._say(request, 503, "The database does not answer", "This page goes on when it is back.")

    def failed(self, request: Request, error: Exception) -> Response:
        reason = f"{type(error).__name__}; the terminal of `lzc web` says more."
        return self._say(request, 500, "That went wrong", reason)

    def _say(self, request: Request, status: int, title: str, message: str) -> Response:
        path = request.url.path
        if path.startswith("/api/"):
            return JSONResponse({"error": message}, status)
        if path.startswith("/part/"):
            return PlainTextResponse(message, status)
        context = {"title": title, "message": message, "away_since": self.live.source.away_since}
        return self.templates.TemplateResponse(request, "error.html", context, status_code=status)
