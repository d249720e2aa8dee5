"""Sites of the mobile ion from a BVSE landscape: the ions where they are, and empty sites at the other minima.

The landscape is that of one ion in the framework, so that its minima are all sites that an ion could take, octahedral
and tetrahedral ones alike; its passes say which of them are neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.labels import wyckoff_labels
from lzc_flows.hopping.sites import IonSites, mobile_atoms
from lzc_flows.hopping.symmetry import SYMPREC_ANGSTROM, SiteSymmetry, site_symmetry
from lzc_flows.transport.basins import Basins, basins
from lzc_flows.transport.bvse import MAX_ENERGY_EV, EnergyField
from lzc_flows.transport.components import Vector
from lzc_flows.transport.sites import MobileSites, mobile_sites

SAME_SITE_ANGSTROM = 1.0
"""A minimum nearer than this to an ion is that ion's site."""

FARTHEST_ANGSTROM = 1.5
"""How far an ion may lie from its minimum, the nearest one."""

CEILING_EV = 3.0
"""Passes higher than this above the lowest minimum are no hops."""

_EQUAL_EV = 1e-6

Pair = tuple[int, int, Vector]


@dataclass(frozen=True)
class _Pass:
    """The pass between two sites: its energy, and its fractional position as seen from the first."""

    level_ev: float
    place: NDArray[np.float64]


def landscape_sites(
    structure: Structure, field: EnergyField, mobile: str, symprec_angstrom: float = SYMPREC_ANGSTROM
) -> IonSites:
    """Return the ions' sites and the empty ones of a landscape, and the neighbours between which a pass lies.

    Minima of the grid break the crystal's symmetry by up to the distance of its nodes: empty sites are moved to the
    mean of their images, and every pass counts for all its images. Passes more than 3 eV above the lowest minimum are
    left out, and so are those that lie higher than both passes of a way over a third site: where two basins touch
    beside a third one is no saddle, and the way over the third site is two elementary hops.

    Parameters
    ----------
    structure
        The ordered crystal of the field.
    field
        Its landscape, such as `lzc_flows.jobs.bvse.bvse_field` computes.
    mobile
        Symbol of the mobile element.
    symprec_angstrom
        Tolerance in Å with which the crystal's space group is found.

    Raises
    ------
    InputError
        As `lzc_flows.hopping.sites.mobile_atoms` and `lzc_flows.transport.basins.basins`, or a field of another cell.
    CalculationError
        An ion more than 1.5 Å from all minima, two ions at one minimum, or minima without the crystal's symmetry.
    """
    if not np.allclose(field.lattice_angstrom, structure.lattice.matrix, rtol=0, atol=1e-6):
        raise InputError("landscape and crystal have different cells: the field of this crystal is needed")
    ions = mobile_atoms(structure, mobile)
    found = basins(field.energies_ev, field.lattice_angstrom, ceiling_ev=MAX_ENERGY_EV)
    minima = mobile_sites(found)
    of_minimum, fractional = _sites(structure, ions, minima)
    symmetry = site_symmetry(structure, fractional, symprec_angstrom)
    fractional[len(ions) :] = symmetry.symmetrised(fractional)[len(ions) :]
    passes = _elementary(_symmetric(_passes(field, found, minima, of_minimum, fractional), symmetry))
    pairs = sorted(passes)
    return IonSites(
        structure=structure,
        mobile=mobile,
        atoms=ions,
        fractional=fractional,
        labels=wyckoff_labels(structure, mobile, fractional[len(ions) :], symprec_angstrom),
        pairs=np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2),
        translations=np.array([pair[2] for pair in pairs], dtype=np.int64).reshape(-1, 3),
        bottlenecks=np.array([passes[pair].place for pair in pairs]).reshape(-1, 3),
    )


def _sites(
    structure: Structure, ions: tuple[int, ...], minima: MobileSites
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the site of each minimum, and the sites' fractional coordinates."""
    graph = minima.graph
    at = structure.frac_coords[list(ions)]
    distances = structure.lattice.get_all_distances(at, minima.fractional)
    nearest = distances.argmin(axis=1)
    worst = int(distances.min(axis=1).argmax())
    if distances[worst].min() > FARTHEST_ANGSTROM:
        raise CalculationError(
            f"{structure[ions[worst]].species_string} (atom {ions[worst]}) lies {distances[worst].min():.2f} Å from "
            f"the nearest minimum of its BVSE landscape; up to {FARTHEST_ANGSTROM} Å is allowed"
        )
    shared = np.flatnonzero(np.bincount(nearest) > 1)
    if len(shared):
        first, second = (ions[number] for number in np.flatnonzero(nearest == shared[0])[:2])
        raise CalculationError(f"atoms {first} and {second} share one minimum of their BVSE landscape")
    of_minimum = np.where(distances.min(axis=0) < SAME_SITE_ANGSTROM, distances.argmin(axis=0), -1)
    of_minimum[nearest] = np.arange(len(ions))
    low = graph.energies_ev <= graph.energies_ev.min() + CEILING_EV
    empty = np.flatnonzero((of_minimum < 0) & low)
    of_minimum[empty] = len(ions) + np.arange(len(empty))
    return of_minimum, np.concatenate([at, minima.fractional[empty]])


def _passes(
    field: EnergyField,
    found: Basins,
    minima: MobileSites,
    of_minimum: NDArray[np.int64],
    fractional: NDArray[np.float64],
) -> dict[Pair, _Pass]:
    """Return the lowest pass between every two sites."""
    graph = minima.graph
    places = _places(field, found)
    ceiling = graph.energies_ev.min() + CEILING_EV
    lowest: dict[Pair, _Pass] = {}
    for edge in np.argsort(graph.levels_ev, kind="stable").tolist():
        level = float(graph.levels_ev[edge])
        ends = graph.sites[edge]
        first, second = of_minimum[ends].tolist()
        if level > ceiling or min(first, second) < 0:
            continue
        # the way between the minima, taken between the sites' own positions
        way = minima.fractional[ends[1]] + graph.translations[edge] - minima.fractional[ends[0]]
        start = minima.fractional[ends[0]] + np.rint(fractional[first] - minima.fractional[ends[0]])
        x, y, z = np.rint(start + way - fractional[second]).astype(int).tolist()
        pair = min((first, second, (x, y, z)), (second, first, (-x, -y, -z)))
        if (first, 0, 0, 0) == (second, x, y, z) or pair in lowest:
            continue
        middle = (fractional[pair[0]] + fractional[pair[1]] + pair[2]) / 2
        # passes that symmetry makes equal have one level: this pair's is the one between its sites
        images = places[level] - middle
        images -= np.rint(images)
        nearest = np.linalg.norm(images @ field.lattice_angstrom, axis=1).argmin()
        lowest[pair] = _Pass(level, middle + images[nearest])
    return lowest


def _places(field: EnergyField, found: Basins) -> dict[float, NDArray[np.float64]]:
    """Return the fractional positions, shape (n, 3), of the passes at each level: the higher of their two nodes."""
    energies = field.energies_ev.ravel()[found.passes]
    highest = found.passes[np.arange(len(energies)), energies.argmax(axis=1)]
    places = np.stack(np.unravel_index(highest, found.shape), axis=1) / found.shape
    at: dict[float, list[NDArray[np.float64]]] = defaultdict(list)
    for level, place in zip(found.graph.levels_ev.tolist(), places, strict=True):
        at[level].append(place)
    return {level: np.array(rows) for level, rows in at.items()}


def _symmetric(passes: dict[Pair, _Pass], symmetry: SiteSymmetry) -> dict[Pair, _Pass]:
    """Return the passes with all their images; of two between the same sites, the lower."""
    full: dict[Pair, _Pass] = {}
    for pair in sorted(passes, key=lambda pair: (passes[pair].level_ev, pair)):
        if pair in full:
            continue
        here = passes[pair]
        for operation in range(len(symmetry)):
            first, second, (x, y, z) = symmetry.image(operation, *pair)
            place = symmetry.moved(operation, here.place) - symmetry.cells[operation, pair[0]]
            seen, back = (first, second, (x, y, z)), (second, first, (-x, -y, -z))
            if min(seen, back) == back:
                place = place - (x, y, z)
            full.setdefault(min(seen, back), _Pass(here.level_ev, place))
    return full


def _elementary(passes: dict[Pair, _Pass]) -> dict[Pair, _Pass]:
    """Return the passes that no way over one other site undercuts."""
    ways: dict[int, dict[tuple[int, Vector], float]] = defaultdict(dict)
    for (first, second, (x, y, z)), here in passes.items():
        ways[first][second, (x, y, z)] = here.level_ev
        ways[second][first, (-x, -y, -z)] = here.level_ev

    def undercut(pair: Pair, level_ev: float) -> bool:
        first, second, (x, y, z) = pair
        for (third, (u, v, w)), up in ways[first].items():
            down = ways[third].get((second, (x - u, y - v, z - w)), np.inf)
            if max(up, down) < level_ev - _EQUAL_EV:
                return True
        return False

    return {pair: here for pair, here in passes.items() if not undercut(pair, here.level_ev)}
