from __future__ import annotations

import sys
from typing import Any

import pytest

from lzc_flows.documents.dft import LZC, LZC_AIMD, LZRC, Cp2kSettings, DftProtocol, VaspSettings
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.engines.base import Ions
from lzc_flows.engines.registry import engine_of
from lzc_flows.engines.vasp import VaspEngine
from lzc_flows.engines.vasp_program import STAND_IN, ending_with_us, vasp_commands
from lzc_flows.errors import InputError


def version(dft: DftProtocol) -> str:
    return engine_of(EngineSpec(name="vasp", dft=dft)).stamp().version


def test_every_number_changes_the_version(vasp_stand_in: Any) -> None:
    changed = [
        LZC,
        LZC_AIMD,
        LZRC,
        LZC.model_copy(update={"scf_ev": 2e-5}),
        LZC.model_copy(update={"smearing_ev": 0.1}),
        LZC.model_copy(update={"spin": "polarised"}),
        LZC.model_copy(update={"vasp": VaspSettings(potcars={"Ti": "Ti_sv"})}),
        LZC.model_copy(update={"vasp": VaspSettings(incar={"ALGO": "Normal"})}),
    ]
    versions = [version(dft) for dft in changed]
    assert len(set(versions)) == len(versions)
    # of another program
    assert version(LZC.model_copy(update={"cp2k": Cp2kSettings(density_cutoff_ry=600)})) == version(LZC)


def test_a_stand_in_says_so(vasp_stand_in: Any) -> None:
    """The results of a rehearsal are never taken for VASP's."""
    rehearsed = version(LZC)
    assert rehearsed.startswith("a stand-in for VASP, PBE, PBE_54, 500 eV, numbers ")
    vasp_stand_in.command(sys.executable, "-c", "pass")
    assert version(LZC) == rehearsed.replace("a stand-in for VASP", "VASP")


def test_commands_are_atomate2s(vasp_stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert STAND_IN in vasp_commands()[0]
    monkeypatch.setenv("MPI", "sh -c")
    vasp_stand_in.command("sh", "-c", "true")
    vasp_stand_in.patch.setattr("atomate2.SETTINGS.VASP_CMD", "$MPI 'vasp std'")
    vasp_stand_in.patch.setattr("atomate2.SETTINGS.VASP_GAMMA_CMD", "vasp_gam_of_another_machine")
    # the standard one does without the other
    assert vasp_commands() == (["sh", "-c", "vasp std"],) * 2
    for nothing in ("", "vasp_of_another_machine -x"):
        vasp_stand_in.patch.setattr("atomate2.SETTINGS.VASP_CMD", nothing)
        with pytest.raises(
            InputError, match=r"^engine 'vasp': no command .* here; set ATOMATE2_VASP_CMD to what starts"
        ):
            version(LZC)


def test_it_ends_with_us() -> None:
    assert ending_with_us(["vasp"])[-1] == "vasp"


def test_what_is_required_of_ions(vasp_stand_in: Any) -> None:
    VaspEngine(LZC).require(Ions(("Li", "Cl"), (1.0, -1.0)))
    with pytest.raises(InputError, match=r"^dft.vasp.potcars: no POTCAR is chosen for Xe"):
        VaspEngine(LZC).require(Ions(("Li", "Xe")))
    closed = LZC.model_copy(update={"spin": "none"})
    with pytest.raises(InputError, match=r"^dft.spin: none wants an even number of electrons"):
        VaspEngine(closed).require(Ions(("Li", "Cl", "Cl")))
    with pytest.raises(InputError, match=r"^dft.vasp.incar: NSW is set already"):
        VaspEngine(LZC.model_copy(update={"vasp": VaspSettings(incar={"NSW": 3})})).require(Ions(("Li", "Cl")))
