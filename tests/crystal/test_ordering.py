from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations
from math import comb, prod

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from lzc_flows.crystal import orbits, ordering
from lzc_flows.crystal.bond_valence import CUTOFF_ANGSTROM, mixed_anions
from lzc_flows.crystal.doping import Combination, HostFrame, Substitution, doped_cell
from lzc_flows.crystal.host import WYCKOFF, Host, ideal_host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.crystal.orbits import Placement, canonical, place, stabiliser
from lzc_flows.crystal.ordering import Arrangement, order
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.errors import InputError


@cache
def lattice_of(repeats: tuple[int, int, int]) -> SiteLattice:
    return SiteLattice(ideal_host(), repeats)


def on(ion: str, site: str, count: int) -> Substitution:
    return Substitution(ion=ion, labels=tuple(site.split("+")), count=count)


def combination(supercell: tuple[int, int, int] = (2, 2, 1), **parts: Substitution) -> Combination:
    return Combination(supercell=supercell, **parts)


TI = combination(cation=on("Ti3+", "1a+2d", 1))
LZC_10TF = combination(cation=on("Ti3+", "1a+2d", 1), anion=on("F-", "6i", 3))
HF_F3 = combination(cation=on("Hf4+", "1a+2d", 1), anion=on("F-", "6i", 3))


# ---- orbits: an independent count ----


def burnside(group: np.ndarray, placements: list[Placement]) -> int:
    """Number of orbits: the mean number of placements that an operation leaves unchanged."""
    fixed = 0
    for operation in group:
        # coefficients of the generating function, by how many ions of each placement are there
        ways = Counter({(0,) * len(placements): 1})
        for cycle in cycles(operation):
            wider = ways.copy()
            for kind, placement in enumerate(placements):
                if not set(cycle) <= set(placement.sites):
                    continue
                for counts, number in ways.items():
                    more = counts[kind] + len(cycle)
                    if more <= placement.count:
                        wider[(*counts[:kind], more, *counts[kind + 1 :])] += number
            ways = wider
        fixed += ways[tuple(placement.count for placement in placements)]
    assert fixed % len(group) == 0
    return fixed // len(group)


def cycles(operation: np.ndarray) -> list[list[int]]:
    found, seen = [], set()
    for start in range(len(operation)):
        cycle = []
        while start not in seen:
            seen.add(start)
            cycle.append(start)
            start = int(operation[start])
        if cycle:
            found.append(cycle)
    return found


def nothing(states: np.ndarray) -> np.ndarray:
    return np.zeros(len(states), dtype=int)


def orbit_sizes(group: np.ndarray, placements: list[Placement], states: np.ndarray) -> list[int]:
    return [len(group) // len(stabiliser(group, placements, state)) for state in states]


# number of necklaces of 2n beads, n black, that can be turned over: OEIS A005648
@pytest.mark.parametrize(("beads", "published"), [(4, 2), (6, 3), (8, 8), (10, 16), (12, 50)])
def test_necklaces(beads: int, published: int) -> None:
    turns = [np.roll(np.arange(beads), shift) for shift in range(beads)]
    group = np.array([*turns, *(turn[::-1] for turn in turns)], dtype=np.int16)
    black = [Placement("X", tuple(range(beads)), beads // 2)]
    states, complete = place(group, black, nothing, nothing)
    assert complete
    assert len(states) == published == burnside(group, black)
    assert sum(orbit_sizes(group, black, states)) == comb(beads, beads // 2)


@st.composite
def cases(draw: st.DrawFn) -> tuple[SiteLattice, list[Placement]]:
    sites = lattice_of(draw(st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 1, 2)])))
    sublattices = {
        "M": sites.with_labels(draw(st.sampled_from([("1a",), ("2d",), ("1a", "2d")]))),
        "Li+": sites.vacant,
        VACANT: sites.mobile,
        "X": sites.with_labels(("6i",)),
        "Y": sites.with_labels(("6i",)),
    }
    kinds = draw(st.lists(st.sampled_from(list(sublattices)), min_size=1, max_size=3, unique=True))
    return sites, [
        Placement(kind, sublattices[kind], draw(st.integers(1, min(4, len(sublattices[kind]))))) for kind in kinds
    ]


@given(cases())
@settings(max_examples=60, deadline=None)
def test_place_finds_every_orbit_once(case: tuple[SiteLattice, list[Placement]]) -> None:
    sites, placements = case
    taken: Counter[tuple[int, ...]] = Counter()
    arrangements = most = 1
    for placement in placements:
        free = len(placement.sites) - taken[placement.sites]
        # half-filled sublattices have the most, and `place` rightly cuts beyond its beam there too
        most = max(most, *(arrangements * comb(free, count) for count in range(1, placement.count + 1)))
        arrangements *= comb(free, placement.count)
        taken[placement.sites] += placement.count
    assume(most <= 20_000)
    group = sites.permutations
    states, complete = place(group, placements, nothing, nothing)
    assert complete
    assert len(states) == burnside(group, placements)
    assert sum(orbit_sizes(group, placements, states)) == arrangements
    assert len(np.unique(states, axis=0)) == len(states)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_canonical_is_one_state_an_orbit(seed: int) -> None:
    sites, random = lattice_of((2, 1, 1)), np.random.default_rng(seed)
    columns = [slice(0, 2), slice(2, 5)]
    first = random.choice(sites.with_labels(("6i",)), 2, replace=False)
    state = np.array([[*first, *random.choice(sites.vacant, 3, replace=False)]])
    images = sites.permutations[:, state[0]]
    found = canonical(sites.permutations, np.concatenate([state, images]), columns)
    assert len(np.unique(found, axis=0)) == 1
    both = np.sort(images[:, :2], axis=1).tolist(), np.sort(images[:, 2:], axis=1).tolist()
    assert found[0].tolist() == min(one + other for one, other in zip(*both, strict=True))


# ---- charges ----


def brute_force_ev(sites: SiteLattice, combination: Combination) -> np.ndarray:
    """Electrostatic energy in eV of every arrangement of one charged dopant and its compensation."""
    (part,) = combination.substitutions
    extra = doped_cell(HostFrame(sites.host, combination.supercell), combination).extra_mobile
    places, change = (sites.vacant, 1.0) if extra > 0 else (sites.mobile, -1.0)
    assert part.count == 1
    rows = []
    for dopant in sites.with_labels(part.labels):
        for others in combinations(places, abs(extra)):
            charges = sites.charges.copy()
            charges[dopant] = charge_of(part.ion)
            charges[list(others)] += change
            rows.append(charges)
    return sites.electrostatic_ev(np.array(rows))


def ions_by_site(sites: SiteLattice, structure: Structure) -> np.ndarray:
    """The ion on every site of the lattice, `VACANT` where the structure has none."""
    apart = structure.lattice.get_all_distances(structure.frac_coords, sites.structure.frac_coords)
    assert apart.min(axis=1).max() < 1e-6
    ions = np.full(len(sites.ions), VACANT, dtype="<U5")
    ions[apart.argmin(axis=1)] = [str(site.specie) for site in structure]
    return ions


def symmetry_order(sites: SiteLattice, structure: Structure) -> int:
    ions = ions_by_site(sites, structure)
    return int((ions[sites.permutations] == ions).all(axis=1).sum())


def test_titanium_has_432_arrangements_in_17_orbits() -> None:
    """Every orbit has an energy of its own, 0.04 eV or more from the next: no accidental ties."""
    sites = lattice_of((2, 2, 1))
    energies = brute_force_ev(sites, TI)
    assert len(energies) == 432
    gaps = np.diff(np.sort(energies))
    assert (gaps > 1e-6).sum() == (gaps > 0.04).sum() == 17 - 1
    placements = [Placement("Ti3+", sites.with_labels(("1a", "2d")), 1), Placement("Li+", sites.vacant, 1)]
    assert burnside(sites.permutations, placements) == 17
    found = order(ideal_host(), TI, 1)
    assert found.charge_orbits == 17
    assert found.shortlist[0].electrostatic_ev == pytest.approx(energies.min(), rel=0, abs=1e-6)


@pytest.mark.parametrize(
    "doping",
    [
        TI,
        combination(cation=on("Ti3+", "2d", 1)),
        combination(cation=on("Mg2+", "1a", 1)),
        combination(cation=on("Mg2+", "1a+2d", 1)),
        combination(cation=on("Nb5+", "1a+2d", 1)),
        combination(cation=on("W6+", "2d", 1)),
        combination(anion=on("O2-", "6i", 1)),
        combination((1, 1, 2), cation=on("Mg2+", "1a+2d", 1)),
        combination((2, 1, 1), anion=on("S2-", "6i", 1)),
    ],
    ids=lambda doping: doping.slug,
)
def test_charge_winner_is_the_minimum_of_all_arrangements(doping: Combination) -> None:
    sites = lattice_of(doping.supercell)
    energies = brute_force_ev(sites, doping)
    found = order(ideal_host(), doping, 8)
    assert len(energies) == doped_cell(HostFrame(ideal_host(), doping.supercell), doping).arrangements
    assert found.exhaustive
    assert found.charge_ties == len(found.shortlist)
    best = found.shortlist[0]
    assert best.electrostatic_ev == pytest.approx(energies.min(), rel=0, abs=1e-6)
    assert EwaldSummation(best.structure).total_energy == pytest.approx(energies.min(), rel=0, abs=1e-6)
    # all arrangements of the lowest energy are images of the shortlisted ones
    images = sum(len(sites.permutations) // entry.stabiliser for entry in found.shortlist)
    assert images == (energies < energies.min() + 1e-5).sum()


def test_charge_orbits_agree_with_burnside() -> None:
    sites = lattice_of((2, 2, 1))
    zirconium = sites.with_labels(("1a", "2d"))
    for ion, moved in [
        ("Mg2+", Placement("Li+", sites.vacant, 2)),
        ("Nb5+", Placement(VACANT, sites.mobile, 1)),
        ("W6+", Placement(VACANT, sites.mobile, 2)),
    ]:
        found = order(ideal_host(), combination(cation=on(ion, "1a+2d", 1)), 1)
        assert found.charge_orbits == burnside(sites.permutations, [Placement(ion, zirconium, 1), moved])


def test_vacancies_spare_the_sites_that_the_dopant_took() -> None:
    """Mg2+ on Li+ sites: 24 × 23 arrangements, dopant and vacancy apart."""
    doping = combination(cation=on("Mg2+", "6h", 1))
    sites = lattice_of((2, 2, 1))
    lithium = sites.with_labels(("6h",))
    found = order(ideal_host(), doping, 1)
    placements = [Placement("Mg2+", lithium, 1), Placement(VACANT, lithium, 1)]
    assert found.charge_orbits == burnside(sites.permutations, placements)
    states, _ = place(sites.permutations, placements, nothing, nothing)
    cell = doped_cell(HostFrame(ideal_host(), (2, 2, 1)), doping)
    assert sum(orbit_sizes(sites.permutations, placements, states)) == cell.arrangements == 24 * 23
    assert found.shortlist[0].structure.composition.element_composition == cell.composition


def test_undoped_host_is_itself() -> None:
    found = order(ideal_host(), combination(), 5)
    (entry,) = found.shortlist
    assert entry.structure == ideal_host().supercell((2, 2, 1)).structure
    assert (entry.stabiliser, entry.instability_vu, found.charge_orbits, found.exhaustive) == (48, None, 1, True)


# ---- the shortlist ----


SHORTLISTS = [
    (LZC_10TF, 10),
    (HF_F3, 10),
    (combination(anion=on("F-", "6i", 2)), 4),
    (combination(cation=on("Hf4+", "1a+2d", 2)), 6),
    (combination(cation=on("Nb5+", "2d", 1), anion=on("Br-", "6i", 2)), 6),
    (combination((2, 1, 1), cation=on("Mg2+", "1a", 1), anion=on("O2-", "6i", 1)), 3),
]
shortlists = pytest.mark.parametrize(("doping", "size"), SHORTLISTS, ids=[doping.slug for doping, _ in SHORTLISTS])


@cache
def ordered(doping: Combination, size: int) -> ordering.Ordering:
    return order(ideal_host(), doping, size)


@shortlists
def test_shortlisted_structures_are_what_was_asked_for(doping: Combination, size: int) -> None:
    cell = doped_cell(HostFrame(ideal_host(), doping.supercell), doping)
    found, sites = ordered(doping, size), lattice_of(doping.supercell)
    assert 1 <= len(found.shortlist) <= size
    last = found.shortlist[-1]
    assert EwaldSummation(last.structure).total_energy == pytest.approx(last.electrostatic_ev, rel=0, abs=1e-6)
    for entry in found.shortlist:
        structure = entry.structure
        assert structure.charge == 0
        assert structure.composition.element_composition == cell.composition
        assert symmetry_order(sites, structure) == entry.stabiliser
        for part in doping.substitutions:
            places = [site.properties[WYCKOFF] for site in structure if str(site.specie) == part.ion]
            assert len(places) == part.count
            assert set(places) <= set(part.labels)
        counts = Counter(structure.site_properties[WYCKOFF])
        for label in ("1a", "2d", "6i"):
            assert counts[label] == prod(doping.supercell) * ideal_host().site_counts[label]


@shortlists
def test_shortlisted_structures_are_inequivalent(doping: Combination, size: int) -> None:
    sites = lattice_of(doping.supercell)
    first_images = set()
    for entry in ordered(doping, size).shortlist:
        ions = ions_by_site(sites, entry.structure)
        first_images.add(min(map(tuple, ions[sites.permutations])))
    assert len(first_images) == len(ordered(doping, size).shortlist)


def test_structure_matcher_agrees_that_they_differ() -> None:
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, primitive_cell=False, scale=False)
    entries = ordered(LZC_10TF, 10).shortlist[:3]
    for one, other in combinations(entries, 2):
        assert not matcher.fit(one.structure, other.structure)


def bound_to(structure: Structure, cation: str, anion: str, label: str | None = None) -> int:
    """Anions of one kind within bonding distance of cations of one kind (on sites of a label)."""
    centres = [site for site in structure if str(site.specie) == cation and label in (None, site.properties[WYCKOFF])]
    near = {
        neighbour.index
        for centre in centres
        for neighbour in structure.get_neighbors(centre, CUTOFF_ANGSTROM)
        if str(neighbour.specie) == anion
    }
    return len(near)


def strain_vu(structure: Structure) -> float:
    """Global instability index of a structure as it is."""
    ions = [str(site.specie) for site in structure]
    kinds = [[i for i, ion in enumerate(ions) if charge_of(ion) * sign > 0] for sign in (1, -1)]
    cations, anions = [([ions[i] for i in kind], structure.frac_coords[kind]) for kind in kinds]
    bonds = mixed_anions(structure.lattice, cations, anions, anions[0][0])
    return float(bonds.instability_vu(np.zeros((1, 0), dtype=int))[0])


@pytest.mark.parametrize(("doping", "size"), SHORTLISTS[:2], ids=["Ti", "Hf"])
def test_strata_take_turns_most_bound_anions_first(doping: Combination, size: int) -> None:
    shortlist = ordered(doping, size).shortlist
    for entry in shortlist:
        assert entry.anions_at_dopant == bound_to(entry.structure, doping.cation.ion, "F-")
        assert entry.instability_vu == pytest.approx(strain_vu(entry.structure), rel=1e-6)
    assert [entry.anions_at_dopant for entry in shortlist] == [3, 2, 1, 0, 3, 2, 1, 0, 3, 2]
    for stratum in range(4):
        members = [entry for entry in shortlist if entry.anions_at_dopant == stratum]
        strains = [entry.instability_vu for entry in members]
        assert strains == sorted(strains) or np.ptp(strains) < 1e-6


def least_strain_vu(base: Structure, dopant: str, count: int) -> dict[int, float]:
    """Lowest index of each stratum over every choice of `count` F- on the Cl- sites of a structure."""
    ions = [str(site.specie) for site in base]
    cations = [i for i, ion in enumerate(ions) if charge_of(ion) > 0]
    anions = [i for i, ion in enumerate(ions) if ion == "Cl-"]
    bonds = mixed_anions(
        base.lattice,
        ([ions[i] for i in cations], base.frac_coords[cations]),
        (["Cl-"] * len(anions), base.frac_coords[anions]),
        "F-",
    )
    centre = ions.index(dopant)
    near = base.distance_matrix[centre][anions] < CUTOFF_ANGSTROM
    states = np.array(list(combinations(range(len(anions)), count)))
    strains, strata = bonds.instability_vu(states), near[states].sum(axis=1)
    return {int(value): float(strains[strata == value].min()) for value in np.unique(strata)}


def first_of_strata(shortlist: tuple[Arrangement, ...]) -> dict[int, float]:
    firsts: dict[int, float] = {}
    for entry in shortlist:
        firsts.setdefault(entry.anions_at_dopant, entry.instability_vu)
    return firsts


def test_first_of_each_stratum_is_the_least_strained_of_all_59640() -> None:
    shortlist = ordered(LZC_10TF, 10).shortlist
    base = shortlist[0].structure.copy()
    base.replace_species({"F-": "Cl-"})
    assert first_of_strata(shortlist) == pytest.approx(least_strain_vu(base, "Ti3+", 3), rel=1e-6)


def test_tied_charge_states_compete_for_the_shortlist() -> None:
    """Hf4+ on 1a and on 2d have one electrostatic energy: the strain decides between them."""
    sites = lattice_of((2, 2, 1))
    least: dict[int, float] = {}
    for place_of_hafnium in sites.with_labels(("1a", "2d")):
        ions = list(sites.ions)
        ions[place_of_hafnium] = "Hf4+"
        for stratum, strain in least_strain_vu(sites.decorated(ions), "Hf4+", 3).items():
            least[stratum] = min(strain, least.get(stratum, np.inf))
    found = ordered(HF_F3, 10)
    assert found.charge_ties == 2
    assert first_of_strata(found.shortlist) == pytest.approx(least, rel=1e-6)


def test_ties_of_strain_go_to_the_higher_symmetry() -> None:
    """Where no F- is near another or the dopant, thousands of arrangements are strained alike."""
    shortlist = order(ideal_host(), LZC_10TF, 40).shortlist
    alike = [entry for entry in shortlist if entry.anions_at_dopant == 0]
    groups: dict[int, list[int]] = {}
    for entry in alike:
        groups.setdefault(round(entry.instability_vu / ordering.TIE_VU), []).append(entry.stabiliser)
    assert max(map(len, groups.values())) > 1
    assert all(orders == sorted(orders, reverse=True) for orders in groups.values())


def test_strain_counts_the_anions_of_all_labels() -> None:
    """F- on one of three Cl labels: the bonds to the other two are there as well."""
    structure = ideal_host().structure.copy()
    labels = list(structure.site_properties[WYCKOFF])
    chlorine = [i for i, label in enumerate(labels) if label == "6i"]
    orbits = {tuple(sorted(set(map(int, column)))) for column in lattice_of((1, 1, 1)).permutations.T}
    for primes, orbit in enumerate(sorted(orbit for orbit in orbits if orbit[0] in chlorine)):
        for site in orbit:
            labels[site] = "6i" + "'" * primes
    structure.add_site_property(WYCKOFF, labels)
    host = Host("three-labels", structure, ideal_host().vacant)
    assert host.site_counts["6i"] == host.site_counts["6i'"] == host.site_counts["6i''"] == 6
    doping = combination(cation=on("Ti3+", "1a+2d", 1), anion=on("F-", "6i'", 2))
    for entry in order(host, doping, 4).shortlist:
        assert entry.instability_vu == pytest.approx(strain_vu(entry.structure), rel=1e-6)


def test_dopants_are_the_ions_placed_not_all_of_their_kind() -> None:
    """Li+ on a Zr site: the strata count F- at that site, not at the lithium of the host."""
    doping = combination((2, 1, 1), cation=on("Li+", "1a", 1), anion=on("F-", "6i", 1))
    shortlist = order(ideal_host(), doping, 4).shortlist
    assert {entry.anions_at_dopant for entry in shortlist} == {0, 1}
    for entry in shortlist:
        assert entry.anions_at_dopant == bound_to(entry.structure, "Li+", "F-", "1a")


# ---- the beam, determinism, errors ----


def test_a_cut_beam_is_not_exhaustive() -> None:
    doping = combination(cation=on("Mg2+", "1a+2d", 2))
    found = order(ideal_host(), doping, 1)
    assert not found.exhaustive
    # what the beam kept is still better than what chance finds among the 3.9 million
    sites, random = lattice_of((2, 2, 1)), np.random.default_rng(0)
    charges = np.repeat(sites.charges[None, :], 5000, axis=0)
    for row in charges:
        row[random.choice(sites.with_labels(("1a", "2d")), 2, replace=False)] = 2
        row[random.choice(sites.vacant, 4, replace=False)] = 1
    assert found.shortlist[0].electrostatic_ev < sites.electrostatic_ev(charges).min()


@pytest.mark.parametrize("beam", [1, 4, 16])
def test_a_narrow_beam_says_so_and_is_never_better(beam: int, monkeypatch: pytest.MonkeyPatch) -> None:
    doping = combination(cation=on("Mg2+", "1a+2d", 1))
    best = order(ideal_host(), doping, 1)
    monkeypatch.setattr(orbits, "BEAM", beam)
    found = order(ideal_host(), doping, 1)
    assert best.exhaustive
    assert not found.exhaustive
    assert found.charge_orbits < best.charge_orbits == 191
    assert found.shortlist[0].electrostatic_ev > best.shortlist[0].electrostatic_ev - 1e-6


@shortlists
def test_ordering_is_deterministic(doping: Combination, size: int) -> None:
    original = ideal_host()
    copy = Host(original.name, original.structure.copy(), original.vacant)
    again, found = order(copy, doping, size), ordered(doping, size)
    for one, other in zip(again.shortlist, found.shortlist, strict=True):
        assert one.structure.frac_coords.tolist() == other.structure.frac_coords.tolist()
        assert [site.species_string for site in one.structure] == [site.species_string for site in other.structure]
        assert (one.electrostatic_ev, one.instability_vu) == (other.electrostatic_ev, other.instability_vu)


@pytest.mark.parametrize("size", [0, -1])
def test_empty_shortlist_is_refused(size: int) -> None:
    with pytest.raises(InputError) as refusal:
        order(ideal_host(), TI, size)
    assert str(refusal.value) == f"ordering shortlist {size}: 1 and above is allowed"


def test_impossible_combinations_are_refused() -> None:
    with pytest.raises(InputError, match="occupancy above 1"):
        order(ideal_host(), combination(cation=on("Ti3+", "1a", 5)), 1)
