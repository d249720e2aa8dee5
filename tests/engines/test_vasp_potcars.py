from __future__ import annotations

import re
from pathlib import Path

import pytest
from pymatgen.core import SETTINGS
from pymatgen.io.vasp.sets import MPScanRelaxSet

from lzc_flows.documents.dft import LZC, VaspSettings
from lzc_flows.engines.vasp_potcars import chosen_potcars, frozen_state, potcar_symbols, require_potcars
from lzc_flows.errors import InputError
from lzc_flows.rehearsal.potcars import write_library

# the dopant list of the project's notes, the host and its anions
DOPANTS = re.findall(
    r"\w+",
    "Mg Zn Co Ni Fe Mn Cd Ca Sc In Ti V Cr Ga Al Lu Yb Tm Er Y Ho Gd Sb Bi La Hf Sn Ge Ce P Nb Ta Mo W "
    "Li Zr Cl F Br I O H",
)


def own(**potcars: str) -> object:
    return LZC.model_copy(update={"vasp": VaspSettings(potcars=potcars)})


def test_every_dopant_has_a_potcar() -> None:
    assert set(potcar_symbols(DOPANTS, LZC)) == set(DOPANTS)


def test_choices_are_the_materials_projects_but_for_open_f_shells() -> None:
    theirs = MPScanRelaxSet()._config_dict
    assert theirs["POTCAR_FUNCTIONAL"] == "PBE_54"
    differ = {
        element: choice.symbol
        for element, choice in chosen_potcars().items()
        if choice.symbol != theirs["POTCAR"][element]
    }
    assert differ == {"Eu": "Eu_2", "Gd": "Gd_3"}


def test_the_cutoffs_of_the_sources_against_the_defaults() -> None:
    """500 eV is above the default of every element of the sources; 400 eV of dynamics is below that of Li_sv."""
    highest = {element: chosen_potcars()[element].enmax_ev for element in ("Li", "Zr", "Cl", "F", "Ti")}
    assert max(highest.values()) <= 500
    assert {element for element, enmax in highest.items() if enmax > 400} == {"Li"}


@pytest.mark.parametrize(
    ("symbol", "state"),
    [("Yb_3", 3), ("Yb_2", 2), ("Eu_2", 2), ("Ce", None), ("La", None), ("Zr_sv", None), ("H", None)],
)
def test_frozen_states(symbol: str, state: int | None) -> None:
    assert frozen_state(symbol) == state


def test_the_protocols_own_choice_comes_first() -> None:
    assert potcar_symbols(["Li", "Cl"], own(Li="Li", Ti="Ti_sv")) == {"Li": "Li", "Cl": "Cl"}


def test_potcars_in_the_order_of_the_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_library(tmp_path, ["Cl", "Li_sv"])))
    found = require_potcars(["Cl", "Li", "Cl"], LZC)
    assert [(element, potcar.symbol) for element, potcar in found.items()] == [("Cl", "Cl"), ("Li", "Li_sv")]


def test_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    with pytest.raises(InputError, match=r"^POTCAR library: PMG_VASP_PSP_DIR is not set; make one .*pmg config -p"):
        require_potcars(["Li"], LZC)


def test_a_library_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"^POTCAR library: the folder of PMG_VASP_PSP_DIR does not exist; "):
        require_potcars(["Li"], LZC)


def test_a_library_without_a_symbol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(write_library(tmp_path, ["Cl"])))
    with pytest.raises(InputError, match=r"^POTCAR library: no POTCAR Li_sv in its PBE_54 set; ") as refused:
        require_potcars(["Cl", "Li"], LZC)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("elements", "potcars", "line"),
    [
        (["Pu"], {}, "dft.vasp.potcars: no POTCAR is chosen for Pu; name one, such as Pu: NAME"),
        (["Li"], {"Li": "Zr_sv"}, "dft.vasp.potcars: Li: Zr_sv: an element and a POTCAR of it are allowed"),
        (["Li"], {"Qq": "Qq"}, "dft.vasp.potcars: Qq: Qq: an element and a POTCAR of it are allowed"),
    ],
)
def test_choices_that_make_no_sense(elements: list[str], potcars: dict[str, str], line: str) -> None:
    with pytest.raises(InputError) as refused:
        potcar_symbols(elements, own(**potcars))
    assert str(refused.value) == line
