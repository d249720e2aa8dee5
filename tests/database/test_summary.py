from __future__ import annotations

from typing import Any

import pytest

from lzc_flows.database.summary import OUTPUT_FIELDS, summarise
from lzc_flows.documents.candidate import PlannedCandidate


def plan(formula: str = "Li25Zr11Ti1Cl69F3") -> dict[str, Any]:
    nothing = dict.fromkeys(("cation", "cation_element", "cation_site", "anion", "anion_element", "anion_site"))
    counts = {"cation_count": 0, "anion_count": 0, "extra_mobile": 0, "arrangements": "1"}
    names = {"key": "k", "host": "lzc", "cation_axis": "pristine", "column": "undoped", "formula": formula}
    fixed: dict[str, Any] = {"stage_keys": {}, "campaigns": ["tiny"], "supercell": (1, 1, 1)}
    content: dict[str, Any] = {**fixed, **nothing, **counts, **names}
    return PlannedCandidate(**content).model_dump(mode="json")


def summary_of(stage: str, output: dict[str, Any]) -> dict[str, Any]:
    task = {"uuid": "u", "index": 1, "completed_at": "2026-01-01", "output": output}
    return summarise(plan(), {stage: task}, "checksum")


@pytest.mark.parametrize(
    ("formula", "element", "mg_per_kg"),
    [("Li25Zr11Ti1Cl69F3", "Li", 20), ("Li22Zr11W1Cl69F3", "W", 1.25), ("Li26PmCl69", None, None)],
)
def test_abundance_follows_from_the_formula(formula: str, element: str | None, mg_per_kg: float | None) -> None:
    summary = summarise(plan(formula), {}, "checksum")
    assert (summary["scarcest_element"], summary["scarcest_abundance_mg_per_kg"]) == (element, mg_per_kg)


def test_energies_of_reactions_enter_and_missing_ones_stay_missing() -> None:
    found = summary_of("stability", {"decomposition_ev_per_atom": 0.02, "doping_energy_ev": None, "corrections": []})
    assert (found["decomposition_ev_per_atom"], found["doping_energy_ev"]) == (0.02, None)
    assert found["stability"] is None  # that one is what became of the framework in molecular dynamics
    assert set(found["stages"]) == {"stability"}


def test_a_line_of_arrhenius_enters_with_its_errors() -> None:
    line = {
        "Ea_eV": 0.25,
        "Ea_standard_error": 0.03,
        "sigma_300K_mS_cm": 6.0,
        "sigma_300K_interval": [3.0, 12.0],
    }
    found = summary_of("arrhenius", {"line": line, "corrections": []})
    assert (found["ea_ev"], found["ea_error_ev"]) == (0.25, 0.03)
    assert (found["sigma_300k_low_mS_cm"], found["sigma_300k_mS_cm"], found["sigma_300k_high_mS_cm"]) == (3, 6, 12)
    assert {f"line.{name}" for name in line} <= set(OUTPUT_FIELDS)


@pytest.mark.parametrize("output", [{"line": None}, {}])  # a projection leaves out what is below null
def test_without_a_line_there_is_no_number(output: dict[str, Any]) -> None:
    found = summary_of("arrhenius", output)
    assert (found["ea_ev"], found["sigma_300k_mS_cm"]) == (None, None)
