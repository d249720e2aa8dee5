"""The pages, as HTML; their parts that change are asked for again by the page's script, as they stand here."""

from __future__ import annotations

import math
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from lzc_flows.api.stages import structures_of
from lzc_flows.errors import InputError
from lzc_flows.report.matrix import criteria_of
from lzc_flows.report.numbers import number_text
from lzc_flows.report.templates import strict_templates
from lzc_flows.web.live import Live
from lzc_flows.web.progress import STATES, failure_groups, stage_progress
from lzc_flows.web.table import View, look

FOLDER = Path(__file__).parent

AWAY_HEADER = "x-database-away-since"
"""Tells the page's script that the database does not answer, and since when."""


def page_routes(live: Live, templates: Jinja2Templates) -> list[Route]:
    """Return the routes of the pages and of their parts."""
    pages = Pages(live, templates)
    return [
        Route("/", pages.index),
        Route("/part/campaigns", pages.campaigns),
        Route("/part/progress/{name:path}", pages.progress),
        Route("/part/table/{name:path}", pages.table),
        # a name may hold anything, a slash too: the longer address comes first
        Route("/campaign/{name:path}/candidate/{key:path}", pages.candidate),
        Route("/campaign/{name:path}", pages.campaign),
    ]


class Pages:
    """The endpoints; what they raise is turned into pages by `lzc_flows.web.app`."""

    def __init__(self, live: Live, templates: Jinja2Templates) -> None:
        self.live, self.templates = live, templates

    def index(self, request: Request) -> Response:
        """Show all campaigns."""
        return self._answer(request, "index.html", campaigns=self._campaigns())

    def campaigns(self, request: Request) -> Response:
        """Show the list of campaigns alone."""
        return self._answer(request, "_campaigns.html", campaigns=self._campaigns())

    def campaign(self, request: Request) -> Response:
        """Show a campaign: progress, heatmap, candidates."""
        name = request.path_params["name"]
        self.live.status(name, patience_s=0)  # begun now: both are read at the same time
        context = self._table(name, request) | self._progress(name)
        return self._answer(request, "campaign.html", **context)

    def progress(self, request: Request) -> Response:
        """Show the progress of a campaign alone."""
        return self._answer(request, "_progress.html", **self._progress(request.path_params["name"]))

    def table(self, request: Request) -> Response:
        """Show the table of a campaign alone."""
        return self._answer(request, "_table.html", **self._table(request.path_params["name"], request))

    def candidate(self, request: Request) -> Response:
        """Show a candidate: numbers, crystal, curves, provenance, failures."""
        name, key = request.path_params["name"], request.path_params["key"]
        view = self.live.candidate(name, key)
        structures = structures_of(view.summary)
        return self._answer(request, "candidate.html", name=name, key=key, view=view, structures=structures)

    def _campaigns(self) -> list[dict[str, Any]]:
        found = []
        deadline = time.monotonic() + 0.8
        for name, description in self.live.campaigns().items():
            status = self.live.status(name, max(0.0, deadline - time.monotonic()))
            bars = stage_progress(status.value.status) if status else None
            count = status.value.status.candidates if status else None
            found.append({"name": name, "description": description, "candidates": count, "stages": bars})
        return found

    def _progress(self, name: str) -> dict[str, Any]:
        reading = self.live.status(name)
        if reading is None:
            return {"name": name, "status": None}
        status = reading.value.status
        return {
            "name": name,
            "status": status,
            "outlook": reading.value.outlook,
            "stages": stage_progress(status),
            "groups": failure_groups(status),
            "read_at": reading.read_at,
        }

    def _table(self, name: str, request: Request) -> dict[str, Any]:
        reading = self.live.table(name)
        if reading is None:
            return {"name": name, "table": None, "view": table_view(request)}
        table = reading.value
        page = look(table, table_view(request))
        return {"name": name, "table": table, "page": page, "view": page.view, "criteria": criteria_of(table)}

    def _answer(self, request: Request, template: str, **context: Any) -> Response:
        away_since = self.live.source.away_since
        response = self.templates.TemplateResponse(request, template, context | {"away_since": away_since})
        if away_since is not None:  # what is shown is from before
            response.headers[AWAY_HEADER] = clock_text(away_since)
        return response


def make_templates(poll_s: float, assets: dict[str, str]) -> Jinja2Templates:
    """Return the templates; every value is escaped, one that is not there is an error.

    Parameters
    ----------
    poll_s
        How often a page asks again, in s.
    assets
        Addresses of the scripts and the stylesheet, by name.
    """
    environment = strict_templates(FOLDER / "templates")
    environment.globals |= {
        "campaign_url": campaign_url,
        "candidate_url": candidate_url,
        "address": address,
        "assets": assets,
        "states": STATES,
        "poll_ms": round(1000 * poll_s),
    }
    environment.filters |= {"number": number_text, "clock": clock_text, "time": time_text, "duration": duration_text}
    return Jinja2Templates(env=environment)


def address(path: str, name: str, query: dict[str, str] | None = None) -> str:
    """Return the address of something that belongs to a campaign or candidate of any name."""
    return f"{path}/{quote(name, safe='')}" + (f"?{urlencode(query)}" if query else "")


def campaign_url(name: str, query: dict[str, str] | None = None) -> str:
    """Return the address of a campaign's page."""
    return address("/campaign", name, query)


def candidate_url(name: str, key: str) -> str:
    """Return the address of a candidate's page."""
    return f"{campaign_url(name)}/candidate/{quote(key, safe='')}"


def clock_text(seconds: float) -> str:
    """Return a time since the epoch as the clock of this machine shows it."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def time_text(stamp: str) -> str:
    """Return an ISO 8601 time without fractions of a second; what is none as it stands."""
    return stamp.partition(".")[0].replace("T", " ") if stamp else "–"


def duration_text(seconds: float | None) -> str:
    """Return a length of time as people say it, such as ``3 h 20 min``."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == 0 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    words = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join([f"{count} {unit}" for count, unit in words if count][:2])


def table_view(request: Request) -> View:
    """Return the view of a table that an address asks for.

    Raises
    ------
    InputError
        A page that is no number.
    """
    query = request.query_params
    page = query.get("page", "1")
    if not (page.isascii() and page.isdigit() and len(page) <= 6):
        raise InputError(f"page {page!r}: a number from 1 is allowed")
    return View(query.get("q", ""), query.get("sort", "rank"), int(page))
