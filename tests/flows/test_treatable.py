from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lzc_flows.errors import InputError
from lzc_flows.flows.candidate import Campaign
from lzc_flows.flows.spec import parse_campaign
from lzc_flows.flows.treatable import require_engines
from lzc_flows.rehearsal.potcars import write_library


def campaign(content: dict[str, Any], engine: Any, **grid: Any) -> Campaign:
    """The tiny campaign whose relax stage has this engine."""
    content = copy.deepcopy(content)
    content["grid"] |= grid
    content["stages"]["relax"]["engine"] = engine
    return Campaign(parse_campaign(content, where="c.yaml", folder=Path()))


def refusal(found: Campaign) -> str:
    with pytest.raises(InputError) as caught:
        require_engines(found)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def content(tiny: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return tiny()


@pytest.mark.parametrize("engine", ["nep", "chgnet", "vasp", {"name": "vasp", "dft": "lzrc"}])
def test_the_tiny_campaign_can_be_treated(content: dict[str, Any], engine: Any, vasp_stand_in: Any) -> None:
    require_engines(campaign(content, engine))


def test_an_element_that_a_model_does_not_know(content: dict[str, Any]) -> None:
    said = refusal(campaign(content, "nep", cations=["Po4+"]))
    assert said.startswith("campaign 'tiny': stage order, Po4")
    assert said.endswith("engine 'nep': its model does not know Po")


def test_no_vasp_and_no_potcars(content: dict[str, Any], vasp_stand_in: Any, tmp_path: Path) -> None:
    vasp_stand_in.potcars(write_library(tmp_path, ["Li_sv", "Cl", "F", "Zr_sv"]))
    said = refusal(campaign(content, "vasp"))
    assert "stage relax, Ti3-1a-x1_F1-6i-x1_1x1x1: POTCAR library: no POTCAR Ti_" in said
    vasp_stand_in.potcars(None)
    assert "PMG_VASP_PSP_DIR is not set" in refusal(campaign(content, "vasp"))


def test_odd_electrons_without_spin_are_counted_for_each_combination(
    content: dict[str, Any], vasp_stand_in: Any
) -> None:
    """Li6Zr3Cl18 has 180 valence electrons, and Li7Zr2TiCl17F, whose Ti3+ has one d electron, an odd number."""
    require_engines(campaign(content, {"name": "vasp", "dft": {"spin": "auto"}}))
    assert "dft.spin: none wants an even number" in refusal(
        campaign(content, {"name": "vasp", "dft": {"spin": "none"}})
    )


def test_tags_against_the_protocol(content: dict[str, Any], vasp_stand_in: Any) -> None:
    said = refusal(campaign(content, {"name": "vasp", "dft": {"vasp": {"incar": {"NSW": 3}}}}))
    assert said.endswith(
        "dft.vasp.incar: NSW is set already; it follows from the protocol's max_steps, or a segment's ps"
    )


def test_ions_without_a_basis(content: dict[str, Any]) -> None:
    """Before CP2K itself is looked for."""
    said = refusal(campaign(content, "cp2k", cations=["Yb2+"]))
    assert "Yb" in said
