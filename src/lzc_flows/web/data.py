"""The same as JSON, for the page's script and for scripts of one's own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lzc_flows.api.stages import read_curves, read_structure, structures_of
from lzc_flows.documents.finite import finite
from lzc_flows.errors import InputError
from lzc_flows.report.crystal import structure_json
from lzc_flows.report.matrix import heatmap
from lzc_flows.web.candidate import read_summary
from lzc_flows.web.live import Live
from lzc_flows.web.pages import candidate_url, table_view
from lzc_flows.web.table import look

RETRY_S = "1"
"""After how many seconds a script may ask again for what is being read."""


def data_routes(live: Live) -> list[Route]:
    """Return the routes below ``/api``."""
    data = Data(live)
    return [
        Route("/api/campaigns", data.campaigns),
        Route("/api/status/{name:path}", data.status),
        Route("/api/heatmap/{name:path}", data.heatmap),
        Route("/api/candidates/{name:path}", data.candidates),
        Route("/api/candidate/{key:path}", data.candidate),
        Route("/api/structure/{key:path}", data.structure),
        Route("/api/curves/{key:path}", data.curves),
    ]


class Data:
    """The endpoints."""

    def __init__(self, live: Live) -> None:
        self.live = live

    def campaigns(self, request: Request) -> Response:
        """Answer with names and descriptions."""
        found = self.live.campaigns()
        return answer(request, [{"name": name, "description": words} for name, words in found.items()])

    def status(self, request: Request) -> Response:
        """Answer where a campaign stands."""
        reading = self.live.status(request.path_params["name"])
        if reading is None:
            return _later()
        standing = reading.value
        return answer(request, asdict(standing.status) | asdict(standing.outlook) | {"read_at": reading.read_at})

    def heatmap(self, request: Request) -> Response:
        """Answer with the matrix of a criterion (``?criterion=``), the performance–cost score by default."""
        name = request.path_params["name"]
        reading = self.live.table(name)
        if reading is None:
            return _later()
        status = self.live.status(name, patience_s=0)
        failed = {failure.key for failure in status.value.status.failures} if status else set()
        criterion = request.query_params.get("criterion", "performance_cost")
        found = heatmap(reading.value, criterion, failed).as_json()
        return answer(request, found | {"candidate_url": candidate_url(name, "")})

    def candidates(self, request: Request) -> Response:
        """Answer with a page of the table (``?q=&sort=&page=``)."""
        reading = self.live.table(request.path_params["name"])
        if reading is None:
            return _later()
        page = look(reading.value, table_view(request))
        content = {"rows": page.rows, "matching": page.matching, "pages": page.pages, "view": asdict(page.view)}
        return answer(request, content)

    def candidate(self, request: Request) -> Response:
        """Answer with the summary of a candidate."""
        with self.live.source.reading() as database:
            return answer(request, read_summary(database, request.path_params["key"]))

    def structure(self, request: Request) -> Response:
        """Answer with the crystal of a candidate's stage (``?stage=``) as a Plotly figure."""
        with self.live.source.reading() as database:
            summary = read_summary(database, request.path_params["key"])
            stage = request.query_params.get("stage") or next(iter(structures_of(summary)), "relax")
            structure = read_structure(database, summary, stage)
        try:
            figure = structure_json(structure)
        except (ValueError, KeyError) as error:
            raise InputError(f"structure {stage!r}: it cannot be drawn ({error})") from None
        return Response(figure, media_type="application/json")

    def curves(self, request: Request) -> Response:
        """Answer with the curves of a candidate's stages, as Plotly figures."""
        with self.live.source.reading() as database:
            summary = read_summary(database, request.path_params["key"])
            return answer(request, [curves.as_json() for curves in read_curves(database, summary)])


def answer(request: Request, content: Any) -> Response:
    """Return content as JSON, 304 to who has it already; NaN and infinities become null."""
    body = json.dumps(finite(content), ensure_ascii=False, separators=(",", ":"), default=str).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _later() -> Response:
    return Response(b"{}", status_code=202, media_type="application/json", headers={"retry-after": RETRY_S})
