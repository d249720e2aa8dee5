from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lzc_flows.documents.dft import LZC, LZC_AIMD, LZRC
from lzc_flows.flows.rehearsed import of_first_cations, rehearsed
from lzc_flows.flows.spec import CampaignSpec, parse_campaign


def spec(content: dict[str, Any]) -> CampaignSpec:
    return parse_campaign(copy.deepcopy(content), where="c.yaml", folder=Path())


def test_stages_that_compute_energies_change_their_engine(tiny: Callable[[], dict[str, Any]]) -> None:
    content = tiny()
    content["stages"] |= {"aimd": {"top": 1}, "cineb": {"top": 1, "engine": {"name": "vasp", "dft": "lzrc"}}}
    before, after = spec(content), rehearsed(spec(content), "vasp")
    stages = after.stages
    assert stages.order == before.stages.order
    assert stages.bvse == before.stages.bvse
    assert stages.aimd is not None
    assert stages.cineb is not None
    found = [stage.engine for stage in (stages.relax, stages.aimd, stages.cineb)]
    assert [engine.name for engine in found] == ["vasp"] * 3
    # what the campaign says of electrons stays
    assert [engine.dft for engine in found] == [LZC, LZC_AIMD, LZRC]
    assert stages.relax.protocol == before.stages.relax.protocol


def test_stages_that_are_not_there_stay_away(tiny: Callable[[], dict[str, Any]]) -> None:
    assert rehearsed(spec(tiny()), "vasp").stages.names == ("order", "relax", "bvse")


def test_the_first_cations(tiny: Callable[[], dict[str, Any]]) -> None:
    content = tiny()
    content["grid"]["cations"] = ["Ti3+", "Al3+", "Mg2+"]
    assert of_first_cations(spec(content), 2).grid.cations == ("Ti3+", "Al3+")
    assert of_first_cations(spec(content), 9) == spec(content)
