from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.coverage import Coverage, pair_coverage, require_pairs
from lzc_flows.flows.spec import load_campaign, parse_campaign
from lzc_flows.transport.bvse_parameters import missing_pairs
from lzc_flows.transport.conventions import CONVENTIONS

Content = dict[str, Any]
QUICKSTART = Path(__file__).parents[2] / "flows" / "quickstart.yaml"
# the octahedral dopants of the literature on Li2ZrCl6, from 2+ to 6+
# fmt: off
DOPANTS = [
    "Mg2+", "Zn2+", "Co2+", "Ni2+", "Fe2+", "Mn2+", "Cd2+", "Ca2+",
    "Sc3+", "In3+", "Ti3+", "V3+", "Cr3+", "Fe3+", "Ga3+", "Al3+", "Lu3+", "Yb3+", "Tm3+", "Er3+", "Y3+", "Ho3+",
    "Gd3+", "Sb3+", "Bi3+", "La3+", "Hf4+", "Sn4+", "Ti4+", "Ge4+", "Ce4+",
    "P5+", "Nb5+", "Ta5+", "Sb5+", "Mo5+", "V5+", "W6+", "Mo6+",
]
# fmt: on


@pytest.fixture
def content(tiny: Callable[[], Content]) -> Content:
    return tiny()


def campaign(content: Content) -> Campaign:
    return Campaign(parse_campaign(content, where="c.yaml", folder=Path()))


def coverage(content: Content) -> Coverage:
    return pair_coverage(campaign(content))


def counts(found: Coverage) -> dict[str, int]:
    return {pair.partner: len(pair.combinations) for pair in found.pairs}


def test_the_main_campaign_is_covered() -> None:
    found = pair_coverage(Campaign(load_campaign(QUICKSTART)))
    assert (found.campaign, found.mobile, found.convention) == ("quickstart", "Li+", "softbv")
    assert found.missing == ()
    # 14 cations on two sites, and the undoped host
    dopants = [pair.partner for pair in found.pairs if pair.partner not in ("Zr4+", "Cl-", "F-")]
    assert counts(found) == {"Zr4+": 29, "Cl-": 29, "F-": 28} | dict.fromkeys(dopants, 2)
    assert len(dopants) == 14
    assert {pair.partner for pair in found.pairs if pair.interaction == "morse"} == {"Cl-", "F-"}


@pytest.mark.parametrize("convention", ["softbv", "bvlain"])
def test_every_dopant_of_the_octahedron_is_covered(content: Content, convention: str) -> None:
    content["grid"] |= {"supercell": [2, 2, 1], "cations": DOPANTS, "anions": ["F-", "Br-", "I-", "O2-", "S2-", "N3-"]}
    content["stages"]["bvse"]["protocol"]["convention"] = convention
    found = coverage(content)
    assert found.missing == ()
    assert len(found.pairs) == len(DOPANTS) + 8


def test_an_anion_without_parameters(content: Content) -> None:
    content["grid"] |= {"anions": ["F-", "P3-"]}
    found = coverage(content)
    (missing,) = found.missing
    assert (missing.partner, missing.interaction) == ("P3-", "morse")
    assert missing.combinations == ("Ti3-1a-x1_P3-6i-x1_1x1x1",)
    assert missing.available == ("Br-", "Cl-", "F-", "I-", "N3-", "O2-", "S2-", "Se2-", "Te2-")
    assert counts(found) == {"Zr4+": 3, "Cl-": 3, "Ti3+": 2, "F-": 1, "P3-": 1}


def test_a_cation_without_a_radius_depends_on_the_convention(content: Content) -> None:
    """Tetravalent praseodymium: softBV has a radius of Pr3+ only, the other convention takes the element's."""
    content["grid"] |= {"cations": ["Ce4+", "Pr4+"], "anions": []}
    (missing,) = coverage(content).missing
    assert (missing.partner, missing.interaction, missing.available) == ("Pr4+", "coulomb", ("Pr3+",))
    content["stages"]["bvse"]["protocol"]["convention"] = "bvlain"
    assert coverage(content).missing == ()


def test_only_ions_that_are_in_a_cell_count(content: Content) -> None:
    """A count of 0 brings no dopant, and a host's ion that is all replaced is gone."""
    content["grid"] |= {"cations": ["Pr4+"], "cation_counts": [0], "anions": [], "undoped": True}
    assert counts(coverage(content)) == {"Zr4+": 1, "Cl-": 1}
    content["grid"] |= {"cations": ["Hf4+"], "cation_sites": ["1a+2d"], "cation_counts": [3], "undoped": False}
    assert counts(coverage(content)) == {"Hf4+": 1, "Cl-": 1}


def test_the_refusal_is_one_line_with_pairs_combinations_and_what_is_available(content: Content) -> None:
    content["grid"] |= {
        "supercell": [2, 2, 1],
        "cations": ["Ti3+", "Pr4+"],
        "cation_sites": ["1a", "2d"],
        "anions": ["F-", "P3-"],
        "undoped": False,
    }
    with pytest.raises(InputError) as refusal:
        require_pairs(campaign(content))
    assert str(refusal.value) == (
        "campaign 'tiny': no softBV parameters in convention softbv for Li+ with "
        "P3- (morse; in 4 combinations: Ti3-1a-x1_P3-6i-x1_2x2x1, Ti3-2d-x1_P3-6i-x1_2x2x1, "
        "Pr4-1a-x1_P3-6i-x1_2x2x1, ...; available: Br-, Cl-, F-, I-, N3-, O2-, S2-, Se2-, Te2-); "
        "Pr4+ (coulomb; in 4 combinations: Pr4-1a-x1_F1-6i-x1_2x2x1, Pr4-1a-x1_P3-6i-x1_2x2x1, "
        "Pr4-2d-x1_F1-6i-x1_2x2x1, ...; available: Pr3+)"
    )
    content["grid"] |= {"cations": ["Ti3+"], "anions": ["F-"]}
    require_pairs(campaign(content))


def test_an_element_without_any_parameters(content: Content) -> None:
    content["grid"] |= {"cations": ["Np4+"], "anions": [], "undoped": False}
    with pytest.raises(InputError, match=r"with Np4\+ \(coulomb; in 1 combination: .*; available: none\)$"):
        require_pairs(campaign(content))


def test_a_mobile_ion_that_is_not_there_is_refused(content: Content) -> None:
    content["stages"]["bvse"]["protocol"]["mobile"] = "Na+"
    with pytest.raises(
        InputError, match=r"^campaign 'tiny': no Na\+, the mobile ion .* in undoped_1x1x1: it holds Li\+"
    ):
        coverage(content)
    content["stages"]["bvse"]["protocol"]["mobile"] = "Li+"
    content["grid"] |= {"cations": ["W6+"], "cation_sites": ["1a+2d"], "cation_counts": [3], "anions": []}
    with pytest.raises(InputError, match=r"no Li\+, the mobile ion .* in W6-1a\+2d-x3_1x1x1: it holds Cl-, W6\+$"):
        coverage(content)


@given(
    st.lists(st.sampled_from([*DOPANTS, "Pr4+", "Np4+", "Mo3+"]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["F-", "O2-", "P3-", "As3-"]), max_size=2, unique=True),
    st.sampled_from(["softbv", "bvlain"]),
)
@settings(max_examples=25, deadline=None)
def test_missing_pairs_are_those_that_the_bvse_stage_would_refuse(
    tiny: Callable[[], Content], cations: list[str], anions: list[str], convention: str
) -> None:
    """The stage's own check, on a crystal of the ions of each combination."""
    content = tiny()
    content["grid"] |= {"supercell": [2, 2, 1], "cations": cations, "anions": anions}
    content["stages"]["bvse"]["protocol"]["convention"] = convention
    mine = campaign(content)
    refused: dict[str, list[str]] = {}
    for cell in mine.cells:
        points = [[index / len(cell.ions), 0, 0] for index in range(len(cell.ions))]
        crystal = Structure(Lattice.cubic(20), list(cell.ions), points)
        for _, partner in missing_pairs(crystal, "Li+", CONVENTIONS[convention].radii):
            refused.setdefault(partner, []).append(cell.combination.slug)
    found = pair_coverage(mine)
    assert {pair.partner: list(pair.combinations) for pair in found.missing} == refused
