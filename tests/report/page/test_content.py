"""What the page's builders make of a campaign: decision, heatmaps, table, front, certainty, method."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from lzc_flows.documents.protocols import OrderProtocol
from lzc_flows.report.candidates import assessed, best_rows
from lzc_flows.report.page.candidate import candidate_sections
from lzc_flows.report.page.certainty import certainty_figures, is_certain, uncertainties
from lzc_flows.report.page.comparison import MOST, OurConductivity, comparisons, highest
from lzc_flows.report.page.content import ReportContent
from lzc_flows.report.page.decision import decision
from lzc_flows.report.page.heatmaps import heatmaps
from lzc_flows.report.page.method import grid_settings, methods, stage_words
from lzc_flows.report.page.missing import NO_WAY, what_is_missing, why_missing
from lzc_flows.report.page.pareto import fronts_of
from lzc_flows.report.page.rows import row_table
from lzc_flows.report.page.table import columns_of, first_rows, table_data

from .conftest import candidates


def row_of(content: ReportContent, key: str) -> dict:
    return next(row for row in content.records if row["key"] == key)


def test_the_decision_names_the_best_five_by_either_score(content: ReportContent) -> None:
    performance, cost, *remarks = decision(content)
    for sentence, score in ((performance, "performance"), (cost, "performance_cost")):
        best = best_rows(content.table.rows, score, 5)
        assert list(best[f"rank_{score}"]) == [1, 2, 3, 4, 5]
        assert sentence.count("(score ") == sentence.count(" %)") == 5
        assert f"score {best[score].iloc[0]:.2f}" in sentence
        assert "the best five of 30 ranked candidates" in sentence
    assert "among the best 5" in remarks[0]


def test_without_scores_the_decision_says_why(content: ReportContent) -> None:
    spec = {"stages": {"order": {}}, "ranking": {"performance": {"nothing": 1}}}
    unreadable = assessed("x", spec, candidates(1))
    none = replace(content, table=unreadable)
    (only,) = decision(none)
    assert only.startswith("There is no ranking: ")
    assert heatmaps(none)["layers"]["performance"]["known"] == 0
    assert uncertainties(none) == []
    assert fronts_of(none) == []
    assert certainty_figures(none) == {}


def test_why_a_number_is_missing(content: ReportContent) -> None:
    failed, endless = row_of(content, "Mg2+-0"), row_of(content, "Zn2+-0")
    assert why_missing(content, endless, "barrier_1d") == NO_WAY
    assert why_missing(content, failed, "barrier_1d") == "relax failed: the forces exploded"
    both = "1D BVSE barrier: relax failed: the forces exploded; 3D BVSE barrier: relax failed: the forces exploded"
    assert why_missing(content, failed, "performance") == f"lacks {both}"
    assert (what_is_missing(content, failed), what_is_missing(content, endless)) == (both, "")
    assert why_missing(content, failed, "sigma_mS_cm") == "relax failed: the forces exploded"
    fine = row_of(content, "Ti3+-1")
    assert why_missing(content, fine, "barrier_1d") == ""
    assert why_missing(content, fine, "sigma_mS_cm") == "aimd runs for the best 3 only"
    assert why_missing(content, fine, "neb_barrier_1d") == "the campaign has no stage cineb"
    ran = fine | {"done": "order;relax;bvse;aimd"}
    assert why_missing(content, ran, "sigma_mS_cm") == "aimd ended without this number"


def test_the_heatmaps_hold_every_candidate_and_every_reason(content: ReportContent) -> None:
    found = heatmaps(content)
    rows = content.table.rows
    layer = found["layers"]["barrier_3d"]
    assert {"performance", "performance_cost", "barrier_1d", "cost_usd_per_kg"} <= set(found["layers"])
    shown = {(line, place): number for line, row in enumerate(found["row"]) for place, number in enumerate(row)}
    missing = {(line, place): layer["reasons"][reason] for line, place, _, reason in layer["missing"]}
    empty = {
        cell for cell, number in shown.items() if number is not None and not math.isfinite(rows["barrier_3d"][number])
    }
    assert set(missing) == empty
    assert {number for number in shown.values() if number is not None} == set(range(len(rows)))
    assert sorted(layer["reasons"]) == sorted(["relax failed: the forces exploded", NO_WAY])
    best = [found["row"][line][place] for line, place in found["layers"]["performance"]["best"]]
    assert list(rows["rank_performance"][best]) == [1, 2, 3, 4, 5]


def test_the_table_leaves_out_columns_of_which_nothing_is_known(content: ReportContent) -> None:
    names = [column.name for column in columns_of(content)]
    assert "sigma_mS_cm" not in names
    assert {"rank_performance_cost", "key", "cation", "barrier_1d", "cost_usd_per_kg"} <= set(names)
    found = table_data(content)
    assert [column["name"] for column in found["columns"]] == names
    assert [row[names.index("key")] for row in found["rows"]] == list(content.table.rows["key"])
    assert sum(row[names.index("barrier_1d")] == "inf" for row in found["rows"]) == 1
    assert sum(row[names.index("barrier_1d")] is None for row in found["rows"]) == 1
    assert [bool(row[names.index("missing")]) for row in found["rows"]].count(True) == 1
    shown = first_rows(content)
    assert shown[0][names.index("rank_performance_cost")] == "1"
    assert any("∞" in row for row in shown)
    assert any("–" in row for row in shown)


def test_nothing_beats_the_front(content: ReportContent) -> None:
    (front,) = fronts_of(content)
    rows = content.table.rows
    known = dict(zip(front.rows, front.performance, strict=True))
    costs = [rows["cost_usd_per_kg"][place] for place in front.front]
    assert costs == sorted(costs)
    for place in front.front:
        assert not any(
            known[other] > known[place] and rows["cost_usd_per_kg"][other] <= rows["cost_usd_per_kg"][place]
            for other in front.rows
        )


def test_certainty_is_shown_where_there_is_some(content: ReportContent) -> None:
    found = certainty_figures(content)
    assert not is_certain(content, "performance")
    assert {"ranks-performance", "ranks-performance_cost", "weights-static", "cost-weight-static"} == set(found)
    wide, narrow = found["ranks-performance"].data
    for outer, inner in zip(wide["error_x"]["array"], narrow["error_x"]["array"], strict=True):
        assert outer >= inner >= 0
    head, best, *_ = row_table(found["ranks-performance"])
    assert head == ["", "95 % of the samples", "68 %, and the rank itself"]
    low, high = (wide["x"][0] - wide["error_x"]["arrayminus"][0], wide["x"][0] + wide["error_x"]["array"][0])
    assert best[1] == f"1 ({low}–{high})"
    ends = [trace["x"] for trace in found["cost-weight-static"].data]
    assert (ends[0][0], ends[-1][1]) == (0.0, 1.0)
    assert [one.criterion for one in uncertainties(content)] == ["barrier_1d", "barrier_3d", "cost_usd_per_kg"]
    exact = content.spec | {"ranking": content.spec["ranking"] | {"uncertainty": {"barrier_1d": 0, "barrier_3d": 0}}}
    certain = replace(content, table=assessed("made", exact, candidates(2)), spec=exact)
    assert is_certain(certain, "performance")
    assert decision(certain)[2] == "No uncertainty of a criterion is known, so that ranks have no intervals."
    assert "%" not in "".join(decision(certain))


def test_every_stage_has_words_numbers_and_a_gate(content: ReportContent) -> None:
    found = {method.stage: method for method in methods(content)}
    assert list(found) == list(content.table.stages)
    (shortlist, _) = found["order"].settings
    assert (shortlist.value, shortlist.description) == ("8", OrderProtocol.model_fields["shortlist"].description)
    assert "the best 3" in found["aimd"].gate
    assert found["relax"].engines == ("chgnet (0.4)",)
    assert found["new-stage"].words.title == "New-stage"
    assert all(words.title and words.text for words in stage_words().values())
    assert "Ti3+" in next(setting.value for setting in grid_settings(content) if setting.name == "cations")


def test_comparisons_hold_all_that_is_measured_and_the_best_of_ours() -> None:
    ours = tuple(OurConductivity(f"n{number}", "LiCl", "kind", float(number + 1), None, 9.0) for number in range(30))
    assert [one.sigma_mS_cm for one in highest(ours)] == [float(30 - number) for number in range(MOST)]
    sigmas, costs = comparisons(ours)
    assert [len(trace["x"]) for trace in sigmas.data] == [60, MOST]
    assert [len(trace["x"]) for trace in costs.data] == [7, MOST]
    alone, _ = comparisons(())
    assert len(alone.data) == 1


def test_a_candidate_that_cannot_be_drawn_is_told(content: ReportContent, make_content: Callable) -> None:
    (section, *_) = candidate_sections(content)
    assert (section.crystals, section.problem) == (("relaxed", "ordered"), "")
    assert section.ranks["performance_cost"] == 1
    unknown = Structure(Lattice.cubic(3), ["Li+", DummySpecies("Xx", -1)], [[0, 0, 0], [0.5, 0.5, 0.5]])
    undrawn = replace(content.details[0], crystals={"relaxed": unknown})
    (section,) = candidate_sections(replace(content, details=(undrawn,)))
    assert section.crystals == ()
    assert section.problem.startswith("The crystal (relaxed) cannot be drawn: ")


@pytest.mark.parametrize("score", ["performance", "performance_cost"])
def test_best_rows_are_in_order(content: ReportContent, score: str) -> None:
    ranks = list(best_rows(content.table.rows, score, 100)[f"rank_{score}"])
    assert ranks == sorted(ranks)
    assert len(ranks) == 30
