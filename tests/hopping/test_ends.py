from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.ends import Ends, assembled, charge_e, ends, settled_state, state_structure
from lzc_flows.hopping.hops import MECHANISMS, Hop, find_hops
from lzc_flows.hopping.host_sites import host_sites
from lzc_flows.hopping.sites import IonSites

SITES = host_sites(ideal_host().supercell((1, 1, 2)).structure, ideal_host().supercell((1, 1, 2)))
HOPS = [hop for mechanism in MECHANISMS for hop in find_hops(SITES, mechanism)]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_only_the_hopping_ions_differ_and_by_their_displacements(
    sites_of: Callable[[int], IonSites], mechanism: str
) -> None:
    sites = sites_of(1)
    for hop in find_hops(sites, mechanism):
        both = ends(sites, hop)
        apart = both.final.cart_coords - both.initial.cart_coords
        assert apart[list(both.moved)] == pytest.approx(hop.displacements_angstrom(sites), abs=1e-9)
        assert not np.delete(apart, both.moved, axis=0).any()
        assert both.initial.species == both.final.species
        assert len(both.initial) == len(sites.structure) + hop.extra_ions
        for structure, state in ((both.initial, hop.initial(sites)), (both.final, hop.final(sites))):
            assert settled_state(sites, structure) == state
            frame = len(sites.framework)
            assert structure.species[:frame] == [sites.structure[i].specie for i in sites.framework]
            assert {site.specie.symbol for site in structure[frame:]} == {"Li"}


def test_an_end_is_the_structure_of_its_state() -> None:
    for hop in HOPS[::7]:
        expected = state_structure(SITES, hop.initial(SITES))
        assert ends(SITES, hop).initial == expected


def test_charge() -> None:
    by_mechanism = {hop.mechanism: charge_e(SITES, hop) for hop in HOPS}
    assert by_mechanism == {"vacancy": -1, "interstitial": 1, "interstitialcy": 1, "frenkel": 0}
    bare = host_sites(SITES.structure.copy().remove_oxidation_states(), ideal_host().supercell((1, 1, 2)))
    assert charge_e(bare, HOPS[0]) == -1


def test_a_wrong_mapping_is_refused() -> None:
    both = ends(SITES, HOPS[0])
    with pytest.raises(ValueError, match="differ between the ends"):
        Ends(both.initial, both.final, ())
    swapped = Structure.from_sites([both.final[i] for i in (-1, *range(1, len(both.final) - 1), 0)])
    with pytest.raises(ValueError, match="the same atoms in the same order"):
        Ends(both.initial, swapped, both.moved)


def relaxed(structure: Structure, rng: np.random.Generator, permute: int) -> Structure:
    """Shake a structure, shift it a little, wrap it, and let its ions change places."""
    frame = sum(site.specie.symbol != "Li" for site in structure)
    order = [*range(frame), *(frame + rng.permutation(len(structure) - frame))] if permute else range(len(structure))
    shaken = structure.cart_coords + rng.uniform(-0.15, 0.15, (len(structure), 3)) + rng.uniform(-0.1, 0.1, 3)
    fractional = structure.lattice.get_fractional_coords(shaken) % 1
    return Structure(structure.lattice, structure.species, fractional[list(order)])


@settings(max_examples=40, deadline=None)
@given(hop=st.sampled_from(HOPS), seed=st.integers(0, 2**32 - 1), permute=st.integers(0, 1))
def test_relaxed_states_are_joined_by_the_way_of_the_hop(hop: Hop, seed: int, permute: int) -> None:
    rng = np.random.default_rng(seed)
    initial = relaxed(state_structure(SITES, hop.initial(SITES)), rng, permute)
    final = relaxed(state_structure(SITES, hop.final(SITES)), rng, permute)
    start, stop = assembled(SITES, hop, initial, final)
    expected = ends(SITES, hop)
    assert start == pytest.approx(expected.initial.cart_coords, abs=0.3)
    assert stop == pytest.approx(expected.final.cart_coords, abs=0.3)
    for positions, structure in ((start, initial), (stop, final)):
        given_positions = structure.lattice.get_all_distances(
            structure.lattice.get_fractional_coords(positions), structure.frac_coords
        )
        assert given_positions.min(axis=1) == pytest.approx(0, abs=1e-6)


def test_states_that_became_others_are_named() -> None:
    hop = next(hop for hop in HOPS if hop.mechanism == "frenkel" and SITES.labels[hop.moves[0].to] == "6g")
    here, there = (state_structure(SITES, state) for state in (hop.initial(SITES), hop.final(SITES)))
    move = hop.moves[0]
    with pytest.raises(
        CalculationError,
        match=rf"^the final state relaxed into another one: .* site {move.to} \(6g\) for site {move.site} \(6h\)$",
    ):
        assembled(SITES, hop, here, here)
    with pytest.raises(CalculationError, match=r"^the initial state relaxed into another one"):
        assembled(SITES, hop, there, there)
    crowded = here.copy()
    crowded.translate_sites([len(here) - 1], here.frac_coords[-2] - here.frac_coords[-1] + [0, 0, 0.05])
    with pytest.raises(CalculationError, match=r"^two ions of a relaxed state went to site \d+ \(6h\)$"):
        settled_state(SITES, crowded)


def test_other_cells_and_other_atoms_are_refused() -> None:
    structure = state_structure(SITES, HOPS[0].initial(SITES))
    larger = structure.copy()
    larger.scale_lattice(structure.volume * 1.01)
    with pytest.raises(InputError, match=r"^relaxed state: the cell of the crystal is allowed, kept fixed$"):
        settled_state(SITES, larger)
    with pytest.raises(InputError, match="atoms in their order, then the ions"):
        settled_state(SITES, Structure.from_sites(structure[::-1]))
