from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import ideal_host
from lzc_flows.errors import CalculationError
from lzc_flows.hopping.labels import labelled_like, wyckoff_labels
from lzc_flows.hopping.sites import IonSites


@pytest.mark.parametrize("repeats", [(1, 1, 1), (1, 1, 3), (2, 1, 1)])
@pytest.mark.parametrize("labelled", [True, False])
def test_the_host_gets_its_own_labels(repeats: tuple[int, int, int], labelled: bool) -> None:
    host = ideal_host().supercell(repeats)
    structure = host.structure.copy()
    if not labelled:
        structure.remove_site_property("wyckoff")
    labels = wyckoff_labels(structure, "Li", np.array([site.frac_coords for site in host.vacant]))
    lithium = [site for site in host.structure if site.specie.symbol == "Li"]
    assert list(labels) == [site.properties["wyckoff"] for site in (*lithium, *host.vacant)]


def test_labels_of_spinel_are_those_of_its_conventional_cell() -> None:
    # LiMn2O4, Fd-3m: Li 8a, Mn 16d, O 32e; the empty octahedra 16c (Thackeray, Prog. Solid State Chem. 25, 1 (1997))
    spinel = Structure.from_spacegroup(
        "Fd-3m:2",
        Lattice.cubic(8.25),
        ["Li", "Mn", "O"],
        [[0.125, 0.125, 0.125], [0.5, 0.5, 0.5], [0.2632] * 3],
    )
    assert len(spinel) == 56
    empty = Structure.from_spacegroup("Fd-3m:2", spinel.lattice, ["Li"], [[0, 0, 0]]).frac_coords
    labels = wyckoff_labels(spinel, "Li", empty)
    # spglib may choose the setting whose origin is half a cell away
    assert Counter(labels) in ({"8a": 8, "16c": 16}, {"8b": 8, "16d": 16})


def test_in_the_primitive_cell_too() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    primitive = salt.get_primitive_structure()
    assert len(primitive) == 2
    # tetrahedral sites of rock salt: 8c
    chlorine = next(site for site in primitive if site.specie.symbol == "Cl")
    empty = primitive.lattice.get_fractional_coords(chlorine.coords + np.array([1, 1, 1]) * 5.13 / 4)
    labels = wyckoff_labels(primitive, "Li", np.array([empty, -empty + 2 * chlorine.frac_coords]))
    assert labels in {("4a", "8c", "8c"), ("4b", "8c", "8c")}


def test_many_orbits_of_one_letter_are_numbered() -> None:
    rng = np.random.default_rng(1)
    structure = Structure(Lattice.from_parameters(9, 10, 11, 80, 85, 95), ["Li"] * 5 + ["Cl"] * 5, rng.random((10, 3)))
    assert wyckoff_labels(structure, "Li", np.empty((0, 3))) == ("1a", "1a'", "1a''", "1a-4", "1a-5")


def test_a_doped_crystal_takes_the_labels_of_the_pristine_one(
    host_lattice: Callable[[int], IonSites], landscape: Callable[[int], IonSites]
) -> None:
    octahedra, all_sites = host_lattice(1), landscape(1)
    assert labelled_like(octahedra, all_sites).labels == octahedra.labels
    with pytest.raises(CalculationError, match="from the nearest site of the reference crystal"):
        labelled_like(all_sites, octahedra)  # which has no tetrahedra
