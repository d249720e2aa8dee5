"""The page as one HTML file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from jinja2 import Environment

from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically
from lzc_flows.report.candidates import SCORE_LABELS
from lzc_flows.report.matrix import criteria_of
from lzc_flows.report.measured import CAUTION, conductivities, with_costs
from lzc_flows.report.numbers import number_text
from lzc_flows.report.page.assets import embedded_json, policy, scripts, style
from lzc_flows.report.page.candidate import candidate_sections
from lzc_flows.report.page.certainty import certainty_figures, uncertainties
from lzc_flows.report.page.comparison import comparisons, highest
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.page.decision import decision
from lzc_flows.report.page.heatmaps import heatmaps
from lzc_flows.report.page.method import grid_settings, methods
from lzc_flows.report.page.pareto import fronts_of
from lzc_flows.report.page.rows import row_table
from lzc_flows.report.page.table import columns_of, first_rows, table_data
from lzc_flows.report.templates import strict_templates
from lzc_flows.report.words import chemical, ion

MOST_BYTES = 10_000_000
"""A report is to be sent by mail; larger ones are written, with a warning."""

MOST_FAILURES = 200
"""Candidates with a failed stage that are named."""

_TEMPLATES = Path(__file__).parent / "templates"


def report_html(content: ReportContent) -> str:
    """Return the report as a page that needs no network: scripts, styles and data are in it.

    Every text is escaped; the page's policy lets no script run but its own, and asks no address for anything. The same
    content gives the same text.
    """
    sections = candidate_sections(content)
    compared = comparisons(content.conductivities)
    fronts = fronts_of(content)
    certainty = list(certainty_figures(content).values())
    data = {
        "table": table_data(content),
        "heatmaps": heatmaps(content),
        "pareto": [asdict(front) for front in fronts],
        "charts": [curves.as_json() for curves in (*certainty, *compared)],
        "detailed": [section.detail.key for section in sections],
    }
    return (
        _environment()
        .get_template("report.html")
        .render(
            content=content,
            table=content.table,
            decision=decision(content),
            criteria=criteria_of(content.table),
            columns=columns_of(content),
            rows=first_rows(content),
            sections=sections,
            fronts=fronts,
            certainty=certainty,
            uncertainties=uncertainties(content),
            compared=compared,
            ours=highest(content.conductivities),
            most_failures=MOST_FAILURES,
            measured=conductivities(),
            measured_costs=with_costs(),
            caution=CAUTION,
            grid=grid_settings(content),
            methods=methods(content),
            data=data,
            policy=policy(),
            scripts=scripts(),
            style=style(),
            score_labels=SCORE_LABELS,
        )
    )


def write_html(content: ReportContent, path: Path) -> int:
    """Write the report into a file, whole or not at all; return its size in bytes.

    Raises
    ------
    InputError
        A place that cannot be written.
    """
    body = report_html(content).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, body)
    except (PermissionError, NotADirectoryError, FileExistsError, IsADirectoryError) as error:
        raise InputError(f"{path}: a file that can be written is allowed ({error.strerror})") from None
    return len(body)


def _environment() -> Environment:
    environment = strict_templates(_TEMPLATES)
    environment.filters |= {
        "number": number_text,
        "ion": ion,
        "chemical": chemical,
        "json": embedded_json,
        "table": row_table,
        "time": lambda stamp: stamp.partition(".")[0].replace("T", " "),
    }
    return environment
