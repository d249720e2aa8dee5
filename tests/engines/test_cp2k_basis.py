from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from lzc_flows.engines.base import Ions
from lzc_flows.engines.cp2k_basis import electrons_of, element_basis, require_bases
from lzc_flows.engines.cp2k_program import cp2k_installation
from lzc_flows.errors import InputError

FAMILIES = ("DZVP-MOLOPT-SR-GTH", "TZVP-MOLOPT-PBE-GTH")
ELEMENTS = list(yaml.safe_load((files("lzc_flows.data") / "cp2k_basis.yaml").read_text())["elements"])

DOPANTS = """
Mg Zn Co Ni Fe Mn Cd Ca Sc In Ti V Cr Ga Al Lu Yb Tm Er Y Ho Gd Sb Bi La Hf Sn Ge Ce P Nb Ta Mo W Li Zr Cl F Br I
""".split()  # noqa: SIM905

installed = pytest.mark.skipif(cp2k_installation().data_dir is None, reason="CP2K's data files are not here")


@cache
def names_in(file: str) -> set[tuple[str, str]]:
    """Elements and names that a file of CP2K's data defines."""
    folder = cp2k_installation().data_dir
    assert folder is not None
    lines = (folder / file).read_text(encoding="latin1").splitlines()
    entries = [re.fullmatch(r" ?([A-Z][a-z]?) +([A-Z].*)", line) for line in lines]
    return {(entry[1], name) for entry in entries if entry for name in entry[2].split()}


@installed
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("symbol", ELEMENTS)
def test_the_files_of_cp2k_have_every_basis_and_pseudopotential(symbol: str, family: str) -> None:
    basis = element_basis(symbol, family)
    assert (symbol, basis.basis) in names_in(basis.basis_file)
    assert (symbol, basis.potential) in names_in(basis.potential_file)


@installed
@pytest.mark.parametrize("symbol", ELEMENTS)
def test_the_electrons_of_a_pseudopotential_are_those_of_its_name(symbol: str) -> None:
    basis = element_basis(symbol, FAMILIES[0])
    folder = cp2k_installation().data_dir
    assert folder is not None
    text = Path(folder / basis.potential_file).read_text(encoding="latin1")
    block = re.search(rf"(?m)^ ?{symbol} +{re.escape(basis.potential)}( .*)?\n([ \d]+)\n", text)
    assert block is not None
    assert sum(map(int, block[2].split())) == basis.electrons


@pytest.mark.parametrize("symbol", DOPANTS)
def test_every_dopant_is_there(symbol: str) -> None:
    for family in FAMILIES:
        assert element_basis(symbol, family).electrons > 0


def test_the_host_has_the_electrons_of_its_pseudopotentials() -> None:
    species = ("Li",) * 6 + ("Zr",) * 3 + ("Cl",) * 18
    assert electrons_of(species, 0, FAMILIES[0]) == 6 * 3 + 3 * 12 + 18 * 7
    assert electrons_of(species, -1, FAMILIES[0]) == 6 * 3 + 3 * 12 + 18 * 7 + 1


def test_an_unknown_element_is_refused() -> None:
    with pytest.raises(InputError, match="no basis and pseudopotential for Pu; allowed are H Li Be"):
        require_bases(Ions(("Li", "Pu"), (1.0, 3.0)), FAMILIES[0])


def test_a_frozen_4f_shell_fits_trivalent_ions_only() -> None:
    require_bases(Ions(("Yb",), (3.0,)), FAMILIES[0])
    require_bases(Ions(("Yb",)), FAMILIES[0])
    with pytest.raises(InputError, match=r"Yb\+2: only Yb3\+ is allowed, its 4f shell is in the core"):
        require_bases(Ions(("Yb",), (2.0,)), FAMILIES[0])
    require_bases(Ions(("Ce",), (4.0,)), FAMILIES[0])
