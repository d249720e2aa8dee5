from __future__ import annotations

import itertools
import subprocess
import sys
import tracemalloc
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pymatgen.core import Lattice, Species, Structure
from scipy.special import erfc

from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import InputError
from lzc_flows.transport import bvse
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import (
    BYTES_PER_NODE,
    MAX_ENERGY_EV,
    EnergyField,
    energy_field,
    energy_field_on_grid,
    grid_shape,
    predicted_memory_bytes,
)
from lzc_flows.transport.bvse_parameters import (
    covalent_radius_angstrom,
    morse_parameters,
    principal_quantum_number,
)
from lzc_flows.transport.conventions import CONVENTIONS
from lzc_flows.transport.percolation import percolation

SOFTBV = CONVENTIONS["softbv"]
TRICLINIC = Lattice.from_parameters(4.1, 5.3, 6.2, 78, 97, 111)
CUTOFF = 7.3


def small_structure() -> Structure:
    # positions outside [0, 1) and on no grid node
    positions = [[0.02, 0.03, 0.04], [0.47, 1.53, 0.41], [0.13, 0.62, -0.22], [0.81, 0.17, 0.57]]
    return Structure(TRICLINIC, ["Li+", "Zr4+", "Cl-", "Cl-"], positions)


def cation_scale(structure: Structure) -> float:
    """The square of the factor on a cation's charge, from Adams & Rao 2011."""
    sums = {1: 0.0, -1: 0.0}
    for site in structure:
        for species, occupancy in site.species.items():
            weighted = abs(species.oxi_state) * occupancy / np.sqrt(principal_quantum_number(species))
            sums[int(np.sign(species.oxi_state))] += weighted
    return sums[-1] / sums[1]


def assert_same(field, expected):
    """The field is the clipped expectation within the stated error, far below 0.1 meV."""
    assert field.table_error_ev < 1e-4
    np.testing.assert_allclose(
        field.energies_ev, np.minimum(expected, MAX_ENERGY_EV), rtol=0, atol=field.table_error_ev + 1e-9
    )


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
                    charges = mobile.oxi_state * species.oxi_state
                    if convention.charges != "formal":
                        n1, n2 = (principal_quantum_number(s) for s in (mobile, species))
                        charges /= np.sqrt(n1 * n2)
                    if convention.charges == "neutral":
                        charges *= cation_scale(structure)
                    energy = 14.4 * charges / r * erfc(r / (convention.screening_factor * (r1 + r2)))
                total += np.where(r <= cutoff, occupancy * energy, 0.0)
    return total


@pytest.mark.parametrize(
    "convention",
    [*CONVENTIONS.values(), replace(SOFTBV, name="formal", charges="formal", morse_prefactor=1.0)],
    ids=lambda convention: convention.name,
)
def test_field_equals_brute_force_sums(convention):
    structure = small_structure()
    field = energy_field(structure, resolution_angstrom=0.45, cutoff_angstrom=CUTOFF, convention=convention)
    assert field.energies_ev.shape == (10, 12, 14)
    expected = brute_force(structure, Species("Li", 1), (10, 12, 14), CUTOFF, convention)
    assert_same(field, expected)
    assert (field.mobile, field.convention, field.cutoff_angstrom) == ("Li+", convention.name, CUTOFF)
    np.testing.assert_array_equal(field.lattice_angstrom, TRICLINIC.matrix)


def test_cutoff_longer_than_several_thin_cells():
    structure = Structure(
        Lattice.from_parameters(2.6, 3.1, 7.0, 90, 90, 60), ["Li+", "Cl-"], [[0.0, 0.0, 0.0], [0.4, 0.3, 0.5]]
    )
    field = energy_field(structure, resolution_angstrom=0.5, cutoff_angstrom=9.9)
    expected = brute_force(structure, Species("Li", 1), field.energies_ev.shape, 9.9, SOFTBV)
    assert_same(field, expected)


def test_moving_the_crystal_by_nodes_rolls_the_field():
    structure = small_structure()
    reference = energy_field(structure, resolution_angstrom=0.5).energies_ev
    steps = (3, -4, 7)
    structure.translate_sites(range(len(structure)), np.array(steps) / reference.shape, to_unit_cell=False)
    moved = energy_field(structure, resolution_angstrom=0.5).energies_ev
    np.testing.assert_allclose(moved, np.roll(reference, steps, axis=(0, 1, 2)), rtol=0, atol=1e-6)


def test_a_supercell_repeats_the_field():
    structure = small_structure()
    cell = energy_field(structure, resolution_angstrom=0.7).energies_ev
    larger = energy_field(structure * (2, 1, 3), resolution_angstrom=0.7 * 0.999)
    assert larger.energies_ev.shape == (12, 8, 27)
    np.testing.assert_allclose(larger.energies_ev, np.tile(cell, (2, 1, 3)), rtol=0, atol=1e-5)


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
    np.testing.assert_allclose(e1 - e0, 0.5 * (e2 - e0), rtol=0, atol=1e-5)
    assert np.abs(e1 - e0).max() > 1


def test_a_shared_site_counts_every_species_but_the_mobile_element():
    shared = small_structure()
    shared.replace(1, {"Zr4+": 0.6, "Y3+": 0.3, "Li+": 0.1})
    field = energy_field(shared, resolution_angstrom=0.6, cutoff_angstrom=CUTOFF)
    expected = brute_force(shared, Species("Li", 1), field.energies_ev.shape, CUTOFF, SOFTBV)
    assert_same(field, expected)


def test_other_mobile_ions_count_where_the_convention_says_so():
    # the same crystal with its second lithium's charge on another element, in softBV's radii and shells of lithium
    structure = Structure(
        TRICLINIC, ["Li+", {"Li+": 0.4}, "Cl-"], [[0.02, 0.03, 0.04], [0.4, 0.6, 0.4], [0.7, 0.2, 0.8]]
    )
    average = replace(SOFTBV, mobile_framework="average")
    shape = (7, 8, 9)
    with_lithium = energy_field_on_grid(structure, "Li+", shape, cutoff_angstrom=CUTOFF, convention=average)
    without = energy_field_on_grid(structure, "Li+", shape, cutoff_angstrom=CUTOFF)
    nodes = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    expected = np.zeros(len(nodes))
    for position, occupancy in (([0.02, 0.03, 0.04], 1.0), ([0.4, 0.6, 0.4], 0.4)):
        for cell in itertools.product(range(-4, 5), repeat=3):
            r = np.linalg.norm((np.array(position) + cell - nodes) @ TRICLINIC.matrix, axis=1)
            expected += np.where(r <= CUTOFF, occupancy * 14.4 / 2 / r * erfc(r / (0.74 * 2 * 1.31)), 0.0)
    unclipped = with_lithium.energies_ev.ravel() < MAX_ENERGY_EV
    assert unclipped.mean() > 0.9
    difference = (with_lithium.energies_ev - without.energies_ev).ravel()
    np.testing.assert_allclose(difference[unclipped], expected[unclipped], rtol=0, atol=2e-5)


def test_nodes_on_top_of_ions_are_clipped_and_finite():
    structure = Structure(Lattice.cubic(5), ["Li+", "Zr4+", "Cl-"], [[0.5, 0, 0], [0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    energies = energy_field(structure, resolution_angstrom=0.5).energies_ev
    assert np.isfinite(energies).all()
    assert energies[0, 0, 0] == energies.max() == MAX_ENERGY_EV


def test_a_weak_ion_is_summed_down_to_its_nucleus():
    # a twentieth of a chloride on a node, of 23 eV: no clipping hides how the distance goes to zero
    structure = Structure(Lattice.cubic(5), ["Li+", {"Cl-": 0.05}], [[0.5, 0, 0], [0.2, 0.4, 0.6]])
    field = energy_field_on_grid(structure, "Li+", (5, 5, 5))
    chloride = morse_parameters(Species("Li", 1), Species("Cl", -1))
    x = np.exp(chloride.alpha_per_angstrom * chloride.r_min_angstrom)
    at_nucleus = 0.05 * 0.5 * chloride.dissociation_energy_ev * x * (x - 2)
    assert field.energies_ev[1, 2, 3] == pytest.approx(at_nucleus, rel=0.01, abs=0)
    assert 10 < at_nucleus < MAX_ENERGY_EV


def test_an_ion_at_the_cutoff_counts():
    # every distance from the node at the chloride is exact, the six nearest images lie on the cutoff
    structure = Structure(Lattice.cubic(4), ["Li+", {"Cl-": 0.05}], [[0.5, 0, 0], [0, 0, 0]])
    alone, with_images = (
        energy_field_on_grid(structure, "Li+", (2, 2, 2), cutoff_angstrom=cutoff).energies_ev[0, 0, 0]
        for cutoff in (3.9999, 4.0)
    )
    chloride = morse_parameters(Species("Li", 1), Species("Cl", -1))
    x = np.exp(chloride.alpha_per_angstrom * (chloride.r_min_angstrom - 4.0))
    six = 6 * 0.05 * 0.5 * chloride.dissociation_energy_ev * x * (x - 2)
    assert with_images - alone == pytest.approx(six, rel=0, abs=1e-6)
    assert abs(six) > 1e-3


def test_grid_shape():
    assert grid_shape(Lattice.orthorhombic(4.0, 4.01, 0.1).matrix, 0.2) == (20, 21, 1)
    # 0.1 + 0.1 + 0.1 = 0.30000000000000004: a multiple gains no node by rounding
    assert grid_shape(np.diag([0.1 + 0.1 + 0.1, 0.7, 7 * 0.1]), 0.1) == (3, 7, 7)


@pytest.mark.parametrize("resolution", [0.0, -0.2, 5e-324, float("nan"), float("inf")])
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
    with pytest.raises(InputError, match=r"^mobile ion F-: a cation is allowed, such as Li\+$"):
        energy_field(Structure(TRICLINIC, ["F-", "Ca2+"], [[0.0, 0.0, 0.0], [0.3, 0.3, 0.3]]), "F-")
    with pytest.raises(InputError, match="grid 3×0×3: expected at least one point"):
        energy_field_on_grid(small_structure(), "Li+", (3, 0, 3))


def test_a_grid_beyond_the_memory_is_refused_with_a_resolution_that_fits(monkeypatch):
    available = 23_730_000_000  # 22.1 GiB
    monkeypatch.setattr(bvse.psutil, "virtual_memory", lambda: SimpleNamespace(available=available))
    structure = ideal_host().structure
    with pytest.raises(InputError) as caught:
        energy_field(structure, resolution_angstrom=0.001)
    shape = grid_shape(structure.lattice.matrix, 0.001)
    needed = predicted_memory_bytes(shape)
    assert needed == np.prod([float(n) for n in shape]) * BYTES_PER_NODE
    points = "×".join(map(str, shape))
    message = (
        f"resolution 0.001 Å: a grid of {points} points needs about {needed / 2**30:,.0f} GiB, "
        "22.1 GiB are available; a resolution of "
    )
    assert str(caught.value).startswith(message)
    fitting = float(str(caught.value).removeprefix(message).split()[0])
    assert predicted_memory_bytes(grid_shape(structure.lattice.matrix, fitting)) <= available
    assert predicted_memory_bytes(grid_shape(structure.lattice.matrix, fitting - 0.001)) > available


def test_a_field_takes_little_more_memory_than_its_energies():
    structure = small_structure()
    shape = (120, 120, 120)
    energy_field_on_grid(structure, "Li+", (4, 4, 4))
    tracemalloc.start()
    energy_field_on_grid(structure, "Li+", shape, cutoff_angstrom=3.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # the energies, one byte of marks, and what does not grow with the grid; numba's own buffers are not traced
    assert peak < 9 * 120**3 + 5e6


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


def antifluorite_like() -> Structure:
    positions = [[0.0, 0.0, 0.0], [0.51, 0.52, 0.53], [0.21, 0.77, 0.34], [0.72, 0.28, 0.13]]
    return Structure(Lattice.cubic(5.3), ["Li+", "Zr4+", "Cl-", "Cl-"], positions)


@pytest.mark.parametrize("structure", [antifluorite_like(), ideal_host().structure, small_structure()])
@pytest.mark.parametrize("convention", ["bvlain", "softbv"])
def test_field_equals_bvlains_node_by_node(structure, convention):
    theirs = bvlain_field(structure, 0.5, softbv_radii=convention == "softbv")
    ours = energy_field_on_grid(structure, "Li+", theirs.shape, convention=CONVENTIONS[convention])
    # bvlain's sums are not clipped
    assert_same(ours, theirs)


def barriers_ev(field: EnergyField) -> list[float]:
    """Barriers in one, two and three dimensions from the cell's minimum, as bvlain reports them."""
    thresholds = percolation(basins(field.energies_ev, field.lattice_angstrom).graph).thresholds
    return [thresholds[target].barrier_from_cell_minimum_ev for target in ("1d", "2d", "3d")]


def test_barriers_of_li2zrcl6_agree_with_bvlain():
    # bvlain 0.25.1, r_cut 10 Å, k = 200, 0.2 Å: 0.4980/0.4980/0.5371 eV, as bench/bvse_vs_bvlain.py prints.
    # Its grid (53 × 53 × 28 intervals) and bisection (0.01 eV) leave about 0.01 eV between the codes.
    field = energy_field(ideal_host().structure, resolution_angstrom=0.2, convention=CONVENTIONS["bvlain"])
    assert field.energies_ev.shape == (55, 55, 30)
    barriers = barriers_ev(field)
    assert barriers == pytest.approx([0.4980, 0.4980, 0.5371], rel=0, abs=0.02)


def test_barriers_converge_with_the_grid():
    # the same crystal on two grids: 0.1 Å against bvlain 0.25.1 at 0.1 Å, 0.498/0.498/0.518 eV
    field = energy_field(ideal_host().structure, resolution_angstrom=0.1, convention=CONVENTIONS["bvlain"])
    barriers = barriers_ev(field)
    assert barriers == pytest.approx([0.498, 0.498, 0.518], rel=0, abs=0.02)
