"""The ranking on real numbers: the campaign of docs/paper-screen.md, as bench/paper_screen.py exported it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

from lzc_flows.flows.spec import CampaignSpec, load_campaign
from lzc_flows.ranking.assessment import assess
from lzc_flows.ranking.criteria import CRITERIA
from lzc_flows.ranking.spec import SCORES, Score

ROOT = Path(__file__).parents[2]
DATA = ROOT / "docs" / "data"
PAGE = ROOT / "docs" / "paper-screen.md"
SUPERSCRIPTS = str.maketrans("23456+", "²³⁴⁵⁶⁺")


@pytest.fixture(scope="module")
def campaign() -> CampaignSpec:
    return load_campaign(ROOT / "flows" / "paper-fluorides.yaml")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(DATA / "paper-fluorides.csv", keep_default_na=False, na_values=[""])


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    return json.loads((DATA / "paper-fluorides.json").read_text())


def dopants(table: pd.DataFrame, score: Score) -> list[str]:
    """Elements, the one with the best candidate first."""
    return table.dropna(subset="element").groupby("element")[score].max().sort_values(ascending=False).index.tolist()


def written(cation: str, site: str) -> str:
    """A candidate as the page writes it."""
    return f"{cation.translate(SUPERSCRIPTS)} {site}"


def test_every_candidate_of_the_grid_is_there_once(table: pd.DataFrame, campaign: CampaignSpec) -> None:
    doped = itertools.product((str(one) for one in campaign.grid.cations), campaign.grid.cation_sites)
    found = list(zip(table["cation"], table["site"], strict=True))
    assert sorted(found) == sorted([*doped, ("pristine", "undoped")])
    assert table["key"].is_unique
    assert len(table) == 77
    three_fluorines = table.loc[table["site"] != "undoped", "formula"].str.endswith("Cl69F3")
    assert three_fluorines.all()


def test_ranking_anew_gives_the_exported_scores_and_ranks(table: pd.DataFrame, campaign: CampaignSpec) -> None:
    raw = table.sample(frac=1, random_state=2)[["key", "cation", "column", "stability", *known_criteria(table)]]
    raw[["sigma_low_mS_cm", "sigma_high_mS_cm"]] = table[["sigma_low_mS_cm", "sigma_high_mS_cm"]]
    found = assess(raw, campaign.ranking).table.set_index("key").loc[table["key"]]
    exported = table.set_index("key")
    for score in SCORES:
        assert found[score].to_numpy(float) == pytest.approx(exported[score].to_numpy(), abs=2e-5)
        assert found[f"rank_{score}"].tolist() == exported[f"rank_{score}"].tolist()
        for end in ("low68", "high68", "low95", "high95"):  # the digits that were rounded away may turn a sample
            moved = found[f"rank_{score}_{end}"].astype(int) - exported[f"rank_{score}_{end}"]
            assert moved.abs().max() <= 1
        probability = found[f"top_probability_{score}"].to_numpy(float)
        assert probability == pytest.approx(exported[f"top_probability_{score}"].to_numpy(), abs=0.005)
    assert found["pareto"].astype(bool).tolist() == exported["pareto"].tolist()


def known_criteria(table: pd.DataFrame) -> list[str]:
    return [name for name in CRITERIA if name in table.columns]


def test_the_numbers_are_physical(table: pd.DataFrame) -> None:
    one, two, three, a, b, c, ab = (table[f"barrier_{way}"] for way in ("1d", "2d", "3d", "a", "b", "c", "ab"))
    assert (one > 0).all()
    assert (one <= two).all()
    assert (two <= three).all()
    for axis in (a, b, c):
        assert ((one <= axis) & (axis <= three)).all()
    assert (np.maximum(a, b) <= ab).all()
    assert ((two <= ab) & (ab <= three)).all()
    assert (three < 2).all()
    sigma = [table[f"sigma_{end}mS_cm"] for end in ("low_", "", "high_")]
    assert ((sigma[0] > 0) & (sigma[0] < sigma[1]) & (sigma[1] < sigma[2])).all()
    assert table["volume_change"].between(-0.15, 0).all()
    assert table["cost_usd_per_kg"].between(5, 200).all()
    hops = table.dropna(subset="hops")
    assert len(hops) == 5
    assert set(hops["key"]) == set(table.nsmallest(5, "rank_performance")["key"])
    assert (hops["hops_converged"] <= hops["hops"]).all()
    assert (hops["neb_barrier_1d"] <= hops["neb_barrier_2d"]).all()
    assert (hops["neb_barrier_2d"] <= hops["neb_barrier_3d"]).all()
    for score in SCORES:
        low95, low68, high68, high95 = (table[f"rank_{score}_{end}"] for end in ("low95", "low68", "high68", "high95"))
        assert ((low95 >= 1) & (low95 <= low68) & (low68 <= high68) & (high68 <= high95) & (high95 <= 77)).all()
        assert table[f"top_probability_{score}"].sum() == pytest.approx(5, abs=0.05)


@pytest.mark.parametrize("score", SCORES)
def test_the_stated_overlap_follows_from_the_table(table: pd.DataFrame, said: dict[str, Any], score: Score) -> None:
    order, stated = dopants(table, score), said["overlap"][score]
    assert len(order) == said["chance"]["elements"] == 34
    assert stated["ours"] == order[:5]
    assert stated["shared"] == [name for name in stated["source"] if name in order[:5]] == ["Al"]
    for element, row in stated["dopants"].items():
        best = table[table["element"] == element].nsmallest(1, f"rank_{score}").iloc[0]
        assert row["rank_of_dopants"] == order.index(element) + 1
        assert row["rank_of_candidates"] == best[f"rank_{score}"]
        assert row["best"] == f"{best['cation']} {best['site']}"
        assert row["top_probability_of_dopant"] >= row["top_probability_of_candidate"]
    assert sum(stated["probability_of_shared"].values()) == pytest.approx(1, abs=1e-3)
    exact = said["chance"]["hypergeometric"]
    assert exact["mean"] == pytest.approx(25 / 34, abs=1e-3)
    assert exact["at_least_1"] == pytest.approx(1 - hypergeom(34, 5, 5).pmf(0), abs=1e-3)


@pytest.mark.parametrize("score", SCORES)
def test_the_page_has_the_ten_best_of_the_table(table: pd.DataFrame, score: Score) -> None:
    lines = PAGE.read_text().splitlines()
    for row in table.nsmallest(10, f"rank_{score}").to_dict(orient="records"):
        low68, high68, low95, high95 = (row[f"rank_{score}_{end}"] for end in ("low68", "high68", "low95", "high95"))
        sigma, low, high = (f"{row[f'sigma_{end}mS_cm']:.0f}" for end in ("", "low_", "high_"))
        cells = [
            f"{row[f'rank_{score}']} | {written(row['cation'], row['site'])} | {row[score]:.3f}",
            f"{low68}–{high68} | {low95}–{high95} | {100 * row[f'top_probability_{score}']:.0f} %",
            f"{row['barrier_3d']:.3f} | {sigma} ({low}–{high}) | {row['cost_usd_per_kg']:.2f}",
        ]
        assert f"| {' | '.join(cells)} |" in lines


@pytest.mark.parametrize("score", SCORES)
def test_the_page_has_the_overlap(said: dict[str, Any], score: Score) -> None:
    lines = PAGE.read_text().splitlines()
    for element, row in said["overlap"][score]["dopants"].items():
        ends = {name: "–".join(map(str, row[name])) for name in row if name.endswith(("_68", "_95"))}
        dopants_68, dopants_95 = ends["rank_of_dopants_68"], ends["rank_of_dopants_95"]
        cells = [
            f"{element} | {written(*row['best'].split())}",
            f"{row['rank_of_candidates']} ({ends['rank_of_candidates_68']})",
            f"{row['rank_of_dopants']} ({dopants_68}; {dopants_95})",
            f"{100 * row['top_probability_of_candidate']:.0f} % | {100 * row['top_probability_of_dopant']:.0f} %",
        ]
        assert f"| {' | '.join(cells)} |" in lines
