"""Find what sets the BVSE barriers of Rietveld LZC and LZC-10TF, and whether a structure gives the published 0.45 eV.

Run ``python bench/bvse_rietveld.py`` (about a minute) after bench/bvse_conventions.py, whose conventions, crystals and
page it shares. All in the default convention unless a table says otherwise.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
from pymatgen.core import Composition, Lattice, Species, Structure

from bvse_conventions import (
    CHARGES,
    CUTOFF_ANGSTROM,
    DEFAULT,
    DIMENSIONS,
    PREFACTORS,
    PUBLISHED_EV,
    RADII,
    REFERENCES,
    TOLERANCE_EV,
    barriers,
    dimensions,
    fill,
    markdown,
    with_species,
    zero_pressure_factor,
)
from lzc_flows.crystal.host import WYCKOFF, ideal_host, rietveld_host
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import energy_field
from lzc_flows.transport.conventions import BVSEConvention, pair_energy
from lzc_flows.transport.percolation import Target, percolation

FINE_ANGSTROM = 0.1
COARSE_ANGSTROM = 0.2  # for supercells
SEED = 20261122
DRAWS = 20
CATIONS = 12  # in a 2×2×1 cell, one for each column of octahedra along c
TI_F_ANGSTROM = 1.99  # EXAFS of LZC-10TF, Supplementary Table 4
LITHIUM, ZIRCONIUM, CHLORIDE = Species("Li", 1), Species("Zr", 4), Species("Cl", -1)
ROCK_SALTS = {"LiF": 4.027, "LiCl": 5.14, "LiBr": 5.50, "NaCl": 5.64}
"""Lattice parameters at room temperature, Å."""
CHANGES = ("cell", "anion positions", "cation positions", "cation occupancies", "Ti", "F")
"""What tells LZC-10TF from LZC."""


def published(crystal: str) -> Structure:
    """Return a crystal of Supplementary Table 3 or 2."""
    return rietveld_host(crystal).structure


# ---------------------------------------------------------------- the screening factor of zero pressure


def pressure_table() -> str:
    """Return f at zero pressure by prefactor, charges and radii."""
    crystals = {crystal: published(crystal) for crystal in PUBLISHED_EV} | {"ideal LZC": ideal_host().structure}
    for salt, edge in ROCK_SALTS.items():
        ions = [f"{salt[:2]}+", f"{salt[2:]}-"]
        crystals[salt] = Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), ions, [[0, 0, 0], [0.5, 0.5, 0.5]])
    rows = [["p", "Q", "radii", *crystals]]
    for prefactor, charges, radii in itertools.product(PREFACTORS, CHARGES, RADII):
        convention = BVSEConvention("trial", prefactor, charges, 0.74, radii, "bench")
        factors = [f"{zero_pressure_factor(crystal, convention):.3f}" for crystal in crystals.values()]
        rows.append(["½" if prefactor == 0.5 else "1", charges, radii, *factors])
    return markdown(rows)


# ---------------------------------------------------------------- parts of the barriers


def bottleneck(structure: Structure, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Return the fractional positions of a target's bottleneck and of its component's lowest site."""
    field = energy_field(structure, resolution_angstrom=FINE_ANGSTROM, convention=DEFAULT)
    found = basins(field.energies_ev, field.lattice_angstrom)
    threshold = percolation(found.graph).thresholds[target]
    nodes = found.passes[threshold.bottleneck]
    highest = nodes[np.argmax(field.energies_ev.ravel()[nodes])]
    lowest = found.minima[threshold.lowest_site]
    top, low = (np.array(np.unravel_index(node, field.energies_ev.shape)) for node in (highest, lowest))
    return top / field.energies_ev.shape, low / field.energies_ev.shape


def contributions(structure: Structure, fractional: np.ndarray) -> dict[str, float]:
    """Return the parts of the site energy (eV) at a position: of the anions, and of the cations by label."""
    centre = structure.lattice.get_cartesian_coords(fractional)
    parts: dict[str, float] = defaultdict(float)
    for neighbour in structure.get_sites_in_sphere(centre, CUTOFF_ANGSTROM):
        for ion, occupancy in neighbour.species.items():
            if ion.symbol != "Li":
                energy = pair_energy(LITHIUM, ion, DEFAULT, structure.composition)
                name = "Cl, F" if ion.oxi_state == -1 else f"Zr, Ti on {neighbour.properties[WYCKOFF]}"
                parts[name] += occupancy * float(energy(np.array([neighbour.nn_distance]))[0])
    return parts


def parts_table() -> str:
    """Return what makes up the barriers along c and in the a–b plane."""
    columns = {}
    for crystal, target in itertools.product(PUBLISHED_EV, ("c", "ab")):
        structure = published(crystal)
        top, low = (contributions(structure, place) for place in bottleneck(structure, target))
        columns[f"{crystal}, {target}"] = {name: top[name] - low[name] for name in sorted(top)}
    names = list(next(iter(columns.values())))
    rows = [["eV", *columns]]
    rows += [[name, *(f"{column[name]:+.2f}" for column in columns.values())] for name in names]
    rows.append(["**sum**", *(f"**{sum(column.values()):.2f}**" for column in columns.values())])
    return markdown(rows)


def numerics_table() -> str:
    """Return the barriers at several interaction cutoffs and grid steps."""
    rows = [["cutoff", "grid step", *PUBLISHED_EV]]
    cutoffs = [(cutoff, FINE_ANGSTROM) for cutoff in (6.0, 7.0, 8.0, 12.0)]
    steps = [(CUTOFF_ANGSTROM, step) for step in (0.25, 0.2, FINE_ANGSTROM, 0.05)]
    for cutoff, step in cutoffs + steps:
        found = [barriers(published(crystal), DEFAULT, step, cutoff) for crystal in PUBLISHED_EV]
        rows.append([f"{cutoff:g} Å", f"{step:g} Å", *(dimensions(both["cell"]) for both in found)])
    return markdown(rows)


# ---------------------------------------------------------------- structures between and beside the published ones


def hybrid(changes: Iterable[str]) -> Structure:
    """Return LZC with some of its `CHANGES` to LZC-10TF made."""
    old, new = (published(crystal) for crystal in PUBLISHED_EV)
    species, coordinates = [], []
    for before, after in zip(old, new, strict=True):
        is_anion = CHLORIDE in before.species
        moved = f"{'anion' if is_anion else 'cation'} positions"
        coordinates.append((after if moved in changes else before).frac_coords)
        if LITHIUM in before.species:
            species.append(before.species)
        elif is_anion:
            species.append(after.species if "F" in changes else before.species)
        else:
            total = (after if "cation occupancies" in changes else before).species.num_atoms
            shares = after.species if "Ti" in changes else Composition({ZIRCONIUM: 1.0})
            species.append(shares / shares.num_atoms * total)
    lattice = (new if "cell" in changes else old).lattice
    return Structure(lattice, species, coordinates, site_properties={WYCKOFF: old.site_properties[WYCKOFF]})


def hybrid_table() -> str:
    """Return the barriers of LZC with one change, with all up to it, and of LZC-10TF with one taken back."""
    rows = [["change", "LZC with it alone", "LZC with all down to it", "LZC-10TF without it"]]
    for number, change in enumerate(CHANGES, start=1):
        sets = [change], CHANGES[:number], [other for other in CHANGES if other != change]
        rows.append([change, *(dimensions(barriers(hybrid(made), DEFAULT, FINE_ANGSTROM)["cell"]) for made in sets)])
    return markdown(rows)


def doped_ideal(fluorine: int, bond_angstrom: float | None) -> Structure:
    """Return ideal LZC, 2×2×1, with Ti on a 2d site and F on its nearest Cl sites, or at a given Ti–F distance."""
    structure = ideal_host().supercell((2, 2, 1)).structure.copy()
    titanium = structure.site_properties[WYCKOFF].index("2d")
    structure.replace(titanium, "Ti3+", properties=structure[titanium].properties)
    centre = structure[titanium].coords
    near = [site for site in structure.get_neighbors(structure[titanium], 3.2) if site.species_string == "Cl-"]
    for site in sorted(near, key=lambda site: (round(site.nn_distance, 3), site.index))[:fluorine]:
        stretch = 1.0 if bond_angstrom is None else bond_angstrom / site.nn_distance
        coordinates = centre + (site.coords - centre) * stretch
        structure.replace(site.index, "F-", coordinates, coords_are_cartesian=True, properties=site.properties)
    return structure


def scaled(crystal: str, scale: float) -> Structure:
    """Return a published crystal with its lengths scaled, fractional coordinates kept."""
    structure = published(crystal).copy()
    structure.lattice = Lattice(structure.lattice.matrix * scale)
    return structure


def beside_table() -> str:
    """Return the barriers of ordered and of stretched crystals."""
    rows = [["crystal", "from the cell's minimum", "from the component's"]]

    def add(name: str, structure: Structure, resolution: float) -> None:
        found = barriers(structure, DEFAULT, resolution)
        rows.append([name, *(dimensions(found[reference]) for reference in REFERENCES)])

    add("ideal LZC (Zr on 1a and 2d)", ideal_host().structure, FINE_ANGSTROM)
    add("ideal LZC 2×2×1, one Ti on 2d", doped_ideal(0, None), FINE_ANGSTROM)
    for fluorine in (3, 6):
        name = f"the same, {fluorine} F around Ti"
        add(f"{name}, on Cl sites", doped_ideal(fluorine, None), FINE_ANGSTROM)
        add(f"{name}, {TI_F_ANGSTROM} Å from it", doped_ideal(fluorine, TI_F_ANGSTROM), FINE_ANGSTROM)
    for scale in (0.98, 1.02, 1.04, 1.06):
        add(f"LZC-10TF, lengths × {scale}", scaled("lzc-10tf", scale), FINE_ANGSTROM)
    return markdown(rows)


# ---------------------------------------------------------------- arrangements


def drawn_each(weights: np.ndarray, _columns: list[list[int]], generator: np.random.Generator) -> set[int]:
    """Return the sites with a cation, each drawn by itself, given that there are `CATIONS`."""
    while True:
        occupied = set(np.flatnonzero(generator.random(len(weights)) < weights).tolist())
        if len(occupied) == CATIONS:
            return occupied


def drawn_by_column(weights: np.ndarray, columns: list[list[int]], generator: np.random.Generator) -> set[int]:
    """Return the sites with a cation, one of the two in each column along c: none shares a face with another."""
    shares = [weights[places] / weights[places].sum() for places in columns]
    return {int(generator.choice(places, p=share)) for places, share in zip(columns, shares, strict=True)}


def arrangement(crystal: str, draw: Callable, generator: np.random.Generator) -> Structure:
    """Return a 2×2×1 cell with ions drawn by the published occupancies; Li, left out of the field, stays average."""
    structure = rietveld_host(crystal).supercell((2, 2, 1)).structure
    cations = [i for i, site in enumerate(structure) if max(ion.oxi_state for ion in site.species) > 1]
    weights = np.array([structure[i].species.num_atoms for i in cations])
    in_column: dict[tuple[int, ...], list[int]] = {}
    for place, i in enumerate(cations):
        column = tuple(np.round(structure[i].frac_coords[:2] * 6).astype(int) % 6)  # columns stand on sixths
        in_column.setdefault(column, []).append(place)
    occupied = {cations[place] for place in draw(weights, list(in_column.values()), generator)}
    species = []
    for i, content in enumerate(site.species for site in structure):
        if i in cations and i not in occupied:
            species.append(Composition())
        elif LITHIUM in content:
            species.append(content)
        else:
            ions = list(content)
            shares = np.array([content[ion] for ion in ions]) / content.num_atoms
            species.append(Composition({ions[generator.choice(len(ions), p=shares)]: 1.0}))
    return with_species(structure, species)


def arrangements_table() -> str:
    """Return medians and ranges of the barriers of drawn arrangements, and how many pairs of draws fit by chance."""
    generator = np.random.default_rng(SEED)
    target = np.array(list(PUBLISHED_EV.values()))
    rows = [["drawn", "barrier", *PUBLISHED_EV, "pairs of draws with both"]]
    for name, draw in {"each site by itself": drawn_each, "one cation per column": drawn_by_column}.items():
        found = [
            [barriers(arrangement(crystal, draw, generator), DEFAULT, COARSE_ANGSTROM) for _ in range(DRAWS)]
            for crystal in PUBLISHED_EV
        ]
        for reference, dimension in itertools.product(REFERENCES, DIMENSIONS):
            values = np.array([[b[reference][dimension] for b in drawn] for drawn in found])
            close = (np.abs(values - target[:, None]) <= TOLERANCE_EV).mean(axis=1).prod()
            cells = [f"{np.median(v):.2f} ({v.min():.2f}–{v.max():.2f})" for v in values]
            rows.append([name, f"{dimension.upper()}, {reference}", *cells, f"{100 * close:.0f} %"])
    return markdown(rows)


def main() -> None:
    tables = {
        "pressure": pressure_table,
        "parts": parts_table,
        "numerics": numerics_table,
        "hybrids": hybrid_table,
        "beside": beside_table,
        "arrangements": arrangements_table,
    }
    for name, table in tables.items():
        start = time.perf_counter()
        text = table()
        fill(name, text)
        print(f"{name}, {time.perf_counter() - start:.0f} s\n\n{text}\n")


if __name__ == "__main__":
    main()
