"""Sites of the mobile ion from the lattice of a labelled host: its occupied sites and its vacant ones.

Which sites are neighbours is read off the ideal host, so that it is the same for every relaxed or doped structure of
it. In the hcp anion lattice of LZC, octahedra that share faces lie 3.0 Å apart, those that share edges 3.4–3.8 Å, those
that share corners 4.6 Å and more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from lzc_flows.crystal.host import WYCKOFF, Host
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.sites import IonSites, element_of, mobile_atoms
from lzc_flows.transport.components import Vector

REACH_ANGSTROM = 4.5
"""Longest distance of neighbouring sites: between octahedra that share an edge and those that share a corner."""

CLEARANCE_ANGSTROM = 1.0
"""Sites are no neighbours if another site, or an atom, lies nearer than this to the straight line between them."""

MATCH_ANGSTROM = 1.5
"""How far an atom may lie from its site of the host: half the distance of two octahedra that share a face."""

_SHAPE = 0.1
"""How far lengths, and the cosines of angles, of a cell may differ from those of the host's supercell, relative."""


def fitting_supercell(host: Host, structure: Structure) -> Host:
    """Return the host's supercell that has the cell of a structure, strained at most, and its framework atoms.

    Raises
    ------
    InputError
        The cell is no supercell of the host's, or holds more or fewer framework atoms.
    """
    cell, unit = structure.lattice, host.structure.lattice
    repeats = np.maximum(np.rint(np.divide(cell.abc, unit.abc)), 1).astype(int)
    strain = np.divide(cell.abc, repeats * unit.abc) - 1
    shear = np.cos(np.radians(cell.angles)) - np.cos(np.radians(unit.angles))
    if max(abs(strain).max(), abs(shear).max()) > _SHAPE:
        edges = " × ".join(f"{length:.2f}" for length in cell.abc)
        raise InputError(
            f"cell of {edges} Å: a supercell of host {host.name}, its edges within {_SHAPE:.0%} of multiples of "
            f"{' × '.join(f'{length:.2f}' for length in unit.abc)} Å and its angles kept, is allowed"
        )
    tall = host.supercell(repeats.tolist())
    mobile = element_of(host.structure, _ions(host)[0])
    own, expected = (
        sum(element_of(crystal, number) != mobile for number in range(len(crystal)))
        for crystal in (structure, tall.structure)
    )
    if own != expected:
        raise InputError(
            f"{own} atoms other than {mobile}: host {host.name} repeated {'×'.join(map(str, repeats))} has {expected}"
        )
    return tall


def host_sites(structure: Structure, host: Host) -> IonSites:
    """Return the sites of a structure's mobile ion from those of its host.

    Parameters
    ----------
    structure
        An ordered structure, relaxed or not, with dopants on the host's sites, some ions on its vacant sites and some
        missing.
    host
        The host in the supercell of the structure, as `fitting_supercell` returns it.

    Raises
    ------
    InputError
        As `lzc_flows.hopping.sites.mobile_atoms`.
    CalculationError
        An atom farther than 1.5 Å from all its sites of the host, or two on one.
    """
    lattice, ideal = structure.lattice, host.with_vacant
    mobile = element_of(host.structure, _ions(host)[0])
    ions = mobile_atoms(structure, mobile)
    own_sites = np.array([*_ions(host), *range(len(host.structure), len(ideal))])
    frame_sites = np.setdiff1d(np.arange(len(ideal)), own_sites)
    frame = np.setdiff1d(np.arange(len(structure)), ions)

    drift = np.zeros(3)
    for _ in range(2):  # the second time with the nearest sites of the atoms without their drift
        at = structure.frac_coords[frame] - drift
        places = _assigned(at, ideal.frac_coords[frame_sites], lattice, structure, frame)
        apart = structure.frac_coords[frame] - ideal.frac_coords[frame_sites[places]]
        drift = drift + _minimum(apart - drift).mean(axis=0)
    taken = own_sites[
        _assigned(structure.frac_coords[list(ions)] - drift, ideal.frac_coords[own_sites], lattice, structure, ions)
    ]
    order = np.concatenate([taken, np.setdiff1d(own_sites, taken)])
    fractional = ideal.frac_coords[order] + drift
    fractional[: len(ions)] = structure.frac_coords[list(ions)]
    # the cell in which each site now lies, seen from the host's
    cells = np.rint(fractional - drift - ideal.frac_coords[order]).astype(int)
    pairs, translations = _neighbours(ideal, order)
    translations = translations - cells[pairs[:, 1]] + cells[pairs[:, 0]]
    return IonSites(
        structure=structure,
        mobile=mobile,
        atoms=ions,
        fractional=fractional,
        labels=tuple(str(ideal[number].properties[WYCKOFF]) for number in order),
        pairs=pairs,
        translations=translations,
        bottlenecks=(fractional[pairs[:, 0]] + fractional[pairs[:, 1]] + translations) / 2,
    )


def _ions(host: Host) -> list[int]:
    """Return the occupied sites of the host that hold the mobile ion."""
    return [number for number, site in enumerate(host.structure) if str(site.specie) == host.mobile]


def _minimum(fractional: NDArray[np.float64]) -> NDArray[np.float64]:
    return fractional - np.rint(fractional)


def _assigned(
    fractional: NDArray[np.float64],
    sites: NDArray[np.float64],
    lattice: Lattice,
    structure: Structure,
    atoms: tuple[int, ...] | NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the nearest site of each atom, each site once."""
    distances = lattice.get_all_distances(fractional, sites)
    nearest = distances.argmin(axis=1)
    worst = int(distances.min(axis=1).argmax())
    if distances[worst].min() > MATCH_ANGSTROM:
        raise CalculationError(
            f"{structure[atoms[worst]].species_string} (atom {atoms[worst]}) lies {distances[worst].min():.2f} Å from "
            f"the nearest site of the host; up to {MATCH_ANGSTROM} Å is allowed"
        )
    shared = np.flatnonzero(np.bincount(nearest) > 1)
    if len(shared):
        first, second = np.flatnonzero(nearest == shared[0])[:2]
        raise CalculationError(
            f"{structure[atoms[first]].species_string} (atom {atoms[first]}) and "
            f"{structure[atoms[second]].species_string} (atom {atoms[second]}) share one site of the host"
        )
    return nearest


def _neighbours(ideal: Structure, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the neighbours among some sites, shape (m, 2), and the cell of the second, shape (m, 3)."""
    number = np.full(len(ideal), -1)
    number[order] = np.arange(len(order))
    listed = ideal.get_neighbor_list(REACH_ANGSTROM, sites=[ideal[site] for site in order])
    # a site that is named finds itself too
    centres, points, images = (column[listed[3] > CLEARANCE_ANGSTROM].astype(int) for column in listed[:3])
    ways = (ideal.frac_coords[points] + images - ideal.frac_coords[order][centres]) @ ideal.lattice.matrix
    found: set[tuple[int, int, Vector]] = set()
    for centre in range(len(order)):
        around = np.flatnonzero(centres == centre)
        free = around[(number[points[around]] >= 0) & ~_blocked(ways[around])]
        for second, (x, y, z) in zip(number[points[free]].tolist(), images[free].tolist(), strict=True):
            # each pair is met from both ends
            found.add(min((centre, second, (x, y, z)), (second, centre, (-x, -y, -z))))
    pairs = sorted(found)
    return (
        np.array([pair[:2] for pair in pairs], dtype=np.int64).reshape(-1, 2),
        np.array([pair[2] for pair in pairs], dtype=np.int64).reshape(-1, 3),
    )


def _blocked(ways: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether another end lies by the straight way to each end; ways are Cartesian, shape (n, 3), in Å."""
    along = np.clip((ways @ ways.T) / (ways**2).sum(axis=1)[:, None], 0, 1)
    apart = np.linalg.norm(ways[None] - along[..., None] * ways[:, None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return (apart < CLEARANCE_ANGSTROM).any(axis=1)
