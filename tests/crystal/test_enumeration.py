from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.electrostatics import Electrostatics
from lzc_flows.crystal.enumeration import Enumeration, Orbits
from lzc_flows.crystal.host import WYCKOFF, Host, ideal_host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.crystal.orbits import Placement, canonical, one_by_one
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.errors import CalculationError, InputError

IONS = ("Ti3+", "F-", VACANT)


@cache
def lattice_of(repeats: tuple[int, int, int]) -> SiteLattice:
    return SiteLattice(ideal_host(), repeats)


def all_of(enumeration: Enumeration) -> Orbits:
    chunks = list(enumeration)
    assert all(0 < len(chunk) <= enumeration.chunk for chunk in chunks)
    assert all(len(chunk) == enumeration.chunk for chunk in chunks[:-1])
    return Orbits(
        np.concatenate([chunk.states for chunk in chunks]),
        np.concatenate([chunk.multiplicities for chunk in chunks]),
        np.concatenate([chunk.energies for chunk in chunks]),
        chunks[0].operations,
    )


# ---- brute force ----


def closure(generators: list[tuple[int, ...]]) -> np.ndarray:
    """The group that permutations generate, if it is small."""
    identity = tuple(range(len(generators[0])))
    members, frontier = {identity}, [identity]
    while frontier:
        products = {tuple(g[i] for i in member) for member in frontier for g in generators}
        frontier = list(products - members)
        members |= products
        assume(len(members) <= 300)
    return np.array(sorted(members))


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, list[Placement]]:
    """A random group that keeps some blocks of sites, and placements on unions of blocks, in any numbering."""
    blocks, start = [], 0
    for size in draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)):
        blocks.append(list(range(start, start + size)))
        start += size
    generators = [
        tuple(image for block in blocks for image in draw(st.permutations(block)))
        for _ in range(draw(st.integers(1, 3)))
    ]
    group = closure(generators)
    names = np.array(draw(st.permutations(range(start))))
    renamed = np.empty_like(group)
    renamed[:, names] = names[group]

    placements = []
    for ion in draw(st.lists(st.sampled_from(IONS), min_size=1, max_size=3, unique=True)):
        chosen = draw(st.lists(st.sampled_from(range(len(blocks))), min_size=1, unique=True))
        sites = [int(names[site]) for number in chosen for site in blocks[number]]
        placements.append(Placement(ion, tuple(sites), draw(st.integers(0, len(sites)))))
    order = draw(st.permutations(range(len(renamed))))
    return renamed[order], placements


def listed(placements: list[Placement], taken: frozenset[int] = frozenset()) -> Iterator[list[tuple[int, ...]]]:
    """Every arrangement: the ascending sites of each placement."""
    if not placements:
        yield []
        return
    first, *rest = placements
    for sites in combinations(sorted(set(first.sites) - taken), first.count):
        for others in listed(rest, taken | set(sites)):
            yield [sites, *others]


def moved(operation: np.ndarray, arrangement: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [tuple(sorted(int(operation[site]) for site in sites)) for sites in arrangement]


@given(problems())
@settings(max_examples=200, deadline=None)
def test_every_orbit_once(problem: tuple[np.ndarray, list[Placement]]) -> None:
    """Representatives, their order, multiplicities, stabilisers and the two counts, against listing everything."""
    group, placements = problem
    arrangements = list(listed(placements))
    assume(0 < len(arrangements) <= 3000)
    enumeration = Enumeration(group, placements, chunk=7)
    rank = [*enumeration.order, *(i for i in range(len(placements)) if i not in enumeration.order)]
    expected = {}
    for arrangement in arrangements:
        images = [moved(operation, arrangement) for operation in group]
        first = min(images, key=lambda image: [image[index] for index in rank])
        expected[tuple(first)] = (len(set(map(tuple, images))), sum(image == first for image in images))
    ordered = sorted(expected, key=lambda arrangement: [arrangement[index] for index in rank])

    found = all_of(enumeration)
    assert found.states.tolist() == [[site for sites in arrangement for site in sites] for arrangement in ordered]
    assert found.multiplicities.tolist() == [expected[arrangement][0] for arrangement in ordered]
    stabilisers = [sum(moved(g, list(arrangement)) == list(arrangement) for g in group) for arrangement in ordered]
    assert found.stabilisers.tolist() == stabilisers
    assert enumeration.orbits == len(found)
    assert enumeration.arrangements == len(arrangements)
    assert (found.energies == 0).all()


# sets wider than one and two words of 63 sites
@pytest.mark.parametrize(("beads", "black"), [(62, 3), (63, 3), (64, 3), (70, 3), (126, 2), (127, 2), (140, 2)])
def test_bracelets_of_many_beads(beads: int, black: int) -> None:
    turns = [np.roll(np.arange(beads), shift) for shift in range(beads)]
    group = np.array([*turns, *(turn[::-1] for turn in turns)], dtype=np.int16)
    enumeration = Enumeration(group, [Placement("X", tuple(range(beads)), black)])
    assert len(all_of(enumeration)) == enumeration.orbits
    if black == 2:  # one for every distance
        assert all_of(enumeration).states.tolist() == [[0, apart] for apart in range(1, beads // 2 + 1)]
    else:
        everything = np.array(list(combinations(range(beads), black)), dtype=np.int16)
        parts = [canonical(group, part, [slice(0, black)]) for part in np.array_split(everything, 10)]
        expected, sizes = np.unique(np.concatenate(parts), axis=0, return_counts=True)
        assert all_of(enumeration).states.tolist() == expected.tolist()
        assert all_of(enumeration).multiplicities.tolist() == sizes.tolist()


def test_images_that_differ_only_in_the_second_word() -> None:
    """Sixty-four sites that nothing moves, then four that all permutations move: how many ions are there decides."""
    group = np.array([[*range(64), *images] for images in permutations(range(64, 68))])
    found = all_of(Enumeration(group, [Placement("X", tuple(range(68)), 3)]))
    assert len(found) == comb(64, 3) + comb(64, 2) + 64 + 1
    assert set(found.states[found.states >= 64].tolist()) == {64, 65, 66}
    assert set(zip((found.states >= 64).sum(axis=1).tolist(), found.stabilisers.tolist(), strict=True)) == {
        (0, 24),
        (1, 6),
        (2, 4),
        (3, 6),
    }


def test_nothing_to_place() -> None:
    enumeration = Enumeration(lattice_of((1, 1, 1)).permutations, [])
    (chunk,) = enumeration
    assert chunk.states.shape == (1, 0)
    assert (chunk.multiplicities.tolist(), chunk.stabilisers.tolist()) == ([1], [12])
    assert enumeration.arrangements == enumeration.orbits == 1


def test_representatives_do_not_depend_on_the_order_of_the_request() -> None:
    sites = lattice_of((1, 1, 1))
    cation, anion = (
        Placement("Ti3+", sites.with_labels(("1a", "2d")), 1),
        Placement("F-", sites.with_labels(("6i",)), 3),
    )
    one = all_of(Enumeration(sites.permutations, [cation, anion]))
    other = all_of(Enumeration(sites.permutations, [anion, cation]))
    assert one.states.tolist() == other.states[:, [3, 0, 1, 2]].tolist()


# ---- energies ----


@given(problems(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_energies_are_the_quadratic_form(problem: tuple[np.ndarray, list[Placement]], seed: int) -> None:
    group, placements = problem
    placements = [Placement(entry.ion, entry.sites, min(entry.count, 2)) for entry in placements]
    arrangements = list(listed(placements))
    assume(0 < len(arrangements) <= 20_000)
    # one more site, which no operation moves, makes the cell neutral
    n_sites = group.shape[1] + 1
    group = np.column_stack([group, np.full(len(group), n_sites - 1)])
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(n_sites, n_sites))
    matrix = np.mean([(matrix + matrix.T)[np.ix_(g, g)] for g in group], axis=0)
    base = np.full(n_sites, float(random.integers(-2, 3)))
    changes = [entry.count * (charge_of(entry.ion) - base[0]) for entry in placements]
    base[-1] = -sum(changes) - base[:-1].sum()

    found = all_of(Enumeration(group, placements, Electrostatics(matrix, base), chunk=11))
    for state, energy in zip(found.states, found.energies, strict=True):
        charges = base.copy()
        for placement, site in zip(one_by_one(placements), state, strict=True):
            charges[site] = charge_of(placement.ion)
        assert energy == pytest.approx(charges @ matrix @ charges, rel=1e-9, abs=1e-9)


def decorated(sites: SiteLattice, placements: list[Placement], state: np.ndarray) -> Structure:
    ions = list(sites.ions)
    for placement, site in zip(one_by_one(placements), state, strict=True):
        ions[site] = placement.ion
    return sites.decorated(ions)


def contents(sites: SiteLattice) -> dict[str, list[Placement]]:
    metal, chlorine, lithium = sites.with_labels(("1a", "2d")), sites.with_labels(("6i",)), sites.mobile
    return {
        "source": [Placement("Ti3+", metal, 1), Placement("F-", chlorine, 3), Placement("Li+", sites.vacant, 1)],
        "oxide": [Placement("O2-", chlorine, 2), Placement("Li+", sites.vacant, 2)],
        "mixed cations": [Placement("Nb5+", metal, 1), Placement("Al3+", metal, 2), Placement("Li+", sites.vacant, 1)],
        "vacancies": [Placement("Mg2+", lithium, 2), Placement(VACANT, lithium, 2)],
        "overlap in part": [
            Placement("Ti3+", sites.with_labels(("1a",)), 1),
            Placement("Nb5+", metal, 1),
            Placement("F-", chlorine, 1),
        ],
    }


@pytest.mark.parametrize("name", list(contents(lattice_of((1, 1, 1)))))
def test_energies_are_ewald_sums(name: str) -> None:
    sites = lattice_of((2, 2, 1))
    placements = contents(sites)[name]
    enumeration = Enumeration(sites.permutations, placements, Electrostatics(sites.ewald_ev, sites.charges))
    found = all_of(enumeration)
    assert len(found) == enumeration.orbits
    for row in np.random.default_rng(1).choice(len(found), 4, replace=False):
        structure = decorated(sites, placements, found.states[row])
        assert structure.charge == 0
        assert EwaldSummation(structure).total_energy == pytest.approx(found.energies[row], rel=0, abs=1e-6)


def test_the_sources_case() -> None:
    """All 25,764,480 arrangements: fluorine changes no charge, so the energies are the 17 of titanium and lithium."""
    sites = lattice_of((2, 2, 1))
    placements = contents(sites)["source"]
    electrostatics = Electrostatics(sites.ewald_ev, sites.charges)
    found = all_of(Enumeration(sites.permutations, placements, electrostatics))
    assert (len(found), int(found.multiplicities.sum())) == (539_406, 25_764_480)
    charged = all_of(Enumeration(sites.permutations, [placements[0], placements[2]], electrostatics))
    assert np.unique(found.energies).tolist() == np.unique(charged.energies).tolist()
    assert len(charged) == 17
    # each charge state has all C(72, 3) arrangements of fluorine
    for energy, multiplicity in zip(charged.energies, charged.multiplicities, strict=True):
        assert found.multiplicities[found.energies == energy].sum() == multiplicity * comb(72, 3)


def test_half_iron_half_antimony_rutile() -> None:
    """15,565 orbits: Okhotnikov, Charpentier and Cadars, J. Cheminform. 8, 17 (2016)."""
    structure = Structure.from_spacegroup(
        "P4_2/mnm",
        Lattice.tetragonal(4.63, 3.07),
        ["Sb5+", "O2-"],
        [(0, 0, 0), (0.305, 0.305, 0)],
        site_properties={WYCKOFF: ["2a", "4f"]},
    )
    sites = SiteLattice(Host("rutile", structure), (2, 2, 3))
    placements = [Placement("Fe3+", sites.with_labels(("2a",)), 12)]
    found = all_of(Enumeration(sites.permutations, placements, Electrostatics(sites.ewald_ev, sites.charges)))
    assert (len(found), int(found.multiplicities.sum())) == (15_565, comb(24, 12))
    assert len(np.unique(found.states, axis=0)) == 15_565
    best = decorated(sites, placements, found.states[found.energies.argmin()])
    assert EwaldSummation(best).total_energy == pytest.approx(found.energies.min(), rel=0, abs=1e-6)


# ---- the stream ----


@pytest.mark.parametrize("chunk", [1, 9, 191, 382, 10**6])
def test_the_chunk_size_changes_nothing(chunk: int) -> None:
    sites = lattice_of((1, 1, 2))
    placements = [Placement("O2-", sites.with_labels(("6i",)), 2), Placement("Li+", sites.vacant, 2)]
    electrostatics = Electrostatics(sites.ewald_ev, sites.charges)
    found = all_of(Enumeration(sites.permutations, placements, electrostatics, chunk))
    whole = all_of(Enumeration(sites.permutations, placements, electrostatics))
    assert found.states.tolist() == whole.states.tolist()
    assert found.multiplicities.tolist() == whole.multiplicities.tolist()
    assert found.energies.tolist() == whole.energies.tolist()


def test_iterations_do_not_disturb_each_other() -> None:
    sites = lattice_of((1, 1, 1))
    enumeration = Enumeration(sites.permutations, [Placement("F-", sites.with_labels(("6i",)), 3)], chunk=10)
    expected = all_of(enumeration).states.tolist()
    first, second = iter(enumeration), iter(enumeration)
    rows = [next(first).states, next(first).states]
    other = [chunk.states for chunk in second]
    rows += [chunk.states for chunk in first]
    assert np.concatenate(rows).tolist() == np.concatenate(other).tolist() == expected


def test_memory_is_that_of_a_chunk_and_the_tables() -> None:
    sites = lattice_of((2, 2, 1))
    enumeration = Enumeration(sites.permutations, [Placement("F-", sites.with_labels(("6i",)), 4)], chunk=1000)
    orbits = sum(len(chunk) for chunk in enumeration)  # once before: compiled, all imported, all counted
    tracemalloc.start()
    try:
        for _ in enumeration:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert orbits == enumeration.orbits
    chunk, tables = 1000 * (16 + 2 * 4), 8 * 72 * 2 * 48
    # two chunks where the caller holds one; numpy sorts the group in copies of it; 30 kB for masks and the interpreter
    sorting = 4 * sites.permutations.nbytes
    assert peak < 2 * chunk + tables + sorting + 30_000 < orbits * (16 + 2 * 4) / 2


def test_multiplicities_must_add_up() -> None:
    """A rotation without its inverse is no group."""
    not_a_group = np.array([[0, 1, 2, 3], [1, 2, 3, 0]])
    enumeration = Enumeration(not_a_group, [Placement("X", (0, 1, 2, 3), 1)])
    with pytest.raises(CalculationError, match="orbits of 6 arrangements, but there are 4: the 2 site permutations"):
        list(enumeration)


# ---- refusals ----


@pytest.mark.parametrize(
    ("ion", "labels", "count", "line"),
    [
        ("Ti3+", ("1a",), 1, r"the cell has a charge of -1 e with all ions placed; neutral cells are allowed"),
        ("Ti3+", ("1a", "6h"), 1, r"Ti3\+: the sites of its sublattice differ in charge"),
        ("F-", ("6i",), 19, r"F-: 19 do not fit on 18 sites"),
    ],
)
def test_impossible_contents(ion: str, labels: tuple[str, ...], count: int, line: str) -> None:
    sites = lattice_of((1, 1, 1))
    electrostatics = Electrostatics(sites.ewald_ev, sites.charges)
    with pytest.raises(InputError, match=line):
        Enumeration(sites.permutations, [Placement(ion, sites.with_labels(labels), count)], electrostatics)


def test_part_of_an_orbit_of_sites() -> None:
    sites = lattice_of((1, 1, 1))
    part = sites.with_labels(("6i",))[:2]
    with pytest.raises(InputError, match=rf"F-: symmetry moves site {part[0]} of its sublattice"):
        Enumeration(sites.permutations, [Placement("F-", part, 1)])


def test_chunks_of_nothing() -> None:
    with pytest.raises(InputError, match="chunk 0: 1 and above is allowed"):
        Enumeration(np.array([[0]]), [Placement("X", (0,), 1)], chunk=0)
