from __future__ import annotations

import itertools
import subprocess
import sys
import warnings

import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure
from scipy.special import erfc

from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import InputError
from lzc_flows.transport.bvse import CONVENTIONS, MAX_ENERGY_EV, energy_field, grid_shape
from lzc_flows.transport.bvse_parameters import (
    covalent_radius_angstrom,
    morse_parameters,
    principal_quantum_number,
)
from lzc_flows.transport.percolation import percolation_thresholds

TRICLINIC = Lattice.from_parameters(4.1, 5.3, 6.2, 78, 97, 111)
CUTOFF = 7.3


def small_structure() -> Structure:
    # positions outside [0, 1) and on no grid node
    positions = [[0.02, 0.03, 0.04], [0.47, 1.53, 0.41], [0.13, 0.62, -0.22], [0.81, 0.17, 0.57]]
    return Structure(TRICLINIC, ["Li+", "Zr4+", "Cl-", "Cl-"], positions)


def brute_force(structure, mobile, shape, cutoff, convention):
    """Sum over a generous block of images with numpy alone, occupancies as weights, without clipping."""
    nodes = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), axis=-1)
    nodes = nodes @ structure.lattice.matrix
    total = np.zeros(shape)
    cells = list(itertools.product(range(-5, 6), repeat=3))
    for site in structure:
        for species, occupancy in site.species.items():
            if species.symbol == mobile.symbol:
                continue
            for cell in cells:
                image = (site.frac_coords + np.array(cell)) @ structure.lattice.matrix
                r = np.linalg.norm(nodes - image, axis=-1)
                if r.min() > cutoff:
                    continue
                r = np.maximum(r, 1e-9)
                if species.oxi_state * mobile.oxi_state < 0:
                    morse = morse_parameters(mobile, species)
                    bracket = (np.exp(morse.alpha_per_angstrom * (morse.r_min_angstrom - r)) - 1) ** 2 - 1
                    energy = convention.morse_prefactor * morse.dissociation_energy_ev * bracket
                else:
                    r1, r2 = (covalent_radius_angstrom(s, convention.radii) for s in (mobile, species))
                    n1, n2 = (principal_quantum_number(s) for s in (mobile, species))
                    charges = mobile.oxi_state * species.oxi_state / np.sqrt(n1 * n2)
                    energy = 14.4 * charges / r * erfc(r / (convention.screening_factor * (r1 + r2)))
                total += np.where(r <= cutoff, occupancy * energy, 0.0)
    return total


@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
def test_field_equals_brute_force_sums(convention):
    structure = small_structure()
    field = energy_field(structure, resolution_angstrom=0.45, cutoff_angstrom=CUTOFF, convention=convention)
    assert field.energies_ev.shape == (10, 12, 14)
    expected = brute_force(structure, Species("Li", 1), (10, 12, 14), CUTOFF, convention)
    np.testing.assert_allclose(field.energies_ev, np.minimum(expected, MAX_ENERGY_EV), rtol=1e-10, atol=1e-10)
    assert (field.mobile, field.convention, field.cutoff_angstrom) == ("Li+", convention.name, CUTOFF)
    np.testing.assert_array_equal(field.lattice_angstrom, TRICLINIC.matrix)


def test_field_of_a_mobile_anion_equals_brute_force_sums():
    structure = Structure(TRICLINIC, ["F-", "Ca2+", "O2-"], [[0.0, 0.0, 0.0], [0.31, 0.42, 0.53], [0.77, 0.12, 0.9]])
    field = energy_field(structure, "F-", resolution_angstrom=0.6, cutoff_angstrom=CUTOFF)
    expected = brute_force(structure, Species("F", -1), field.energies_ev.shape, CUTOFF, CONVENTIONS["bvlain"])
    np.testing.assert_allclose(field.energies_ev, np.minimum(expected, MAX_ENERGY_EV), rtol=1e-10, atol=1e-10)


def test_cutoff_longer_than_several_thin_cells():
    structure = Structure(
        Lattice.from_parameters(2.6, 3.1, 7.0, 90, 90, 60), ["Li+", "Cl-"], [[0.0, 0.0, 0.0], [0.4, 0.3, 0.5]]
    )
    field = energy_field(structure, resolution_angstrom=0.5, cutoff_angstrom=9.9)
    expected = brute_force(structure, Species("Li", 1), field.energies_ev.shape, 9.9, CONVENTIONS["bvlain"])
    np.testing.assert_allclose(field.energies_ev, np.minimum(expected, MAX_ENERGY_EV), rtol=1e-10, atol=1e-10)


def test_moving_the_crystal_by_nodes_rolls_the_field():
    structure = small_structure()
    reference = energy_field(structure, resolution_angstrom=0.5).energies_ev
    steps = (3, -4, 7)
    structure.translate_sites(range(len(structure)), np.array(steps) / reference.shape, to_unit_cell=False)
    moved = energy_field(structure, resolution_angstrom=0.5).energies_ev
    np.testing.assert_allclose(moved, np.roll(reference, steps, axis=(0, 1, 2)), rtol=1e-9, atol=1e-9)


def test_a_supercell_repeats_the_field():
    structure = small_structure()
    cell = energy_field(structure, resolution_angstrom=0.7).energies_ev
    larger = energy_field(structure * (2, 1, 3), resolution_angstrom=0.7 * 0.999)
    assert larger.energies_ev.shape == (12, 8, 27)
    np.testing.assert_allclose(larger.energies_ev, np.tile(cell, (2, 1, 3)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("species", ["Cl-", "Zr4+"])
def test_half_an_ion_contributes_half(species):
    base = Structure(TRICLINIC, ["Li+", "Cl-"], [[0.0, 0.0, 0.0], [0.13, 0.62, 0.78]])
    none, half, full = base, base.copy(), base.copy()
    half.append({species: 0.5}, [0.47, 0.53, 0.41])
    full.append({species: 1.0}, [0.47, 0.53, 0.41])
    fields = [energy_field(s, resolution_angstrom=0.5).energies_ev for s in (none, half, full)]
    unclipped = np.all([f < MAX_ENERGY_EV for f in fields], axis=0)
    assert unclipped.mean() > 0.9
    e0, e1, e2 = (f[unclipped] for f in fields)
    np.testing.assert_allclose(e1 - e0, 0.5 * (e2 - e0), rtol=1e-9, atol=1e-9)
    assert np.abs(e1 - e0).max() > 1


def test_a_shared_site_counts_every_species_but_the_mobile_element():
    shared = small_structure()
    shared.replace(1, {"Zr4+": 0.6, "Y3+": 0.3, "Li+": 0.1})
    field = energy_field(shared, resolution_angstrom=0.6, cutoff_angstrom=CUTOFF)
    expected = brute_force(shared, Species("Li", 1), field.energies_ev.shape, CUTOFF, CONVENTIONS["bvlain"])
    np.testing.assert_allclose(field.energies_ev, np.minimum(expected, MAX_ENERGY_EV), rtol=1e-10, atol=1e-10)


def test_nodes_on_top_of_ions_are_clipped_and_finite():
    structure = Structure(Lattice.cubic(5), ["Li+", "Zr4+", "Cl-"], [[0.5, 0, 0], [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    energies = energy_field(structure, resolution_angstrom=0.5).energies_ev
    assert np.isfinite(energies).all()
    assert energies[0, 0, 0] == energies.max() == MAX_ENERGY_EV


def test_the_field_has_the_symmetry_of_the_crystal():
    # P-3m1: inversion, and a threefold axis through the origin, (x, y) -> (-y, x - y)
    energies = energy_field(ideal_host().structure, resolution_angstrom=0.6).energies_ev
    assert energies.shape == (19, 19, 10)
    i, j, k = np.meshgrid(*[np.arange(n) for n in energies.shape], indexing="ij")
    np.testing.assert_allclose(energies, energies[-i, -j, -k], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(energies, energies[-j, (i - j) % 19, k], rtol=1e-8, atol=1e-8)


def test_grid_shape():
    assert grid_shape(Lattice.orthorhombic(4.0, 4.01, 0.1).matrix, 0.2) == (20, 21, 1)
    # 0.1 + 0.1 + 0.1 = 0.30000000000000004: a multiple gains no node by rounding
    assert grid_shape(np.diag([0.1 + 0.1 + 0.1, 0.7, 7 * 0.1]), 0.1) == (3, 7, 7)


@pytest.mark.parametrize("resolution", [0.0, -0.2, float("nan"), float("inf")])
def test_resolution_must_be_positive(resolution):
    with pytest.raises(InputError, match="resolution"):
        energy_field(small_structure(), resolution_angstrom=resolution)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="cutoff -1 Å"):
        energy_field(small_structure(), cutoff_angstrom=-1)
    with pytest.raises(InputError, match=r"Na\+ is not in the structure, which holds Cl-, Li\+, Zr4\+"):
        energy_field(small_structure(), "Na+")
    with pytest.raises(InputError, match=r"no oxidation state"):
        energy_field(Structure(TRICLINIC, ["Li+", "Cl"], [[0.0, 0.0, 0.0], [0.3, 0.3, 0.3]]))
    with pytest.raises(InputError, match="no framework ion"):
        energy_field(Structure(TRICLINIC, ["Li+"], [[0.0, 0.0, 0.0]]))
    lacking = Structure(TRICLINIC, ["Li+", "S-", "P3-"], [[0.0, 0.0, 0.0], [0.3, 0.3, 0.3], [0.6, 0.6, 0.6]])
    with pytest.raises(InputError, match=r"no softBV parameters for Li\+ with P3-, S-; available"):
        energy_field(lacking)


def test_a_process_may_fork_after_computing_a_field():
    code = """
import multiprocessing, sys
from pymatgen.core import Lattice, Structure
from lzc_flows.transport.bvse import energy_field
structure = Structure(Lattice.cubic(5), ["Li+", "Cl-"], [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
energy_field(structure)
child = multiprocessing.get_context("fork").Process(target=energy_field, args=(structure,))
child.start()
child.join()
sys.exit(child.exitcode != 0)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def bvlain_field(structure: Structure, resolution: float, *, softbv_radii: bool = False) -> np.ndarray:
    """bvlain's field without its repeated end planes, every ion of each 10 Å sphere counted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from bvlain import Lain
    lain = Lain(verbose=False)
    lain.read_structure(structure, oxi_check=False)
    data = lain.bvse_distribution(
        mobile_ion="Li1+", r_cut=10.0, resolution=resolution, k=600, use_softbv_covalent_radii=softbv_radii
    )
    return data[:-1, :-1, :-1]


@pytest.mark.parametrize("convention", ["bvlain", "softbv"])
def test_field_equals_bvlains_node_by_node(convention):
    # in a cubic cell one resolution gives both codes the same nodes; antifluorite-like, off the nodes
    structure = Structure(
        Lattice.cubic(5.3),
        ["Li+", "Zr4+", "Cl-", "Cl-"],
        [[0.0, 0.0, 0.0], [0.51, 0.52, 0.53], [0.21, 0.77, 0.34], [0.72, 0.28, 0.13]],
    )
    theirs = bvlain_field(structure, 0.5, softbv_radii=convention == "softbv")
    ours = energy_field(structure, resolution_angstrom=5.3 / 9, convention=CONVENTIONS[convention])
    assert theirs.shape == ours.energies_ev.shape == (9, 9, 9)
    np.testing.assert_allclose(ours.energies_ev, np.minimum(theirs, MAX_ENERGY_EV), rtol=1e-9, atol=1e-9)


def test_barriers_of_li2zrcl6_agree_with_bvlain():
    # bvlain 0.25.1, r_cut 10 Å, k = 200, 0.2 Å: 0.4980/0.4980/0.5371 eV, as bench/bvse_vs_bvlain.py prints.
    # Its grid (53 × 53 × 28 intervals) and bisection (0.01 eV) leave about 0.01 eV between the codes.
    field = energy_field(ideal_host().structure, resolution_angstrom=0.2, cutoff_angstrom=10.0)
    assert field.energies_ev.shape == (55, 55, 30)
    barriers = [t.barrier_from_cell_minimum_ev for t in percolation_thresholds(field.energies_ev).thresholds]
    assert barriers == pytest.approx([0.4980, 0.4980, 0.5371], rel=0, abs=0.02)


def test_barriers_converge_with_the_grid():
    # the same crystal on two grids: 0.1 Å against bvlain 0.25.1 at 0.1 Å, 0.498/0.498/0.518 eV
    field = energy_field(ideal_host().structure, resolution_angstrom=0.1)
    barriers = [t.barrier_from_cell_minimum_ev for t in percolation_thresholds(field.energies_ev).thresholds]
    assert barriers == pytest.approx([0.498, 0.498, 0.518], rel=0, abs=0.02)
