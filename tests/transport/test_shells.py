from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import aimd_host, ideal_host
from lzc_flows.transport.shells import Ions, Shells, shells


def bonds_of(structure: Structure, frames: int = 20, shake: float = 0.1) -> tuple[Shells, list[int], list[int]]:
    """Bonds of a shaken crystal, and the indices of its cations and anions."""
    symbols = [site.specie.symbol for site in structure]
    positions = structure.cart_coords + np.random.default_rng(0).normal(0, shake, (frames, len(structure), 3))
    groups = [[i for i, s in enumerate(symbols) if (s in ("Cl", "F")) == is_anion] for is_anion in (False, True)]
    ions = [Ions(positions[:, rows], [symbols[i] for i in rows]) for rows in groups]
    return shells(*ions, np.array(structure.lattice.matrix)), *groups


def rock_salt(repeats: int) -> Structure:
    structure = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return structure * (repeats, repeats, repeats)


@pytest.mark.parametrize("repeats", [1, 2])
def test_six_neighbours_in_rock_salt_also_where_an_anion_is_bonded_twice(repeats: int) -> None:
    found, _, _ = bonds_of(rock_salt(repeats))
    assert (found.bonds.sum(axis=2) == 6).all()
    assert found.bonds.max() == (2 if repeats == 1 else 1)
    # between the shells at 2.8 and 4.85 Å
    assert 3.2 < found.cutoff_angstrom["Na", "Cl"] < 4.4


def test_bonds_are_those_of_a_neighbour_list() -> None:
    structure = aimd_host().structure.copy().remove_oxidation_states()
    structure.remove_species(["Li"])
    found, cations, anions = bonds_of(structure, frames=1, shake=0.0)
    cutoff = found.cutoff_angstrom["Zr", "Cl"]
    expected = np.zeros(found.bonds.shape[1:], dtype=int)
    for first, second, _, distance in zip(*structure.get_neighbor_list(6.0), strict=True):
        if first in cations and second in anions and distance < cutoff:
            expected[cations.index(first), anions.index(second)] += 1
    assert (found.bonds[0] == expected).all()
    assert (expected.sum(axis=1) == 6).all()


def test_small_and_large_anions_share_a_cutoff_in_their_own_units() -> None:
    """One Zr–Cl bond of each octahedron becomes a Zr–F bond of 2.0 Å, below what Cl has."""
    structure = ideal_host().structure.copy().remove_oxidation_states()
    structure.remove_species(["Li"])
    for zirconium in [site for site in structure if site.specie.symbol == "Zr"]:
        near = min(structure.get_neighbors(zirconium, 3.0), key=lambda site: site.nn_distance)
        place = zirconium.coords + (near.coords - zirconium.coords) * 2.0 / near.nn_distance
        structure.replace(near.index, "F", place, coords_are_cartesian=True)
    found, _, _ = bonds_of(structure, shake=0.05)
    assert (found.bonds.sum(axis=2) == 6).all()
    assert found.cutoff_angstrom["Zr", "F"] < found.cutoff_angstrom["Zr", "Cl"]
