from __future__ import annotations

from typing import Any

import pytest
from monty.json import MontyDecoder, MontyEncoder
from pydantic import BaseModel, ValidationError

from lzc_flows.documents.dft import LZC, LZC_AIMD, LZRC, DftProtocol, Kpoints
from lzc_flows.documents.engine import ENGINE_NAMES, EngineSpec, engine_spec
from lzc_flows.errors import InputError


class Stage(BaseModel):
    engine: EngineSpec


@pytest.mark.parametrize("name", ["nep", "chgnet"])
def test_a_machine_learned_engine_is_written_as_its_name(name: str) -> None:
    """So that keys of candidates are what they were before engines had electrons."""
    stage = Stage(engine=name)  # type: ignore[arg-type]
    assert stage.model_dump(mode="json") == {"engine": name}
    assert Stage(**stage.model_dump(mode="json")) == stage


@pytest.mark.parametrize("engine", ["vasp", {"name": "cp2k", "dft": "lzrc"}, {"name": "vasp", "dft": {"scf_ev": 1e-6}}])
def test_an_engine_with_electrons_comes_back(engine: Any) -> None:
    stage = Stage(engine=engine)
    assert Stage.model_validate_json(stage.model_dump_json()) == stage
    assert MontyDecoder().decode(MontyEncoder().encode(stage.engine)) == stage.engine


def test_a_name_of_a_protocol_stands_for_its_numbers() -> None:
    assert Stage(engine={"name": "vasp", "dft": "lzrc"}).engine.dft == LZRC  # type: ignore[arg-type]


def test_what_a_stage_says_fills_only_what_is_left_open() -> None:
    assert engine_spec("vasp", LZC_AIMD).dft == LZC_AIMD
    assert engine_spec(EngineSpec(name="cp2k", dft=LZRC), LZC).dft == LZRC
    assert engine_spec("nep", LZC).dft is None


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"^engine 'none': allowed are chgnet, nep, vasp, cp2k$"):
        engine_spec("none", LZC)
    assert ENGINE_NAMES == ("chgnet", "nep", "vasp", "cp2k")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"name": "nep", "dft": "lzc"}, "engine 'nep': has no electrons, so that no dft is allowed"),
        ({"name": "vasp", "dft": "mp"}, "dft 'mp': allowed are lzc, lzc-aimd, lzrc, or numbers"),
        ({"name": "vasp", "dft": {"kpoints": {}}}, "either mesh or length_angstrom is allowed"),
        ({"name": "vasp", "dft": {"kpoints": {"mesh": [1, 1, 1], "length_angstrom": 25}}}, "either mesh or"),
        ({"name": "vasp", "dft": {"kpoints": {"mesh": [1, 1, 0]}}}, "greater than 0"),
        ({"name": "vasp", "dft": {"scf_ev": 0.1}}, "at most 0.01 eV is allowed"),
        ({"name": "vasp", "dft": {"cutof_ev": 500}}, "Extra inputs are not permitted"),
    ],
)
def test_bad_engines_are_refused(content: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Stage(engine=content)


def test_what_one_program_is_told_does_not_touch_the_other() -> None:
    finer = DftProtocol(cp2k={"density_cutoff_ry": 600.0})  # type: ignore[arg-type]
    assert finer.for_vasp == LZC.for_vasp
    assert finer.for_cp2k != LZC.for_cp2k
    denser = DftProtocol(cutoff_ev=600.0)
    assert denser.for_vasp != LZC.for_vasp
    assert denser.for_cp2k == LZC.for_cp2k


def test_the_numbers_of_the_sources() -> None:
    # "a plane-wave cutoff energy of 500 eV was employed. A 2×2×2 k-point mesh was utilized ... 10⁻5 eV"
    assert (LZC.cutoff_ev, LZC.kpoints.mesh, LZC.scf_ev) == (500.0, (2, 2, 2), 1e-5)
    # "a reduced cutoff energy of 400 eV and a minimal Γ-centered 1×1×1 k-points mesh"
    assert (LZC_AIMD.cutoff_ev, LZC_AIMD.kpoints) == (400.0, Kpoints(mesh=(1, 1, 1), scheme="gamma"))
    # "the kinetic energy cutoff was 450 eV. ... the Monkhorst-Pack scheme with an automated mesh determined by 25 times
    # the reciprocal lattice vectors. ... 5×10−6 eV"
    assert (LZRC.cutoff_ev, LZRC.scf_ev) == (450.0, 5e-6)
    assert LZRC.kpoints == Kpoints(length_angstrom=25.0, scheme="monkhorst-pack")
