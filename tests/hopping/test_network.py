from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import InputError
from lzc_flows.hopping.hops import MECHANISMS, Hop, State, find_hops
from lzc_flows.hopping.host_sites import fitting_supercell, host_sites
from lzc_flows.hopping.network import CarrierNetwork, HopEnergies, carrier_networks
from lzc_flows.hopping.orbits import HopOrbit, hop_orbits, symmetry_of
from lzc_flows.hopping.random_walk import CM2_S_PER_A2_HZ, random_walk
from lzc_flows.hopping.sites import IonSites
from lzc_flows.transport.conductivity import BOLTZMANN_EV
from lzc_flows.transport.percolation import TARGETS, percolation

T = 600.0
KT = BOLTZMANN_EV * T
ATTEMPT_HZ = 1e13
LABEL_EV = {"6g": 0.15, "1b": 0.25, "2d'": 0.35, "empty": 0.1, "6i": 0.4, "6i'": 0.45, "6i''": 0.3}


def neighbours_within(structure: Structure, empty: np.ndarray, reach: float) -> IonSites:
    """Sites of a crystal of Li and Cl, all nearer than a reach being neighbours."""
    ions = tuple(i for i, site in enumerate(structure) if site.specie.symbol == "Li")
    fractional = np.concatenate([structure.frac_coords[list(ions)], empty.reshape(-1, 3)])
    found = []
    for i, j in product(range(len(fractional)), repeat=2):
        for t in product((-1, 0, 1), repeat=3):
            length = np.linalg.norm((fractional[j] + t - fractional[i]) @ structure.lattice.matrix)
            if length < reach and (i, *t) < (j, *(-x for x in t)):
                found.append((i, j, *t))
    rows = np.array(found, dtype=np.int64).reshape(-1, 5)
    pairs, translations = rows[:, :2], rows[:, 2:]
    middles = (fractional[pairs[:, 0]] + fractional[pairs[:, 1]] + translations) / 2
    labels = ("Li",) * len(ions) + ("empty",) * (len(fractional) - len(ions))
    return IonSites(structure, "Li", ions, fractional, labels, pairs, translations, middles)


def orbits_of(sites: IonSites, *mechanisms: str) -> list[HopOrbit]:
    symmetry = symmetry_of(sites)
    return [orbit for one in mechanisms for orbit in hop_orbits(sites, find_hops(sites, one), symmetry)]


def state_ev(sites: IonSites, state: State) -> float:
    return -100.0 + math.fsum(LABEL_EV[sites.labels[site]] for site in state if site in sites.empty)


def flat(sites: IonSites, orbit: HopOrbit, barrier_ev: float) -> HopEnergies:
    """Energies of states by the labels of their empty sites, and one saddle above the higher end."""
    hop = orbit.representative
    ends = state_ev(sites, hop.initial(sites)), state_ev(sites, hop.final(sites))
    return HopEnergies(orbit, *ends, max(ends) + barrier_ev)


def kind(sites: IonSites, orbit: HopOrbit) -> tuple:
    """What tells orbits apart, whatever the cell and the order of atoms."""
    hop = orbit.representative
    beside: tuple = ()
    if hop.vacancy is not None:
        (move,) = hop.moves
        distance = sites.structure.lattice.get_all_distances(sites.fractional[[move.site, move.to]],
                                                             sites.fractional[hop.vacancy])  # fmt: skip
        beside = tuple(sorted(np.round(distance.ravel(), 2).tolist()))
    lengths = tuple(sorted(np.round(orbit.distances_angstrom, 2).tolist()))
    return orbit.mechanism, min(orbit.labels, orbit.labels[::-1]), lengths, beside


def barrier_of(key: tuple) -> float:
    """Made up, different for each kind of hop, and the same for the same kind."""
    return 0.2 + 0.001 * (sum(map(ord, repr(key))) % 400)


def made_up(sites: IonSites, *mechanisms: str) -> dict[str, CarrierNetwork]:
    hops = [flat(sites, orbit, barrier_of(kind(sites, orbit))) for orbit in orbits_of(sites, *mechanisms)]
    return {one.carrier: one for one in carrier_networks(sites, hops)}


def barriers(network: CarrierNetwork) -> dict[str, float]:
    return {target: one.barrier_ev for target, one in percolation(network.graph).thresholds.items()}


def diffusivity(network: CarrierNetwork) -> dict[str, float]:
    return random_walk(network.walking(ATTEMPT_HZ), T).mean.D_cm2_s


def rate_hz(barrier_ev: float) -> float:
    return ATTEMPT_HZ * math.exp(-barrier_ev / KT)


def caesium_chloride(repeats: tuple[int, int, int]) -> Structure:
    crystal = Structure(Lattice.cubic(3.6), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return crystal.make_supercell(repeats)


def rock_salt(repeats: tuple[int, int, int]) -> Structure:
    crystal = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.2), ["Li", "Cl"], [[0] * 3, [0.5] * 3])
    return crystal.make_supercell(repeats)


@pytest.mark.parametrize("repeats", [(2, 2, 2), (3, 3, 3), (2, 2, 3)])
def test_a_vacancy_in_a_simple_cubic_crystal(repeats: tuple[int, int, int]) -> None:
    # six jumps of a each: D = Γ a²
    sites = neighbours_within(caesium_chloride(repeats), np.empty((0, 3)), 3.7)
    hops = [HopEnergies(orbit, -5.0, -5.0, -4.7) for orbit in orbits_of(sites, "vacancy")]
    (network,) = carrier_networks(sites, hops)
    assert network.carrier == "vacancy"
    assert len(network.states) == math.prod(repeats)
    assert network.spread_ev == 0
    expected = rate_hz(0.3) * 3.6**2 * CM2_S_PER_A2_HZ
    assert diffusivity(network) == pytest.approx(dict.fromkeys(("total", "a", "b", "c", "ab"), expected), rel=1e-9)
    assert barriers(network) == pytest.approx(dict.fromkeys(TARGETS, 0.3))


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 1)])
def test_a_vacancy_in_an_fcc_crystal(repeats: tuple[int, int, int]) -> None:
    # twelve jumps of a/√2 each: D = 12 Γ a²/2 / 6 = Γ a²
    sites = neighbours_within(rock_salt(repeats), np.empty((0, 3)), 3.8)
    hops = [HopEnergies(orbit, 0.0, 0.0, 0.4) for orbit in orbits_of(sites, "vacancy")]
    (network,) = carrier_networks(sites, hops)
    assert diffusivity(network)["total"] == pytest.approx(rate_hz(0.4) * 5.2**2 * CM2_S_PER_A2_HZ, rel=1e-9)


def chain(cells: int, interleaved: bool) -> IonSites:
    """Two unlike ions in turn along c, 2.4 and 3.6 Å apart."""
    lattice = Lattice.orthorhombic(5, 6, 6 * cells)
    order = [(half, cell) for half in (0, 1) for cell in range(cells)]
    if interleaved:
        order.sort(key=lambda one: (one[1] + one[0]) % cells)
    lithium = [[0, 0, (cell + 0.4 * half) / cells] for half, cell in order]
    # one anion near the first of the two: a chain that runs from a to b is not one from b to a
    chlorine = [[0.5, 0.5, (cell - 0.15) / cells] for cell in range(cells)]
    return neighbours_within(
        Structure(lattice, ["Li"] * 2 * cells + ["Cl"] * cells, lithium + chlorine), np.empty((0, 3)), 3.7
    )


@pytest.mark.parametrize(("cells", "interleaved"), [(1, False), (2, False), (3, False), (3, True), (4, True)])
def test_a_vacancy_in_a_chain_of_unlike_ions(cells: int, interleaved: bool) -> None:
    # in one dimension D = L² ν / (Σ exp(S/kT) Σ exp(−E/kT)) over one period
    sites = chain(cells, interleaved)
    place = sites.fractional[:, 2] * cells % 1
    energy = dict(enumerate(np.where(place < 0.2, 0.0, 0.12).tolist()))  # of the state with this site vacant
    saddle = {2.4: 0.35, 3.6: 0.42}
    hops = []
    for orbit in orbits_of(sites, "vacancy"):
        (move,) = orbit.representative.moves
        # the vacancy is where the ion goes to, then where it came from
        hops.append(
            HopEnergies(orbit, energy[move.to], energy[move.site], saddle[round(orbit.distances_angstrom[0], 1)])
        )
    assert len(hops) == 2
    if interleaved:
        assert any(member.backward for one in hops for member in one.orbit.members)
    (network,) = carrier_networks(sites, hops)
    over = sum(math.exp(one / KT) for one in saddle.values()) * sum(math.exp(-one / KT) for one in (0.0, 0.12))
    found = diffusivity(network)
    assert network.spread_ev == 0
    assert found["c"] == pytest.approx(6.0**2 * ATTEMPT_HZ / over * CM2_S_PER_A2_HZ, rel=1e-9)
    assert found["a"] == found["b"] == 0
    assert barriers(network)["c"] == pytest.approx(0.42)
    assert barriers(network)["ab"] == math.inf


def test_an_interstitial_that_hops_and_knocks_on() -> None:
    # along c, ions at 0 and empty sites at ½: either way brings one charge by a lattice vector, D = (Γ + Γ') c²
    crystal = Structure(Lattice.orthorhombic(6, 7, 4), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0]])
    knocking = neighbours_within(crystal, np.array([[0, 0, 0.5]]), 2.1)
    both = neighbours_within(crystal, np.array([[0, 0, 0.5]]), 4.1)
    direct = [flat(both, orbit, 0.3) for orbit in orbits_of(both, "interstitial")]
    knocks = [flat(knocking, orbit, 0.2) for orbit in orbits_of(knocking, "interstitialcy")]
    assert (len(direct), len(knocks)) == (1, 1)
    (alone,), (together,) = carrier_networks(both, knocks), carrier_networks(both, direct + knocks)
    unit = 4.0**2 * CM2_S_PER_A2_HZ
    assert diffusivity(alone)["c"] == pytest.approx(rate_hz(0.2) * unit, rel=1e-9)
    assert diffusivity(together)["c"] == pytest.approx((rate_hz(0.2) + rate_hz(0.3)) * unit, rel=1e-9)
    assert together.carrier == "interstitial"
    assert len(together.states) == 1
    assert together.fractional + 0 == pytest.approx(np.array([[0, 0, 0.5]]))


def only(sites: IonSites, chosen: Callable[[tuple], float | None]) -> CarrierNetwork:
    """The vacancy's network of some kinds of hops and their saddles above the higher end."""
    hops = [
        flat(sites, orbit, barrier)
        for orbit in orbits_of(sites, "vacancy")
        if (barrier := chosen(kind(sites, orbit))) is not None
    ]
    (network,) = carrier_networks(sites, hops)
    return network


def test_vacancies_of_the_host_along_c_go_by_way_of_6g(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(3)
    network = only(sites, lambda key: 0.3 if key[1] == ("6g", "6h") else None)
    # 18 vacancies, and as many states with the ion between two of them
    assert len(network.states) == 36
    expected = dict.fromkeys(TARGETS, math.inf) | dict.fromkeys(("1d", "c"), LABEL_EV["6g"] + 0.3)
    assert barriers(network) == pytest.approx(expected)
    assert percolation(network.graph).thresholds["c"].windings == ((0, 0, 1),)
    # by way of the state between: two saddles of one height, half the way each
    found = random_walk(network.walking(ATTEMPT_HZ), T)
    assert found.mean.D_cm2_s["a"] == 0
    assert len(found.components) == 6
    height = ideal_host().structure.lattice.c
    over = (1 + math.exp(-0.15 / KT)) * 2 * math.exp(0.45 / KT)
    assert found.mean.D_cm2_s["c"] == pytest.approx(height**2 * ATTEMPT_HZ / over * CM2_S_PER_A2_HZ, rel=1e-9)


def test_vacancies_of_the_host_in_the_plane_need_both_hops(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(2)
    barrier = {3.61: 0.5, 3.76: 0.6}
    direct = ("6h", "6h")

    def ring(key: tuple) -> float | None:
        return barrier[key[2][0]] if key[1] == direct and key[2] == (3.61,) else None

    def plane(key: tuple) -> float | None:
        return barrier[key[2][0]] if key[1] == direct else None

    def around(key: tuple) -> float | None:
        return 0.05 if key[1][0] == "1b" else plane(key)

    assert set(barriers(only(sites, ring)).values()) == {math.inf}
    expected = dict.fromkeys(("1d", "2d", "a", "b", "ab"), 0.6) | {"c": math.inf, "3d": math.inf}
    for chosen in (plane, around):
        assert barriers(only(sites, chosen)) == pytest.approx(expected)
    assert diffusivity(only(sites, around))["ab"] > diffusivity(only(sites, plane))["ab"]
    assert diffusivity(only(sites, plane))["c"] == 0


@pytest.mark.parametrize("mechanisms", [("vacancy",), ("interstitial", "interstitialcy")])
def test_a_taller_cell_has_the_same_barriers_and_diffusivities(
    host_lattice: Callable[[int], IonSites], mechanisms: tuple[str, ...]
) -> None:
    ((short,), (tall,)) = (made_up(host_lattice(layers), *mechanisms).values() for layers in (2, 3))
    assert len(tall.states) * 2 == len(short.states) * 3
    assert all(math.isfinite(one) for one in barriers(tall).values())
    assert barriers(tall) == pytest.approx(barriers(short), abs=1e-9)
    assert diffusivity(tall) == pytest.approx(diffusivity(short), rel=1e-9)


@pytest.mark.parametrize("mechanisms", [("vacancy",), ("interstitial", "interstitialcy"), ("frenkel",)])
def test_neither_the_order_of_atoms_nor_their_cells_matter(
    host_lattice: Callable[[int], IonSites], mechanisms: tuple[str, ...]
) -> None:
    sites, rng = host_lattice(2), np.random.default_rng(3)
    crystal = sites.structure
    order = rng.permutation(len(crystal))
    moved = (crystal.frac_coords[order] + [0.031, -0.027, 0.04]) % 1
    shuffled = Structure(crystal.lattice, [crystal[int(i)].specie for i in order], moved)
    other = host_sites(shuffled, fitting_supercell(ideal_host(), shuffled))
    assert not np.allclose(np.sort(other.fractional[:, 0]), np.sort(sites.fractional[:, 0]), atol=0.01)
    ((expected,), (found,)) = (made_up(one, *mechanisms).values() for one in (sites, other))
    assert found.spread_ev == pytest.approx(0, abs=1e-9)
    assert len(found.states) == len(expected.states)
    assert barriers(found) == pytest.approx(barriers(expected), abs=1e-9)
    assert diffusivity(found) == pytest.approx(diffusivity(expected), rel=1e-9)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_space_group_maps_a_network_on_itself(sites_of: Callable[[int], IonSites], mechanism: str) -> None:
    sites = sites_of(1)
    (network,) = made_up(sites, mechanism).values()
    symmetry, graph = symmetry_of(sites), network.graph
    place = {state: index for index, state in enumerate(network.states)}

    def edges(operation: int | None) -> Counter:
        number, rotation = np.arange(len(place)), np.eye(3)
        if operation is not None:
            moved = symmetry.permutations[operation]
            number = np.array([place[tuple(sorted(moved[list(state)].tolist()))] for state in network.states])
            rotation = symmetry.rotations[operation]
        assert graph.energies_ev[number] == pytest.approx(graph.energies_ev, abs=1e-9)
        found: Counter = Counter()
        for (i, j), t, level in zip(graph.sites.tolist(), graph.translations, graph.levels_ev.tolist(), strict=True):
            # the net displacement of the ions
            way = (rotation @ (network.fractional[j] + t - network.fractional[i])).round(3) + 0.0
            forward = int(number[i]), int(number[j]), *way.tolist(), round(level, 6)
            backward = int(number[j]), int(number[i]), *(0.0 - way).tolist(), round(level, 6)
            found[min(forward, backward)] += 1
        return found

    for operation in range(len(symmetry)):
        assert edges(operation) == edges(None)


def test_translations_bring_the_ions_where_the_moves_do(sites_of: Callable[[int], IonSites]) -> None:
    sites = sites_of(2)
    for mechanism in ("vacancy", "interstitialcy"):
        (network,) = made_up(sites, mechanism).values()
        hops: list[Hop] = [m.hop for orbit in orbits_of(sites, mechanism) for m in orbit.members]
        graph = network.graph
        ways = network.fractional[graph.sites[:, 1]] + graph.translations - network.fractional[graph.sites[:, 0]]
        expected = [hop.displacements_angstrom(sites).sum(axis=0) for hop in hops]
        assert np.sort(np.linalg.norm(ways @ network.cell, axis=1)) == pytest.approx(
            np.sort(np.linalg.norm(expected, axis=1)), abs=1e-9
        )


def test_energies_of_a_state_are_the_mean_over_orbits(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    ring, between = (
        one for one in orbits_of(sites, "vacancy") if one.labels == ("6h", "6h")
    )  # shortest first: 3.61 and 3.76 Å
    hops = [HopEnergies(ring, -1.0, -1.002, -0.5), HopEnergies(between, -1.006, -1.004, -0.4)]
    (network,) = carrier_networks(sites, hops)
    # both hops are their own reverses: each state has all four
    assert network.graph.energies_ev == pytest.approx(np.full(6, -1.003), abs=1e-12)
    assert network.spread_ev == pytest.approx(0.006, rel=1e-9, abs=0)
    assert Counter(network.graph.levels_ev.tolist()) == {-0.5: 6, -0.4: 3}
    # a saddle below the mean of an end is raised to it: no barrier
    hops = [HopEnergies(ring, -1.0, -1.0, -1.0), HopEnergies(between, -0.98, -0.98, -0.4)]
    (network,) = carrier_networks(sites, hops)
    assert Counter(np.round(network.graph.levels_ev, 9).tolist()) == {-0.99: 6, -0.4: 3}


def test_each_carrier_has_its_network(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(2)
    networks = made_up(sites, *MECHANISMS)
    assert list(networks) == ["vacancy", "interstitial", "frenkel"]
    # pairs alone lead nowhere: the crystal, and one state for each of them
    pairs = networks["frenkel"]
    assert len(pairs.states) == 1 + 2 * (12 + 6)
    assert set(barriers(pairs).values()) == {math.inf}
    assert set(diffusivity(pairs).values()) == {0.0}
    assert carrier_networks(sites, []) == ()


def test_bad_input(host_lattice: Callable[[int], IonSites]) -> None:
    sites = host_lattice(1)
    orbit = orbits_of(sites, "frenkel")[0]
    with pytest.raises(InputError, match=r"^frenkel hop 6h → 6g: ends at 0 and 0.2 eV, saddle at 0.1 eV; a saddle at"):
        HopEnergies(orbit, 0.0, 0.2, 0.1)
    with pytest.raises(InputError, match="saddle at nan"):
        HopEnergies(orbit, 0.0, 0.2, math.nan)
    one = HopEnergies(orbit, 0.0, 0.2, 0.4)
    with pytest.raises(ValueError, match="one orbit only"):
        carrier_networks(sites, [one, one])
