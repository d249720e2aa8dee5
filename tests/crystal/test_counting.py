from __future__ import annotations

from itertools import permutations
from math import comb, factorial, gcd, prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.counting import arrangements, orbit_count
from lzc_flows.crystal.host import WYCKOFF, Host, ideal_host
from lzc_flows.crystal.ions import VACANT
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.errors import InputError


def rotations(beads: int) -> np.ndarray:
    return np.array([np.roll(np.arange(beads), shift) for shift in range(beads)], dtype=np.int16)


def alone(n_sites: int) -> np.ndarray:
    return np.arange(n_sites)[None, :]


# ---- closed forms ----


@given(st.lists(st.integers(0, 6), min_size=1, max_size=4), st.integers(0, 6))
def test_necklaces_of_several_colours(counts: list[int], white: int) -> None:
    """(1/n) Σ φ(d) (n/d)! / ∏ (k/d)!, over the d that divide all numbers of beads k (MacMahon 1892)."""
    beads = sum(counts) + white
    if beads == 0:
        return
    divisors = [d for d in range(1, beads + 1) if all(k % d == 0 for k in [*counts, white])]
    totients = {d: sum(gcd(d, i) == 1 for i in range(1, d + 1)) for d in divisors}
    expected = sum(
        totients[d] * factorial(beads // d) // prod(factorial(k // d) for k in [*counts, white]) for d in divisors
    )
    colours = [Placement(f"X{number}", tuple(range(beads)), k) for number, k in enumerate(counts)]
    assert orbit_count(rotations(beads), colours) * beads == expected


def test_vertices_of_the_cube() -> None:
    """Pólya's example: 1, 1, 3, 3, 7, 3, 3, 1, 1 ways to colour 0 to 8 vertices, up to rotations."""
    vertices = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    turns = []
    for axes in permutations(range(3)):
        for signs in vertices:
            matrix = np.diag(signs)[list(axes)]
            if np.linalg.det(matrix) > 0:
                turns.append([vertices.index(tuple(matrix @ vertex)) for vertex in vertices])
    assert len(turns) == 24
    counts = [orbit_count(np.array(turns), [Placement("X", tuple(range(8)), count)]) for count in range(9)]
    assert counts == [1, 1, 3, 3, 7, 3, 3, 1, 1]


def test_all_permutations_leave_one_orbit() -> None:
    everything = np.array(list(permutations(range(5))))
    placements = [Placement("A", (0, 1, 2, 3, 4), 2), Placement("B", (0, 1, 2, 3, 4), 2)]
    assert orbit_count(everything, placements) == 1
    assert arrangements(placements) == 30


def test_without_symmetry_every_arrangement_is_an_orbit() -> None:
    first, second = tuple(range(200)), tuple(range(200, 260))
    placements = [Placement("A", first, 90), Placement("B", second, 20), Placement("C", second, 20)]
    expected = comb(200, 90) * comb(60, 20) * comb(40, 20)
    assert expected > 10**80
    assert arrangements(placements) == orbit_count(alone(260), placements) == expected


def test_a_free_cyclic_group_divides_the_arrangements() -> None:
    """A prime number of beads: no rotation leaves anything unchanged. More than 10^30 arrangements, exactly."""
    placements = [Placement("A", tuple(range(113)), 50)]
    assert arrangements(placements) > 10**30
    assert orbit_count(rotations(113), placements) * 113 == arrangements(placements)


def test_sublattices_that_overlap_in_part() -> None:
    """A on {0, 1}, B on {0, 1, 2, 3}, C on {3, 4}: over what A and C leave to B."""
    placements = [Placement("A", (0, 1), 1), Placement("B", (0, 1, 2, 3), 2), Placement("C", (3, 4), 1)]
    # C on 3: B chooses 2 of 2; C on 4: 2 of 3
    assert arrangements(placements) == 2 * (comb(2, 2) + comb(3, 2))
    assert arrangements(placements[::-1]) == arrangements(placements)
    swap = np.array([[0, 1, 2, 3, 4], [1, 0, 2, 3, 4]])
    # A takes one of the sites that the swap exchanges and nothing leaves the other alike: no arrangement is unchanged
    assert orbit_count(swap, placements) == arrangements(placements) // 2


# ---- crystals ----


def rutile(repeats: tuple[int, int, int]) -> SiteLattice:
    structure = Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.63, 3.07),
        ["Sn4+", "O2-"],
        [(0, 0, 0), (0.305, 0.305, 0)],
        site_properties={WYCKOFF: ["2a", "4f"]},
    )
    return SiteLattice(Host("rutile", structure), repeats)


@pytest.mark.parametrize(
    ("repeats", "every", "inequivalent"),
    [((2, 2, 3), 2_704_156, 15_565), ((2, 3, 3), 9_075_135_300, 63_075_916)],
)
def test_half_iron_half_antimony_rutile(repeats: tuple[int, int, int], every: int, inequivalent: int) -> None:
    """Published: Okhotnikov, Charpentier and Cadars, J. Cheminform. 8, 17 (2016), doi:10.1186/s13321-016-0129-3."""
    sites = rutile(repeats)
    cations = sites.with_labels(("2a",))
    iron = [Placement("Fe3+", cations, len(cations) // 2)]
    assert arrangements(iron) == every
    assert orbit_count(sites.permutations, iron) == inequivalent


def test_the_sources_arrangements() -> None:
    """Section 1.10: 25,764,480. The number of orbits is that of the enumeration (test_enumeration)."""
    sites = SiteLattice(ideal_host(), (2, 2, 1))
    placements = [
        Placement("Ti3+", sites.with_labels(("1a", "2d")), 1),
        Placement("F-", sites.with_labels(("6i",)), 3),
        Placement("Li+", sites.vacant, 1),
    ]
    assert arrangements(placements) == 25_764_480
    assert orbit_count(sites.permutations, placements) == 539_406


# ---- refusals ----


@pytest.mark.parametrize(
    ("placements", "line"),
    [
        ([Placement("F-", (0, 1, 2), 4)], r"F-: 4 do not fit on 3 sites"),
        ([Placement("F-", (0, 1, 2), -1)], r"F-: -1 of them; 0 and above is allowed"),
        ([Placement(VACANT, (0, 1, 1), 1)], r"vacancies: the sublattice lists a site twice"),
        ([Placement("A", (0, 1), 1), Placement("A", (1, 2), 1)], r"A: placed twice on sublattices that share sites"),
        ([Placement("A", (0, 1), 1), Placement("B", (0, 1), 2)], r"1 A, 2 B: together they do not fit"),
    ],
)
def test_impossible_contents(placements: list[Placement], line: str) -> None:
    with pytest.raises(InputError, match=line):
        arrangements(placements)
    with pytest.raises(InputError, match=line):
        orbit_count(alone(3), placements)


@pytest.mark.parametrize(
    ("group", "line"),
    [
        (rotations(3), r"Al3\+: symmetry moves site 0 of its sublattice to site 2, which is not of it"),
        (np.array([[0, 1, 2], [0, 0, 2]]), r"symmetry: permutations of all sites are allowed"),
        (np.array([[1, 0, 2]]), r"the identity among them"),
        (np.array([[0, 1, 2], [0, 1, 2]]), r"symmetry: a permutation is listed twice"),
        (alone(1), r"Al3\+: sites of 0 to 0 are allowed"),
    ],
)
def test_impossible_symmetry(group: np.ndarray, line: str) -> None:
    with pytest.raises(InputError, match=line):
        orbit_count(group, [Placement("Al3+", (0, 1), 1)])


def test_permutations_that_do_not_form_a_group() -> None:
    with pytest.raises(InputError, match="do not form a group"):
        orbit_count(rotations(3)[:2], [Placement("X", (0, 1, 2), 1)])
