from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import aimd_host, ideal_host
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.host_sites import REACH_ANGSTROM, fitting_supercell, host_sites
from lzc_flows.hopping.sites import IonSites


def kinds(sites: IonSites) -> Counter:
    """Labels and lengths of the pairs."""
    return Counter(
        (*sorted((sites.labels[first], sites.labels[second])), round(float(length), 2))
        for (first, second), length in zip(sites.pairs.tolist(), lengths(sites), strict=True)
    )


def lengths(sites: IonSites) -> np.ndarray:
    translations = map(tuple, sites.translations.tolist())
    ways = [sites.vector_angstrom(*pair, t) for pair, t in zip(sites.pairs.tolist(), translations, strict=True)]
    return np.linalg.norm(ways, axis=1)


def test_neighbours_of_the_host_by_hand(host_lattice: Callable[[int], IonSites]) -> None:
    # a = 10.9737 Å times 0.3289 is 3.61, times 1 − 2·0.3289 3.755; times 0.3198 3.51, times 1 − 2·0.3198 3.95
    # half of c is 2.965 Å
    assert kinds(host_lattice(1)) == {
        ("6g", "6h", 2.97): 12,  # faces, along c
        ("6h", "6h", 3.61): 6,  # edges, around 1b
        ("1b", "6h", 3.61): 6,
        ("6h", "6h", 3.76): 3,  # edges, from one hexagon to the next
        ("6g", "6g", 3.51): 6,  # around 1a, which Zr holds
        ("6g", "6g", 3.95): 3,
        ("2d'", "6g", 3.74): 12,
    }


@pytest.mark.parametrize("repeats", [(1, 1, 3), (2, 2, 1), (2, 1, 2)])
def test_a_supercell_has_the_same_neighbours_more_often(
    host_lattice: Callable[[int], IonSites], repeats: tuple[int, int, int]
) -> None:
    tall = ideal_host().supercell(repeats)
    once = kinds(host_lattice(1))
    assert kinds(host_sites(tall.structure, tall)) == {kind: n * np.prod(repeats) for kind, n in once.items()}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    drift=st.tuples(*[st.floats(-0.03, 0.03)] * 3),
    strain=st.floats(-0.05, 0.05),
)
def test_shaken_shifted_wrapped_and_strained_crystals_have_the_hosts_neighbours(
    seed: int, drift: tuple[float, float, float], strain: float
) -> None:
    rng = np.random.default_rng(seed)
    host = ideal_host().supercell((1, 1, 2))
    lattice = Lattice(host.structure.lattice.matrix * (1 + strain))
    order = rng.permutation(len(host.structure))
    shaken = host.structure.frac_coords[order] + rng.normal(0, 0.1, (len(order), 3)) / lattice.abc + drift
    structure = Structure(lattice, [host.structure[int(i)].specie for i in order], shaken % 1)
    sites = host_sites(structure, fitting_supercell(ideal_host(), structure))
    assert Counter(sites.labels[: len(sites.atoms)]) == {"6h": 12}
    expected = host_sites(host.structure, host)
    assert len(sites.pairs) == len(expected.pairs)
    # unwrapped neighbours stay neighbours
    assert lengths(sites).max() < REACH_ANGSTROM * (1 + abs(strain)) + 1


def test_dopants_extra_and_missing_ions() -> None:
    host = aimd_host()
    doped = host.structure.copy()
    zr, cl = (next(i for i, s in enumerate(doped) if s.specie.symbol == symbol) for symbol in ("Zr", "Cl"))
    doped.replace(zr, "Ti3+")
    doped.replace(cl, "F-")
    doped.append("Li+", host.vacant[-1].frac_coords)
    doped.remove_sites([next(i for i, s in enumerate(doped) if s.specie.symbol == "Li")])
    sites = host_sites(doped, fitting_supercell(ideal_host(), doped))
    assert Counter(sites.labels[: len(sites.atoms)]) == {"6h": 17, host.vacant[-1].properties["wyckoff"]: 1}
    assert Counter(sites.labels) == {"6h": 18, "6g": 18, "1b": 3, "2d'": 6}


def test_an_ion_off_all_sites_and_two_on_one_are_refused() -> None:
    host = ideal_host()
    lithium = [i for i, s in enumerate(host.structure) if s.specie.symbol == "Li"]
    off = host.structure.copy()
    off.translate_sites([lithium[0]], [0.2, 0.03, 0.1])
    with pytest.raises(CalculationError, match=r"^Li\+ \(atom 0\) lies .* Å from the nearest site of the host; up to"):
        host_sites(off, host)
    shared = host.structure.copy()
    shared.append("Li+", np.add(shared[lithium[2]].frac_coords, [0, 0, 0.08]))
    with pytest.raises(CalculationError, match=r"^Li\+ \(atom 2\) and Li\+ \(atom 27\) share one site of the host$"):
        host_sites(shared, host)


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0] * 3, [0.5] * 3]), "a supercell of"),
        (Structure(Lattice.hexagonal(10.97, 5.93), ["Li", "Cl"], [[0, 0, 0], [0.5] * 3]), "has 21$"),
    ],
)
def test_other_crystals_are_refused(structure: Structure, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitting_supercell(ideal_host(), structure)
