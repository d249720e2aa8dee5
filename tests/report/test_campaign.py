from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lzc_flows.ranking.score import rank
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.report.campaign import write_report


def candidates(barriers: list[float]) -> pd.DataFrame:
    number = len(barriers)
    return pd.DataFrame(
        {
            "key": [f"key{n}" for n in range(number)],
            "cation": ["Ti3+", "Hf4+", "Mg2+"][:number],
            "column": ["1a ×1"] * number,
            "barrier_1d": barriers,
            "barrier_3d": barriers,
            "cost_usd_per_kg": [8.0 + n for n in range(number)],
        }
    )


@pytest.mark.parametrize("barriers", [[0.3, 0.5, np.inf], [0.3, np.nan, 0.4], [np.nan] * 3, [np.inf] * 3, [0.4]])
def test_the_files_are_whole_and_the_same_bytes_each_time(tmp_path: Path, barriers: list[float]) -> None:
    spec = RankingSpec()
    ranking = rank(candidates(barriers), spec)
    files = write_report(ranking, spec, "Campaign tiny", tmp_path / "a" / "report")
    again = write_report(ranking, spec, "Campaign tiny", tmp_path / "b")
    for first, second in zip(vars(files).values(), vars(again).values(), strict=True):
        assert first.read_bytes() == second.read_bytes()
    names = sorted(path.name for path in (tmp_path / "a" / "report").iterdir())
    assert names == ["heatmap.png", "heatmap.svg", "ranking.csv"]
    assert files.heatmap_png.read_bytes().startswith(b"\x89PNG")
    assert files.heatmap_svg.read_bytes().rstrip().endswith(b"</svg>")
    table = pd.read_csv(files.table_csv, comment="#").set_index("key").loc[list(candidates(barriers)["key"])]
    assert np.array_equal(table["barrier_1d"], barriers, equal_nan=True)
    # missing is missing, not zero
    assert np.array_equal(table["performance"].isna(), np.isnan(barriers))
