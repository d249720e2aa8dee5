from __future__ import annotations

import gzip
from collections import Counter
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from lzc_flows.crystal.host import (
    BUILT_IN,
    WYCKOFF,
    aimd_host,
    host_by_name,
    ideal_host,
    read_structure,
    rietveld_host,
)
from lzc_flows.errors import InputError, InputWarning

# International Tables A, P-3m1 (164): multiplicity and the orbits that the host fills
OCCUPIED = {"1a": 1, "2d": 2, "6h": 6, "6i": 18}
VACANT = {"1b": 1, "2d'": 2, "6g": 6}
OCTAHEDRA = ("1a", "2d", "6h", "1b", "2d'", "6g")

EXAFS_ZR_CL = 2.478  # Å, Supplementary Table 5, LZC


def shells(structure: Structure, label: str) -> np.ndarray:
    """Distances in Å to the eight nearest anion sites of every cation site with this label, sorted."""
    anions = [i for i, site in enumerate(structure) if site.properties[WYCKOFF] == "6i"]
    centres = [i for i, site in enumerate(structure) if site.properties[WYCKOFF] == label]
    return np.sort(structure.distance_matrix[np.ix_(centres, anions)])[:, :8]


# ---- compositions and cells ----


def test_ideal_host_is_li6zr3cl18() -> None:
    host = ideal_host()
    assert host.structure.composition.as_dict() == {"Li+": 6, "Zr4+": 3, "Cl-": 18}
    assert host.is_ordered
    assert host.structure.charge == 0
    assert host.site_counts == OCCUPIED
    assert Counter(site.properties[WYCKOFF] for site in host.vacant) == VACANT


def test_aimd_cell_is_that_of_section_1_8() -> None:
    host = aimd_host()
    assert len(host.structure) == 81
    assert host.structure.composition.reduced_formula == ideal_host().structure.composition.reduced_formula
    lattice = host.structure.lattice
    assert lattice.abc == pytest.approx((11.20927, 11.20927, 18.11472))
    assert lattice.angles == pytest.approx((90, 90, 120))
    assert lattice.volume == pytest.approx(sqrt(3) / 2 * 11.20927**2 * 18.11472)
    assert {site.lattice for site in host.vacant} == {lattice}
    assert host.site_counts == {label: 3 * count for label, count in OCCUPIED.items()}


@pytest.mark.parametrize(
    ("name", "composition", "volume"),
    [
        # Supplementary Tables 3 and 2: occupancies times multiplicities, and the refined volumes
        ("lzc", {"Li": 6, "Zr": 3, "Cl": 18}, 618.51),
        ("lzc-10tf", {"Li": 6.3, "Zr": 2.7, "Ti": 0.3, "Cl": 17.1, "F": 0.9}, 616.71),
    ],
)
def test_rietveld_tables_give_the_published_crystals(name: str, composition: dict[str, float], volume: float) -> None:
    host = rietveld_host(name)
    found = host.structure.composition.get_el_amt_dict()
    assert found == pytest.approx(composition, abs=5e-3)
    assert host.structure.volume == pytest.approx(volume, abs=0.005)
    assert host.site_counts == {**OCCUPIED, **VACANT}
    assert not host.is_ordered
    assert host.structure.charge == pytest.approx(0, abs=5e-3)


def test_rietveld_compositions_without_the_structure() -> None:
    """Table 2 by hand: sum of occupancy times multiplicity."""
    amounts = rietveld_host("lzc-10tf").structure.composition.get_el_amt_dict()
    assert amounts["Li"] == pytest.approx(6 * (0.2459 + 0.8041), abs=1e-9)
    assert amounts["Zr"] == pytest.approx(0.6642 + 2 * 0.6327 + 0.4318 + 2 * 0.1693, abs=1e-9)
    assert amounts["Ti"] == pytest.approx(0.0265 + 2 * 0.0492 + 0.0613 + 2 * 0.0569, abs=1e-9)
    # Cl2 and F2 share a site whose printed occupancies sum to 1.0006
    assert amounts["F"] == pytest.approx(6 * (0.0158 + 0.0434 / 1.0006 + 0.0908), abs=1e-9)


def test_rounded_occupancies_are_normalised_and_said() -> None:
    assert rietveld_host("lzc-10tf").notes == ("lzc-10tf 6i: occupancies sum to 1.0006, normalised to 1",)
    assert rietveld_host("lzc").notes == ()


# ---- symmetry and coordination ----


def space_group_number(structure: Structure) -> int:
    contents = [site.species_string for site in structure]
    _, numbers = np.unique(contents, return_inverse=True)
    cell = (structure.lattice.matrix, structure.frac_coords, numbers + 1)
    return spglib.get_symmetry_dataset(cell, symprec=1e-4).number


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_host_is_p3m1(name: str) -> None:
    host = host_by_name(name)
    assert space_group_number(host.structure) == 164
    assert space_group_number(host.with_vacant) == 164


@pytest.mark.parametrize("name", ["lzc", "lzc-rietveld", "lzc-10tf-rietveld"])
def test_labels_are_the_multiplicities_that_spglib_finds(name: str) -> None:
    crystal = host_by_name(name).with_vacant
    contents = [site.species_string for site in crystal]
    _, numbers = np.unique(contents, return_inverse=True)
    cell = (crystal.lattice.matrix, crystal.frac_coords, numbers + 1)
    dataset = spglib.get_symmetry_dataset(cell, symprec=1e-4)
    sizes = Counter(dataset.equivalent_atoms)
    for site, letter, orbit in zip(crystal, dataset.wyckoffs, dataset.equivalent_atoms, strict=True):
        assert site.properties[WYCKOFF].rstrip("'") == f"{sizes[orbit]}{letter}"


@pytest.mark.parametrize("label", OCTAHEDRA)
@pytest.mark.parametrize("name", ["lzc", "lzc-aimd", "lzc-rietveld", "lzc-10tf-rietveld"])
def test_every_cation_and_vacant_site_is_an_octahedron(name: str, label: str) -> None:
    """Six anions from 2.3 to 2.9 Å, the seventh beyond 4.1 Å, in three opposite pairs."""
    crystal = host_by_name(name).with_vacant
    nearest = shells(crystal, label)
    assert nearest[:, 0].min() > 2.3
    assert nearest[:, 5].max() < 2.9
    assert nearest[:, 6].min() > 4.1
    for site in crystal:
        if site.properties[WYCKOFF] != label:
            continue
        bonds = [n.coords - site.coords for n in crystal.get_neighbors(site, 3.5) if n.properties[WYCKOFF] == "6i"]
        units = np.array(bonds) / np.linalg.norm(bonds, axis=1)[:, None]
        assert (np.sort(units @ units.T)[:, 0] < np.cos(np.radians(160))).all()


def test_octahedra_are_as_many_as_anions() -> None:
    """An hcp lattice has one octahedral hole an anion."""
    host = ideal_host()
    assert len(host.with_vacant) - host.site_counts["6i"] == host.site_counts["6i"] == 18


@pytest.mark.parametrize("label", ["1a", "2d", "1b", "2d'"])
def test_nearest_chlorine_agrees_with_exafs(label: str) -> None:
    assert shells(rietveld_host("lzc").structure, label)[:, 0] == pytest.approx(EXAFS_ZR_CL, abs=0.1)


def test_mean_zr_cl_bond_agrees_with_exafs() -> None:
    crystal = rietveld_host("lzc").structure
    weights, means = [], []
    for site in crystal:
        if "Zr" in site.species_string:
            weights.append(site.species.num_atoms)
            means.append(shells(crystal, site.properties[WYCKOFF])[0, :6].mean())
    assert np.average(means, weights=weights) == pytest.approx(EXAFS_ZR_CL, abs=0.1)


# ---- supercells ----


@given(st.tuples(*[st.integers(1, 3)] * 3))
@settings(max_examples=12, deadline=None)
def test_supercells_keep_labels(repeats: tuple[int, int, int]) -> None:
    host, size = ideal_host(), int(np.prod(repeats))
    cell = host.supercell(repeats)
    assert cell.site_counts == {label: size * count for label, count in OCCUPIED.items()}
    assert Counter(site.properties[WYCKOFF] for site in cell.vacant) == {
        label: size * count for label, count in VACANT.items()
    }
    assert cell.structure.volume == pytest.approx(size * host.structure.volume)
    assert cell.structure.lattice.abc == pytest.approx(np.multiply(repeats, host.structure.lattice.abc))
    for label in OCTAHEDRA:
        expected = np.sort(np.tile(shells(host.with_vacant, label)[:, :6], (size, 1)), axis=0)
        assert np.sort(shells(cell.with_vacant, label)[:, :6], axis=0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("repeats", [(2, 2), (2, 2, 0), (2, 2, 1.5), (1, 1, 1, 1), (-1, 1, 1)])
def test_wrong_supercell_is_refused(repeats: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"supercell \[.*\]: three positive integers are allowed"):
        ideal_host().supercell(repeats)  # type: ignore[arg-type]


def test_species_by_label() -> None:
    found = rietveld_host("lzc-10tf").species_by_label
    cations, anions = ["Zr4+", "Ti3+"], ["Cl-", "F-"]
    assert {label: [str(ion) for ion in ions] for label, ions in found.items()} == {
        **{"6g": ["Li+"], "6h": ["Li+"], "6i": anions},
        **dict.fromkeys(("1a", "2d", "1b", "2d'"), cations),
    }


# ---- names and files ----


def test_unknown_host_names_the_known_ones() -> None:
    with pytest.raises(InputError) as refusal:
        host_by_name("lcz")
    assert str(refusal.value) == (
        "host 'lcz': allowed are lzc, lzc-aimd, lzc-rietveld, lzc-10tf-rietveld, or a CIF with a label map"
    )


def test_reading_files(tmp_path: Path) -> None:
    good, bad = tmp_path / "host.cif", tmp_path / "bad.cif"
    ideal_host().structure.to(str(good))
    assert read_structure(good).composition.reduced_formula == "Li2ZrCl6"
    bad.write_text("not a crystal")
    with pytest.raises(InputError, match=r"bad\.cif: not a readable crystal structure \(.+\)$"):
        read_structure(bad)
    with pytest.raises(InputError, match=r"none\.cif: no such file$"):
        read_structure(tmp_path / "none.cif")


def test_reading_a_file_warns_of_rounded_occupancies_and_of_nothing_else(tmp_path: Path) -> None:
    """A site of 1.003, and coordinates of 1/3 that pymatgen rounds and would tell of."""
    path = tmp_path / "host.cif"
    ideal_host().structure.to(str(path))
    lines = path.read_text().splitlines()
    zirconium = next(number for number, line in enumerate(lines) if line.split()[:2] == ["Zr4+", "Zr6"])
    lines[zirconium] = lines[zirconium].removesuffix("1") + "1.003"
    path.write_text("\n".join(lines))
    with pytest.warns(InputWarning) as caught:
        structure = read_structure(path)
    assert structure.is_ordered
    (warning,) = caught
    assert str(warning.message).startswith(f"{path}: site Zr")
    assert str(warning.message).endswith(": occupancies sum to 1.0030, normalised to 1")


@pytest.mark.parametrize("name", ["host.cif.gz", "HOST.CIF", "POSCAR", "host.json"])
def test_the_name_of_a_file_says_what_is_in_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.lower().endswith(("cif", "gz")):
        text = ideal_host().structure.to(fmt="cif").encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    else:
        ideal_host().structure.to(str(path))
    assert read_structure(path).composition.reduced_formula == "Li2ZrCl6"
