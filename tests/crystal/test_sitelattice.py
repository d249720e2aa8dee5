from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, PeriodicSite, Species, Structure

from lzc_flows.crystal.host import WYCKOFF, Host, aimd_host, ideal_host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.crystal.sitelattice import SiteLattice, site_permutations
from lzc_flows.documents.protocols import SYMPREC_ANGSTROM
from lzc_flows.errors import CalculationError, InputError

# operations of the supercell's space group: those of P-3m1 (12) that keep the supercell, times its unit cells
OPERATIONS = {(1, 1, 1): 12, (2, 2, 1): 12 * 4, (1, 1, 2): 12 * 2, (2, 1, 1): 4 * 2, (1, 2, 1): 4 * 2}
supercells = pytest.mark.parametrize("repeats", OPERATIONS)


@cache
def lattice_of(repeats: tuple[int, int, int]) -> SiteLattice:
    return SiteLattice(ideal_host(), repeats)


# ---- sites ----


@supercells
def test_sites_are_the_occupied_then_the_vacant(repeats: tuple[int, int, int]) -> None:
    sites, size = lattice_of(repeats), prod(repeats)
    assert sites.n_occupied == 27 * size
    assert sites.vacant == tuple(range(27 * size, 36 * size))
    assert {sites.ions[i] for i in sites.vacant} == {VACANT}
    assert {str(sites.labels[i]) for i in sites.vacant} == {"1b", "2d'", "6g"}
    assert len(sites.mobile) == 6 * size
    assert {str(sites.labels[i]) for i in sites.mobile} == {"6h"}
    assert sites.charges.sum() == 0


def test_with_labels_never_returns_vacant_sites() -> None:
    sites = lattice_of((2, 2, 1))
    assert len(sites.with_labels(("1a", "2d"))) == 12
    assert len(sites.with_labels(("6i",))) == 72
    assert sites.with_labels(("1b",)) == ()


def test_decorated_host_is_the_host() -> None:
    sites = lattice_of((2, 2, 1))
    structure = sites.decorated(list(sites.ions))
    assert structure == sites.cell.structure
    assert structure.site_properties[WYCKOFF] == sites.cell.structure.site_properties[WYCKOFF]


# ---- the group ----


@supercells
def test_permutations_are_a_group_of_the_right_order(repeats: tuple[int, int, int]) -> None:
    group = lattice_of(repeats).permutations
    assert group.shape == (OPERATIONS[repeats], 36 * prod(repeats))
    members = {row.tobytes() for row in group}
    assert len(members) == len(group)
    identity = np.arange(group.shape[1], dtype=group.dtype)
    assert identity.tobytes() in members
    for first in group:
        assert sorted(first) == list(identity)
        assert np.argsort(first).astype(group.dtype).tobytes() in members
        assert all(first[second].tobytes() in members for second in group)


@supercells
def test_permutations_keep_labels_and_distances(repeats: tuple[int, int, int]) -> None:
    sites = lattice_of(repeats)
    distances = sites.structure.distance_matrix
    for operation in sites.permutations:
        assert (sites.labels[operation] == sites.labels).all()
        assert np.abs(distances[np.ix_(operation, operation)] - distances).max() < 1e-6


def test_orbits_of_the_group_are_the_wyckoff_orbits() -> None:
    """Three Cl orbits share the label 6i; every other label is one orbit, in the supercell as well."""
    sites = lattice_of((2, 2, 1))
    orbits = {tuple(sorted(set(map(int, column)))) for column in sites.permutations.T}
    sizes = sorted((str(sites.labels[orbit[0]]), len(orbit)) for orbit in orbits)
    assert sizes == sorted([("1a", 4), ("1b", 4), ("2d", 8), ("2d'", 8), ("6g", 24), ("6h", 24)] + [("6i", 24)] * 3)


def nearest_by_brute_force(sites: SiteLattice) -> np.ndarray:
    """Return the permutations from the distances of every moved site to every site."""
    fractional = sites.structure.frac_coords
    kinds = [f"{label} {ion}" for label, ion in zip(sites.labels, sites.ions, strict=True)]
    numbers = np.unique(kinds, return_inverse=True)[1] + 1
    symmetry = spglib.get_symmetry((sites.structure.lattice.matrix, fractional, numbers), symprec=SYMPREC_ANGSTROM)
    rows = []
    for rotation, translation in zip(symmetry["rotations"], symmetry["translations"], strict=True):
        apart = (fractional @ rotation.T + translation)[:, None, :] - fractional[None, :, :]
        apart -= np.round(apart)
        rows.append(np.argmin((apart**2).sum(axis=2), axis=1))
    return np.unique(np.array(rows), axis=0)


def rutile() -> Host:
    structure = Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.63, 3.07),
        ["Sb5+", "O2-"],
        [(0, 0, 0), (0.305, 0.305, 0)],
        site_properties={WYCKOFF: ["2a", "4f"]},
    )
    return Host("rutile", structure)


def sheared() -> Host:
    """A triclinic cell with an inversion centre, its sites around the cell's faces."""
    lattice = Lattice.from_parameters(3.1, 4.2, 21.0, 62.0, 71.0, 83.0)
    points = [(0, 0, 0), (0.5, 0, 1e-17), (1e-5, -1e-5, 0.4), (-1e-5, 1e-5, -0.4)]
    labels = {WYCKOFF: ["1a", "1b", "2i", "2i"]}
    return Host("sheared", Structure(lattice, ["Ti4+", "Li+", "O2-", "O2-"], points, site_properties=labels))


@pytest.mark.parametrize(
    ("make_host", "repeats"),
    [
        (ideal_host, (2, 2, 1)),
        (ideal_host, (1, 3, 2)),
        (aimd_host, (1, 1, 1)),
        (rutile, (2, 1, 3)),
        (rutile, (2, 2, 2)),
        (sheared, (1, 1, 1)),
        (sheared, (3, 2, 2)),
    ],
)
def test_permutations_are_those_of_brute_force(make_host: Callable[[], Host], repeats: tuple[int, int, int]) -> None:
    sites = SiteLattice(make_host(), repeats)
    assert sites.permutations.dtype == np.int16
    assert np.array_equal(sites.permutations, nearest_by_brute_force(sites))


def test_an_operation_that_misses_the_sites_is_refused() -> None:
    """A translation a little off moves every site beside a site: up to the tolerance it is taken, beyond it not."""
    structure = SiteLattice(rutile(), (2, 1, 1)).structure
    lattice, fractional, identity = structure.lattice, structure.frac_coords, np.eye(3, dtype=int)

    def permutation(off_angstrom: float) -> list[int]:
        translation = np.array([0.5 + off_angstrom / lattice.a, 0, 0])
        operations = [(identity, np.zeros(3)), (identity, translation)]
        return site_permutations(lattice, fractional, operations, 0.01)[1].tolist()

    exact = permutation(0)
    assert sorted(exact) == list(range(12))
    assert exact != sorted(exact)
    assert permutation(0.009) == exact
    with pytest.raises(
        CalculationError, match=r"^symmetry operation 1 moves site \d+ to 0\.011 Å from the nearest site"
    ):
        permutation(0.011)


def test_an_operation_that_merges_sites_is_refused() -> None:
    fractional = np.array([(0, 0, 0), (0, 0, 1e-3)])
    with pytest.raises(CalculationError, match="symmetry operation 0 moves two sites onto one"):
        site_permutations(Lattice.cubic(4), fractional, [(np.diag([1, 1, -1]), np.array([0, 0, 0.0]))], 0.01)


@pytest.mark.parametrize("symprec_angstrom", [0.0, -1.0, 0.2, 3.0])
def test_a_tolerance_that_merges_sites_is_refused(symprec_angstrom: float) -> None:
    """The shortest distance in the host is 1.79 Å, from 6h to 6g."""
    with pytest.raises(InputError, match=rf"^symmetry tolerance {symprec_angstrom:g} Å: above 0 and up to 0\.\d+ Å"):
        _ = SiteLattice(ideal_host(), (1, 1, 1), symprec_angstrom).permutations


def test_a_wider_tolerance_forgives_what_it_says() -> None:
    """Sites off by up to 0.02 Å: the symmetry of the exact host comes back."""
    exact = ideal_host()
    structure = exact.structure.copy()
    structure.perturb(0.01, min_distance=0.005, seed=1)
    rough = Host("rough", structure, exact.vacant, exact.mobile)
    whole = SiteLattice(exact, (1, 1, 1)).permutations
    assert len(SiteLattice(rough, (1, 1, 1)).permutations) < len(whole)
    assert np.array_equal(SiteLattice(rough, (1, 1, 1), 0.05).permutations, whole)


@pytest.mark.parametrize("charge", [1, -3])
def test_the_background_of_a_charged_cell(charge: int) -> None:
    """pymatgen's own correction for the charge, added to its energy of point charges."""
    sites = SiteLattice(ideal_host(), (1, 1, 1))
    structure = sites.cell.structure.copy()
    structure.replace(0, Species(structure[0].specie.symbol, structure[0].specie.oxi_state + charge))
    charges = sites.charges.copy()
    charges[0] += charge
    energy_ev = charges @ sites.ewald_ev @ charges + sites.background_ev * charge**2
    assert EwaldSummation(structure).total_energy == pytest.approx(energy_ev, rel=0, abs=1e-6)


@pytest.mark.parametrize("centre", ["Na+", VACANT])
def test_permutations_tell_ions_of_one_label_apart(centre: str) -> None:
    """Two points that a translation joins, under one label: a label map may have it, the group must not."""
    cubic, points = Lattice.cubic(5), [(0, 0, 0), (0.5, 0.5, 0.5)]
    ions = ["Li+", centre] if centre else ["Li+"]
    labels = {WYCKOFF: ["1a"] * len(ions)}
    structure = Structure(cubic, ions, points[: len(ions)], site_properties=labels)
    vacant = () if centre else (PeriodicSite("Li+", points[1], cubic, properties={WYCKOFF: "1a"}),)
    sites = SiteLattice(Host("bcc", structure, vacant), (1, 1, 1))
    assert sites.ions == ("Li+", centre)
    assert sites.permutations.tolist() == [[0, 1]]


# ---- electrostatics ----


@supercells
def test_ewald_matrix_has_the_symmetry_of_the_cell(repeats: tuple[int, int, int]) -> None:
    sites = lattice_of(repeats)
    matrix = sites.ewald_ev
    assert np.abs(matrix - matrix.T).max() < 1e-12
    for operation in sites.permutations:
        assert np.abs(matrix[np.ix_(operation, operation)] - matrix).max() < 1e-8


# dopants and how many of each, by sublattice; lithium added to or taken from the cell makes it neutral
@pytest.mark.parametrize(
    ("repeats", "dopants"),
    [
        ((2, 2, 1), {("1a", "2d"): ("Ti3+", 1), ("6i",): ("F-", 3)}),
        ((2, 2, 1), {("1a", "2d"): ("Mg2+", 2), ("6i",): ("O2-", 2)}),
        ((2, 2, 1), {("2d",): ("Nb5+", 3)}),
        ((2, 1, 1), {("1a",): ("W6+", 1), ("6i",): ("S2-", 1)}),
        ((1, 1, 1), {("6h",): ("Mg2+", 2)}),
        ((1, 1, 2), {}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_quadratic_form_is_the_ewald_sum_of_the_structure(
    repeats: tuple[int, int, int], dopants: dict[tuple[str, ...], tuple[str, int]], seed: int
) -> None:
    sites, random = lattice_of(repeats), np.random.default_rng(seed)
    ions = list(sites.ions)
    for labels, (ion, count) in dopants.items():
        for site in random.choice(sites.with_labels(labels), count, replace=False):
            ions[site] = ion
    excess = sum(charge_of(ion) for ion in ions)
    places = [i for i, ion in enumerate(ions) if ion == "Li+"] if excess > 0 else list(sites.vacant)
    for site in random.choice(places, abs(excess), replace=False):
        ions[site] = VACANT if excess > 0 else "Li+"
    structure = sites.decorated(ions)
    assert structure.charge == 0
    energy = sites.electrostatic_ev(np.array([[charge_of(ion) for ion in ions]], dtype=float))
    assert energy == pytest.approx([EwaldSummation(structure).total_energy], rel=0, abs=1e-6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_energies_are_those_of_each_row_and_invariant(seed: int) -> None:
    sites, random = lattice_of((2, 1, 1)), np.random.default_rng(seed)
    charges = random.integers(-2, 5, size=(3, len(sites.ions))).astype(float)
    energies = sites.electrostatic_ev(charges)
    assert energies == pytest.approx([q @ sites.ewald_ev @ q for q in charges])
    operation = random.choice(sites.permutations)
    assert sites.electrostatic_ev(charges[:, operation]) == pytest.approx(energies, rel=0, abs=1e-5)


def test_rock_salt_has_its_madelung_constant() -> None:
    """NaCl: the energy a pair is −1.747565 e²/(4πε0 d), e²/(4πε0) = 14.39964 eV Å."""
    spacing = 2.82
    structure = Structure.from_spacegroup(
        "Fm-3m",
        Lattice.cubic(2 * spacing),
        ["Na+", "Cl-"],
        [(0, 0, 0), (0.5, 0.5, 0.5)],
        site_properties={WYCKOFF: ["4a", "4b"]},
    )
    sites = SiteLattice(Host("halite", structure, mobile="Na+"), (1, 1, 1))
    pairs = 4 * -1.747565 * 14.39964 / spacing
    assert sites.electrostatic_ev(sites.charges[None, :])[0] == pytest.approx(pairs, rel=1e-5)
