from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations, product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from lzc_flows.crystal import ordering
from lzc_flows.crystal.bond_valence import CUTOFF_ANGSTROM, Mismatch, MixedAnions, mixed_anions
from lzc_flows.crystal.doping import Combination, HostFrame, Substitution, doped_cell
from lzc_flows.crystal.host import WYCKOFF, Host, ideal_host
from lzc_flows.crystal.ions import VACANT, charge_of
from lzc_flows.crystal.orbits import Placement, canonical
from lzc_flows.crystal.ordering import Arrangement, enumeration, order
from lzc_flows.crystal.sampling import energies_of
from lzc_flows.crystal.sitelattice import SiteLattice
from lzc_flows.documents.protocols import SYMPREC_ANGSTROM, OrderProtocol
from lzc_flows.errors import InputError


@cache
def lattice_of(repeats: tuple[int, int, int]) -> SiteLattice:
    return SiteLattice(ideal_host(), repeats)


def on(ion: str, site: str, count: int) -> Substitution:
    return Substitution(ion=ion, labels=tuple(site.split("+")), count=count)


def combination(supercell: tuple[int, int, int] = (2, 2, 1), **parts: Substitution) -> Combination:
    return Combination(supercell=supercell, **parts)


NO_ENGINE = ("electrostatics", "bond-valence", "symmetry")


@cache
def ordered(doping: Combination, size: int) -> ordering.Ordering:
    return order(ideal_host(), doping, OrderProtocol(shortlist=size, tiers=NO_ENGINE))


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
    found = ordered(TI, 1)
    assert found.electrostatics.compared == 17
    assert found.spread[0].electrostatic_ev == pytest.approx(energies.min(), rel=0, abs=1e-6)


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
    found = ordered(doping, 8)
    assert len(energies) == doped_cell(HostFrame(ideal_host(), doping.supercell), doping).arrangements
    assert found.exhaustive
    assert found.electrostatics.ground.orbits == len(found.spread)
    best = found.spread[0]
    assert best.electrostatic_ev == pytest.approx(energies.min(), rel=0, abs=1e-6)
    assert EwaldSummation(best.structure).total_energy == pytest.approx(energies.min(), rel=0, abs=1e-6)
    # all arrangements of the lowest energy are images of the shortlisted ones
    images = sum(len(sites.permutations) // entry.stabiliser for entry in found.spread)
    assert images == (energies < energies.min() + 1e-5).sum()


def test_charge_orbits_agree_with_burnside() -> None:
    sites = lattice_of((2, 2, 1))
    zirconium = sites.with_labels(("1a", "2d"))
    for ion, moved in [
        ("Mg2+", Placement("Li+", sites.vacant, 2)),
        ("Nb5+", Placement(VACANT, sites.mobile, 1)),
        ("W6+", Placement(VACANT, sites.mobile, 2)),
    ]:
        found = ordered(combination(cation=on(ion, "1a+2d", 1)), 1)
        assert found.electrostatics.compared == burnside(sites.permutations, [Placement(ion, zirconium, 1), moved])


def test_vacancies_spare_the_sites_that_the_dopant_took() -> None:
    """Mg2+ on Li+ sites: 24 × 23 arrangements, dopant and vacancy apart."""
    doping = combination(cation=on("Mg2+", "6h", 1))
    sites = lattice_of((2, 2, 1))
    lithium = sites.with_labels(("6h",))
    found = ordered(doping, 1)
    placements = [Placement("Mg2+", lithium, 1), Placement(VACANT, lithium, 1)]
    assert found.electrostatics.compared == burnside(sites.permutations, placements)
    cell = doped_cell(HostFrame(ideal_host(), (2, 2, 1)), doping)
    assert enumeration(ideal_host(), doping, SYMPREC_ANGSTROM).arrangements == cell.arrangements == 24 * 23
    assert found.spread[0].structure.composition.element_composition == cell.composition


def test_undoped_host_is_itself() -> None:
    found = ordered(combination(), 5)
    (entry,) = found.spread
    assert entry.structure == ideal_host().supercell((2, 2, 1)).structure
    assert (entry.stabiliser, entry.multiplicity, found.electrostatics.compared, found.exhaustive) == (48, 1, 1, True)
    assert entry.instability_vu == pytest.approx(strain_vu(entry.structure), rel=1e-9)


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


@shortlists
def test_shortlisted_structures_are_what_was_asked_for(doping: Combination, size: int) -> None:
    cell = doped_cell(HostFrame(ideal_host(), doping.supercell), doping)
    found, sites = ordered(doping, size), lattice_of(doping.supercell)
    assert 1 <= len(found.spread) <= size
    last = found.spread[-1]
    assert EwaldSummation(last.structure).total_energy == pytest.approx(last.electrostatic_ev, rel=0, abs=1e-6)
    for entry in found.spread:
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
    for entry in ordered(doping, size).spread:
        ions = ions_by_site(sites, entry.structure)
        first_images.add(min(map(tuple, ions[sites.permutations])))
    assert len(first_images) == len(ordered(doping, size).spread)


def test_structure_matcher_agrees_that_they_differ() -> None:
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, primitive_cell=False, scale=False)
    entries = ordered(LZC_10TF, 10).spread[:3]
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
    return float(instabilities_vu(bonds, np.zeros((1, 0), dtype=np.int16))[0])


def instabilities_vu(bonds: MixedAnions, guests: np.ndarray) -> np.ndarray:
    """Index with the guest on each row of anion sites; not along an enumeration."""
    n_sites = len(bonds.host_excess)
    mismatch = Mismatch(bonds, np.arange(n_sites), n_sites)
    placements = [Placement("F-", tuple(range(n_sites)), guests.shape[1])]
    return mismatch.instability_vu(energies_of(guests, placements, mismatch.form(placements)))


@pytest.mark.parametrize(("doping", "size"), SHORTLISTS[:2], ids=["Ti", "Hf"])
def test_strata_take_turns_most_bound_anions_first(doping: Combination, size: int) -> None:
    shortlist = ordered(doping, size).spread
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
    states = np.array(list(combinations(range(len(anions)), count)), dtype=np.int16)
    strains, strata = instabilities_vu(bonds, states), near[states].sum(axis=1)
    return {int(value): float(strains[strata == value].min()) for value in np.unique(strata)}


def first_of_strata(shortlist: tuple[Arrangement, ...]) -> dict[int, float]:
    firsts: dict[int, float] = {}
    for entry in shortlist:
        firsts.setdefault(entry.anions_at_dopant, entry.instability_vu)
    return firsts


def test_first_of_each_stratum_is_the_least_strained_of_all_59640() -> None:
    shortlist = ordered(LZC_10TF, 10).spread
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
    assert found.electrostatics.ground.orbits == 2
    assert first_of_strata(found.spread) == pytest.approx(least, rel=1e-6)


def test_ties_of_strain_go_to_the_higher_symmetry() -> None:
    """Where no F- is near another or the dopant, thousands of arrangements are strained alike."""
    shortlist = ordered(LZC_10TF, 40).spread
    alike = [entry for entry in shortlist if entry.anions_at_dopant == 0]
    groups: dict[int, list[int]] = {}
    for entry in alike:
        groups.setdefault(round(entry.instability_vu / 1e-6), []).append(entry.stabiliser)
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
    for entry in order(host, doping, OrderProtocol(shortlist=4, tiers=NO_ENGINE)).spread:
        assert entry.instability_vu == pytest.approx(strain_vu(entry.structure), rel=1e-6)


def test_dopants_are_the_ions_placed_not_all_of_their_kind() -> None:
    """Li+ on a Zr site: the strata count F- at that site, not at the lithium of the host."""
    doping = combination((2, 1, 1), cation=on("Li+", "1a", 1), anion=on("F-", "6i", 1))
    shortlist = ordered(doping, 4).spread
    assert {entry.anions_at_dopant for entry in shortlist} == {0, 1}
    for entry in shortlist:
        assert entry.anions_at_dopant == bound_to(entry.structure, "Li+", "F-", "1a")


# ---- all tiers by brute force ----


def brute_force(doping: Combination) -> tuple[float, np.ndarray]:
    """Lowest electrostatic energy, and (rounded index, order of the stabiliser) of every arrangement that has it."""
    sites = lattice_of(doping.supercell)
    extra = doped_cell(HostFrame(sites.host, doping.supercell), doping).extra_mobile
    dopants = combinations(sites.with_labels(doping.cation.labels), doping.cation.count)
    moved = combinations(sites.vacant if extra > 0 else sites.mobile, abs(extra))
    charged = []
    for metal, mobile in product(dopants, moved):
        ions = np.array(sites.ions, dtype="<U5")
        ions[list(metal)] = doping.cation.ion
        ions[list(mobile)] = sites.host.mobile if extra > 0 else VACANT
        charged.append(ions)
    energies = sites.electrostatic_ev(np.array([[charge_of(ion) for ion in ions] for ions in charged], dtype=float))
    rows = []
    for index in np.flatnonzero(energies < energies.min() + 1e-6):
        for chosen in combinations(sites.with_labels(doping.anion.labels), doping.anion.count):
            ions = charged[index].copy()
            ions[list(chosen)] = doping.anion.ion
            kept = (ions[sites.permutations] == ions).all(axis=1).sum()
            rows.append((round(strain_vu(sites.decorated(ions.tolist())) / 1e-6), kept))
    return float(energies.min()), np.array(rows)


@pytest.mark.parametrize(
    ("cation", "anion"),
    [
        (on("Ti3+", "1a+2d", 1), on("F-", "6i", 2)),
        (on("Hf4+", "1a+2d", 1), on("F-", "6i", 1)),
        (on("Nb5+", "2d", 1), on("Br-", "6i", 2)),
        (on("Sn4+", "1a+2d", 2), on("F-", "6i", 1)),
    ],
)
def test_every_tier_is_that_of_brute_force(cation: Substitution, anion: Substitution) -> None:
    doping = combination((1, 1, 1), cation=cation, anion=anion)
    lowest_ev, rows = brute_force(doping)
    found = ordered(doping, 3)
    best = found.ranked[0]
    assert best.electrostatic_ev == pytest.approx(lowest_ev, rel=0, abs=1e-6)
    least = rows[rows[:, 0] <= rows[:, 0].min() + 1]  # rounding
    assert best.instability_vu == pytest.approx(least[0, 0] * 1e-6, rel=0, abs=2e-6)
    assert best.stabiliser == least[:, 1].max()
    # an orbit has as many arrangements as the group's order over the stabiliser's
    operations = len(lattice_of((1, 1, 1)).permutations)
    ground = found.bond_valence.ground
    assert ground.orbits == round((least[:, 1] / operations).sum())
    assert ground.most_symmetric == round((least[:, 1] == best.stabiliser).sum() * best.stabiliser / operations)
    assert found.bond_valence.compared == round((rows[:, 1] / operations).sum())
    above = rows[rows[:, 0] > rows[:, 0].min() + 1]
    assert ground.gap == pytest.approx((above[:, 0].min() - rows[:, 0].min()) * 1e-6, rel=0, abs=3e-6)
    assert best.multiplicity * best.stabiliser == operations


def test_the_strain_of_a_ranked_arrangement_is_that_of_its_structure() -> None:
    ranked = ordered(LZC_10TF, 10).ranked
    strains = [entry.instability_vu for entry in ranked]
    assert strains == pytest.approx([strain_vu(entry.structure) for entry in ranked], rel=1e-9)
    assert strains == sorted(strains) or np.ptp(strains) < 1e-6


def test_without_bond_valence_symmetry_decides() -> None:
    protocol = OrderProtocol(shortlist=5, tiers=("electrostatics", "symmetry"))
    found = order(ideal_host(), LZC_10TF, protocol)
    assert [entry.instability_vu for entry in found.ranked] == [None] * 5
    assert found.bond_valence.ground.orbits == found.bond_valence.compared == 10_238
    assert found.ranked[0].stabiliser == found.bond_valence.ground.stabiliser
    assert found.ranked[0].stabiliser >= ordered(LZC_10TF, 10).ranked[0].stabiliser


# ---- beyond the lowest level, too many to list, charged cells ----


def test_more_than_the_ties_come_from_the_next_energies() -> None:
    energies = np.unique(np.round(brute_force_ev(lattice_of((2, 2, 1)), TI), 6))
    found = ordered(TI, 17)
    assert [entry.electrostatic_ev for entry in found.ranked] == pytest.approx(energies.tolist(), rel=0, abs=1e-5)
    assert len(found.spread) == 1
    assert found.electrostatics.ground.gap == pytest.approx(energies[1] - energies[0], rel=0, abs=1e-5)


def test_the_histogram_counts_all_arrangements() -> None:
    found = ordered(LZC_10TF, 10)
    assert sum(found.histogram.weights) == 25_764_480
    assert found.orbits == 539_406


def test_too_many_to_list_are_sampled_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Monte Carlo search finds what the enumeration finds, and the result is not called exhaustive."""
    exact = ordered(LZC_10TF, 10)
    assert exact.exhaustive
    monkeypatch.setattr("lzc_flows.crystal.lowest.LISTED_UP_TO", 500)
    found = order(ideal_host(), LZC_10TF, OrderProtocol(shortlist=10, tiers=NO_ENGINE))
    assert not found.exhaustive
    assert found.electrostatics.sampling is None  # 17 orbits of charges
    assert found.bond_valence.sampling.runs_at_lowest >= 1
    assert found.bond_valence.ground.energy == pytest.approx(exact.bond_valence.ground.energy, rel=1e-6)


def test_fewer_tied_charge_states_than_there_are_is_not_exhaustive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "LISTED_UP_TO", 1)
    found = order(ideal_host(), HF_F3, OrderProtocol(shortlist=2, tiers=NO_ENGINE))
    assert (found.electrostatics.ground.orbits, found.charge_states, found.exhaustive) == (2, 1, False)


def test_a_charged_cell_keeps_its_mobile_ions() -> None:
    doping = TI.model_copy(update={"compensation": "background"})
    found = ordered(doping, 2)
    best = found.ranked[0].structure
    assert best.charge == -1
    assert best.composition.get_el_amt_dict()["Li"] == 24
    assert EwaldSummation(best).total_energy == pytest.approx(found.ranked[0].electrostatic_ev, rel=0, abs=1e-6)
    assert doping.slug == f"{TI.slug}_charged"


# ---- determinism, errors ----


@shortlists
def test_ordering_is_deterministic(doping: Combination, size: int) -> None:
    original = ideal_host()
    copy = Host(original.name, original.structure.copy(), original.vacant)
    again = order(copy, doping, OrderProtocol(shortlist=size, tiers=NO_ENGINE))
    found = ordered(doping, size)
    for one, other in zip(again.spread, found.spread, strict=True):
        assert one.structure.frac_coords.tolist() == other.structure.frac_coords.tolist()
        assert [site.species_string for site in one.structure] == [site.species_string for site in other.structure]
        assert (one.electrostatic_ev, one.instability_vu) == (other.electrostatic_ev, other.instability_vu)


def test_impossible_combinations_are_refused() -> None:
    with pytest.raises(InputError, match="occupancy above 1"):
        ordered(combination(cation=on("Ti3+", "1a", 5)), 1)
