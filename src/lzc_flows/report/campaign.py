"""The files of a campaign's report: heatmap and table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.report.heatmap import write_heatmap
from lzc_flows.report.table import write_csv


@dataclass(frozen=True)
class ReportFiles:
    """Where a report was written."""

    heatmap_png: Path
    heatmap_svg: Path
    table_csv: Path


def write_report(ranking: pd.DataFrame, spec: RankingSpec, title: str, folder: Path) -> ReportFiles:
    """Write heatmap.png, heatmap.svg and ranking.csv into `folder`; each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = write_heatmap(ranking, spec, folder / "heatmap", title)
    write_csv(ranking, spec, folder / "ranking.csv")
    return ReportFiles(png, svg, folder / "ranking.csv")
