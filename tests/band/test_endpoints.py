from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from lzc_flows.band.endpoints import MatchedEnds, matched_ends
from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import InputError


def vacancy_hop(to: int = 1) -> tuple[Structure, Structure]:
    """A lithium of the host in a cell of two layers goes to the place of another, slightly relaxed ends."""
    host = ideal_host().supercell((1, 1, 2)).structure.copy().remove_oxidation_states()
    host.remove_site_property("wyckoff")
    lithium = [number for number, site in enumerate(host) if site.specie.symbol == "Li"]
    near = sorted(lithium[1:], key=lambda number: round(host.get_distance(lithium[0], number), 6))
    vacant = host[near[to]].frac_coords
    initial = host.copy()
    initial.remove_sites([near[to]])
    final = initial.copy()
    final.translate_sites([lithium[0]], vacant - final[lithium[0]].frac_coords, to_unit_cell=True)
    generator = np.random.default_rng(5)
    for structure in (initial, final):
        for number in range(len(structure)):
            structure.translate_sites([number], generator.normal(scale=0.02, size=3), frac_coords=False)
    return initial, final


def reordered(structure: Structure, order: np.ndarray, shifts: np.ndarray) -> Structure:
    """The same crystal, its atoms in another order and in other periodic images."""
    fractional = structure.frac_coords[order] + shifts
    return Structure(structure.lattice, [structure[int(number)].specie for number in order], fractional)


def test_one_ion_hops_and_the_others_stay() -> None:
    initial, final = vacancy_hop()
    ends = matched_ends(initial, final)
    (moved,) = ends.moved
    assert ends.species[moved] == "Li"
    assert not ends.reordered
    assert ends.species == tuple(site.specie.symbol for site in initial)
    np.testing.assert_array_equal(ends.initial_positions, initial.cart_coords)
    np.testing.assert_array_equal(ends.cell, initial.lattice.matrix)
    ways = ends.final_positions - ends.initial_positions
    assert 2.5 < np.linalg.norm(ways[moved]) < 4.5
    rest = np.delete(ways, moved, axis=0)
    assert np.linalg.norm(rest, axis=1).max() < 0.2
    np.testing.assert_allclose(rest.mean(axis=0), 0, atol=1e-12)
    # modulo lattice vectors and the drift, these are the final structure's atoms
    apart = initial.lattice.get_fractional_coords(ends.final_positions) - final.frac_coords
    apart -= np.round(apart)
    np.testing.assert_allclose(initial.lattice.get_cartesian_coords(apart - apart.mean(axis=0)), 0, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 100_000), st.integers(0, 4))
def test_order_and_images_of_the_final_atoms_do_not_matter(seed: int, to: int) -> None:
    initial, final = vacancy_hop(to)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(final))
    expected = matched_ends(initial, final)
    found = matched_ends(initial, reordered(final, order, generator.integers(-3, 4, size=(len(final), 3))))
    np.testing.assert_allclose(found.final_positions, expected.final_positions, atol=1e-9)
    assert found.moved == expected.moved
    assert found.reordered == (order != np.arange(len(order))).any()


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(-0.4, 0.4)] * 3))
def test_a_drift_of_the_whole_crystal_is_taken_off(drift: tuple[float, ...]) -> None:
    initial, final = vacancy_hop()
    shifted = final.copy()
    shifted.translate_sites(range(len(final)), drift, frac_coords=False)
    expected, found = matched_ends(initial, final), matched_ends(initial, shifted)
    np.testing.assert_allclose(found.final_positions, expected.final_positions, atol=1e-9)


def test_the_way_back_is_the_way_there() -> None:
    initial, final = vacancy_hop()
    there, back = matched_ends(initial, final), matched_ends(final, initial)
    np.testing.assert_allclose(
        back.final_positions - back.initial_positions, there.initial_positions - there.final_positions, atol=1e-9
    )
    assert back.moved == there.moved


def cubic(places: list[tuple[float, float, float]], symbols: str = "LiClClCl") -> Structure:
    """Atoms in a cubic cell of 10 Å, places in Å."""
    names = re.findall("[A-Z][a-z]?", symbols)
    return Structure(Lattice.cubic(10.0), names, places, coords_are_cartesian=True)


FRAME = [(5.0, 5.0, 5.0), (0.0, 5.0, 0.0), (5.0, 0.0, 0.0)]


def test_a_knock_on_pair_moves_together() -> None:
    """Two lithium along a line, each takes the next place, though both are one element."""
    initial = cubic([(0, 0, 1.5), (0, 0, 4.0), *FRAME, (5.0, 5.0, 0.0)], "LiLiClClClCl")
    final = cubic([(0, 0, 4.0), (0, 0, 6.5), *FRAME, (5.0, 5.0, 0.0)], "LiLiClClClCl")
    swapped = cubic([(0, 0, 6.5), (0, 0, 4.0), *FRAME, (5.0, 5.0, 0.0)], "LiLiClClClCl")
    for last, order in ((final, False), (swapped, True)):
        ends = matched_ends(initial, last)
        assert (ends.moved, ends.reordered) == ((0, 1), order)
        ways = ends.final_positions - ends.initial_positions
        np.testing.assert_allclose(ways[:2], [[0, 0, 2.5]] * 2, atol=1e-12)


def test_a_hop_through_the_face_of_the_cell_is_short() -> None:
    ends = matched_ends(cubic([(0.5, 0, 0), *FRAME]), cubic([(8.5, 0, 0), *FRAME]))
    np.testing.assert_allclose(ends.final_positions[0], [-1.5, 0, 0], atol=1e-12)


def test_oxidation_states_do_not_matter() -> None:
    initial, final = vacancy_hop()
    charged = final.copy()
    charged.add_oxidation_state_by_element({"Li": 1, "Zr": 4, "Cl": -1})
    assert matched_ends(initial, charged).moved == matched_ends(initial, final).moved


# Li–Cl at half the sum of the covalent radii: 1.15 Å
@pytest.mark.parametrize(("aside", "refused"), [(0.0, True), (1.14, True), (1.16, False)])
@pytest.mark.parametrize("image", [(0, 0, 0), (10, 0, -20)])
def test_a_hop_through_another_atom_is_refused(aside: float, refused: bool, image: tuple[float, ...]) -> None:
    others = [(2.0 + image[0], aside + image[1], image[2]), *FRAME[:2]]
    initial, final = cubic([(0, 0, 0), *others]), cubic([(4.0, 0, 0), *others])
    if not refused:
        assert matched_ends(initial, final).moved == (0,)
        return
    line = rf"^a hop through another atom: Li0 comes as close as {aside:.2f} Å to Cl1 on the straight path; 1.15 Å"
    with pytest.raises(InputError, match=line):
        matched_ends(initial, final)


def test_two_ions_that_meet_on_their_ways_are_refused() -> None:
    """Crossing ways, both in the middle at once; far apart at both ends."""
    initial = cubic([(0, 0, 0), (2.0, 2.0, 0.0), *FRAME], "LiNaClClCl")
    final = cubic([(4.0, 0, 0), (2.0, -2.0, 0.0), *FRAME], "LiNaClClCl")
    with pytest.raises(InputError, match=r"^a hop through another atom: Li0 comes as close as 0.00 Å to Na1"):
        matched_ends(initial, final)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000))
def test_closest_approaches_are_those_of_many_frames(seed: int) -> None:
    """In oblique cells, with images, against frames of the straight path."""
    from lzc_flows.band.endpoints import _closest_approaches

    generator = np.random.default_rng(seed)
    cell = 4 * np.eye(3) + generator.uniform(-1.2, 1.2, size=(3, 3))
    initial = generator.uniform(0, 1, size=(4, 3)) @ cell
    final = initial + generator.normal(scale=1.5, size=(4, 3))
    ends = MatchedEnds(initial, final, cell, ("Li",) * 4, (0,), False)
    found = _closest_approaches(ends, 0, 1.5)
    lattice = Lattice(cell)
    expected = np.full(4, np.inf)
    for fraction in np.linspace(0, 1, 401):
        fractional = lattice.get_fractional_coords(initial + fraction * (final - initial))
        expected = np.minimum(expected, lattice.get_all_distances(fractional[:1], fractional)[0])
    close = expected[1:] < 1.5
    np.testing.assert_allclose(found[1:][close], expected[1:][close], atol=0.02)
    assert (found[1:] <= expected[1:] + 1e-9)[close].all()
    assert (found[1:][~close] > 1.5 - 0.02).all()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda s: Structure(Lattice.from_parameters(10, 10.002, 10, 90, 90, 90), s.species, s.frac_coords),
            r"^cells differ: lattice vector b is \(0.0000, 10.0000, 0.0000\) Å initially and "
            r"\(0.0000, 10.0020, 0.0000\) Å finally; up to 0.001 Å is allowed$",
        ),
        (
            lambda s: Structure(s.lattice, ["Na", "Cl", "Cl", "Li"], s.frac_coords),
            r"^different atoms: the final structure has 1 Cl fewer, 1 Na more; the same atoms are allowed$",
        ),
        (
            lambda s: Structure(s.lattice, s.species[:3], s.frac_coords[:3]),
            r"^different atoms: the final structure has 1 Cl fewer;",
        ),
        (
            lambda s: Structure(s.lattice, [{"Li": 0.5}, *s.species[1:]], s.frac_coords),
            r"^final structure: sites are partially occupied; ordered structures are allowed$",
        ),
        (
            lambda s: s,
            r"^identical ends: no atom moves farther than 0.00 Å; one that moves more than 0.3 Å is needed$",
        ),
        (
            lambda s: cubic([(0.25, 0, 0), *FRAME]),
            r"^identical ends: no atom moves farther than 0.\d\d Å;",
        ),
        (
            lambda s: cubic([(1, 0, 0), (5, 5, 6), (1, 5, 0), (5, 0, 0)]),
            r"^[34] of 4 atoms move farther than 0.3 Å: two states of one crystal",
        ),
    ],
)
def test_ends_of_no_hop_are_refused_in_one_line(change: Callable[[Structure], Structure], line: str) -> None:
    initial = cubic([(0, 0, 0), *FRAME])
    with pytest.raises(InputError, match=line) as error:
        matched_ends(initial, change(initial))
    assert "\n" not in str(error.value)


def test_a_partially_occupied_initial_structure_is_named() -> None:
    final = cubic([(0, 0, 0), *FRAME])
    initial = Structure(final.lattice, [{"Li": 0.5}, *final.species[1:]], final.frac_coords)
    with pytest.raises(InputError, match=r"^initial structure: sites are partially occupied"):
        matched_ends(initial, final)


def test_cells_may_differ_by_the_digits_of_a_file() -> None:
    final = cubic([(3.0, 0, 0), *FRAME])
    rounded = Structure(Lattice.cubic(10.0009), final.species, final.frac_coords)
    assert matched_ends(cubic([(0, 0, 0), *FRAME]), rounded).moved == (0,)
