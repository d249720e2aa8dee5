from __future__ import annotations

from pathlib import Path

import pandas as pd

from lzc_flows.ranking.score import rank
from lzc_flows.ranking.spec import RankingSpec
from lzc_flows.report.table import write_csv

SPEC = RankingSpec(performance={"barrier_1d": 3, "barrier_3d": 1}, cost_weight=0.2)


def test_reads_back_unchanged(candidates: pd.DataFrame, tmp_path: Path) -> None:
    ranking = rank(candidates, SPEC)
    write_csv(ranking, SPEC, tmp_path / "ranking.csv")
    ranks = {name: "Int64" for name in ranking.columns if name.startswith("rank_")}
    found = pd.read_csv(tmp_path / "ranking.csv", comment="#", dtype=ranks, float_precision="round_trip")
    words = ["key", "cation", "column", "missing"]
    found[words] = found[words].fillna("")
    pd.testing.assert_frame_equal(found, ranking, check_exact=True)


def test_header_says_how_and_what_is_missing(candidates: pd.DataFrame, tmp_path: Path) -> None:
    ranking = rank(candidates, SPEC)
    write_csv(ranking, SPEC, tmp_path / "ranking.csv")
    lines = (tmp_path / "ranking.csv").read_text().splitlines()
    header = [line for line in lines if line.startswith("# ")]
    assert lines[: len(header)] == header
    assert "# performance: 0.75 × 1D BVSE barrier + 0.25 × 3D BVSE barrier" in header
    assert any(line.startswith("# normalisation: min-max") for line in header)
    assert "# barrier_3d: 3D BVSE barrier in eV, lower is better" in header
    assert "# 29 candidates: 27 with performance, 26 with performance_cost" in header
    keys = sorted(candidates.loc[[3, 10], "key"])
    assert f"# missing barrier_1d (2): {', '.join(keys)}" in header
    assert f"# missing cost_usd_per_kg (1): {candidates.loc[5, 'key']}" in header


def test_same_table_same_bytes(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_csv(rank(candidates, SPEC), SPEC, tmp_path / "one.csv")
    write_csv(rank(candidates.iloc[::-1], SPEC), SPEC, tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
