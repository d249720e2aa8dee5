"""What a picture of an energy landscape shows, before it is known with what it is drawn.

Surfaces, atoms and migration paths inside one cell, in fractional coordinates, with their colours. The surfaces
and the paths have the colours of Okabe and Ito, which colour-blind people tell apart; atoms have those of Jmol.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii
from ase.data.colors import jmol_colors
from matplotlib.colors import to_hex
from pymatgen.core import Species

from lzc_flows.errors import InputError
from lzc_flows.report.isosurface import Isosurface, isosurface, simplified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import PeriodicSite, Structure

    from lzc_flows.transport.bvse import EnergyField
    from lzc_flows.transport.paths import MigrationPath

SURFACE_COLORS = ("#0072B2", "#F0E442", "#009E73", "#56B4E9")
"""Blue, yellow, bluish green, sky blue: one for each level, the highest first."""

PATH_COLORS = ("#D55E00", "#000000", "#CC79A7", "#E69F00")
"""Vermilion, black, reddish purple, orange: one for each path, and from the start again."""

CORNERS = np.array(list(itertools.product((0.0, 1.0), repeat=3)))
"""Fractional coordinates of the corners of the cell, shape (8, 3)."""

EDGES = tuple((i, j) for i, j in itertools.combinations(range(8), 2) if np.abs(CORNERS[i] - CORNERS[j]).sum() == 1)
"""Pairs of `CORNERS` that the twelve edges of the cell join."""

_ATOM_SCALE = 0.3  # of the covalent radius, so that the surfaces between the atoms stay in sight
_TRANSLUCENT = 0.30  # the surfaces that have others and the paths inside
_ON_FACE = 1e-6  # fractional distance below which a path does not cross a face
_AT_FACE = 1e-3  # fractional distance below which an atom lies on a face


@dataclass(frozen=True, eq=False)
class LevelSurface:
    """The iso-surface of one level (eV above the minimum of the field)."""

    level_ev: float
    surface: Isosurface
    color: str
    opacity: float

    @property
    def label(self) -> str:
        """Text of the legend."""
        return f"{self.level_ev:.2f} eV"


@dataclass(frozen=True, eq=False)
class Atoms:
    """The atoms of one element, those on a face of the cell repeated on the opposite one.

    Attributes
    ----------
    element
        Symbol; a mixed site counts to its majority species.
    is_mobile
        Whether this is the mobile element, which the field was computed without.
    fractional
        Shape (n, 3), between 0 and 1.
    occupants
        Species and occupancies of each atom's site, such as ``"Cl- 0.957, F- 0.043"``.
    """

    element: str
    is_mobile: bool
    fractional: NDArray[np.float64]
    occupants: tuple[str, ...]
    color: str
    radius_angstrom: float


@dataclass(frozen=True, eq=False)
class WrappedPath:
    """A path cut at the faces of the cell and wrapped into it.

    Attributes
    ----------
    fractional
        Shape (q, 3), between 0 and 1; a row of NaN parts the pieces.
    energies_ev, distances_angstrom
        Shape (q,), of the same points.
    """

    label: str
    fractional: NDArray[np.float64]
    energies_ev: NDArray[np.float64]
    distances_angstrom: NDArray[np.float64]
    color: str


@dataclass(frozen=True, eq=False)
class Scene:
    """All that is drawn in one cell; the rows of `lattice_angstrom` (3, 3) are the lattice vectors in Å.

    `mobile` is the mobile ion as it is printed, such as "Li⁺".
    """

    lattice_angstrom: NDArray[np.float64]
    mobile: str
    surfaces: tuple[LevelSurface, ...]
    atoms: tuple[Atoms, ...]
    paths: tuple[WrappedPath, ...]


def landscape_scene(
    field: EnergyField,
    structure: Structure,
    levels_ev: Sequence[float],
    paths: Mapping[str, MigrationPath],
    vertices: int,
) -> Scene:
    """Collect the surfaces, the atoms and the paths of a landscape.

    Parameters
    ----------
    field
        The energies.
    structure
        The crystal that the field was computed for.
    levels_ev
        Energies of the surfaces above the lowest node, eV; each once, in any order.
    paths
        Migration paths by label.
    vertices
        About how many vertices all surfaces together may have; they are simplified to it.

    Raises
    ------
    InputError
        More levels than colours, or a level that the field does not cross.
    """
    levels = sorted(set(levels_ev))
    if not 1 <= len(levels) <= len(SURFACE_COLORS):
        raise InputError(f"{len(levels)} iso-surface levels: 1 to {len(SURFACE_COLORS)} can be told apart")
    lowest, highest = float(field.energies_ev.min()), float(field.energies_ev.max())
    for level in levels:
        if not 0 < level < highest - lowest:
            raise InputError(
                f"iso-surface level {level:g} eV: allowed is between 0 and {highest - lowest:.3g} eV above the minimum"
            )
    surfaces = []
    for level, color in zip(levels, reversed(SURFACE_COLORS[: len(levels)]), strict=True):
        full = isosurface(field, lowest + level)
        surface = simplified(full, field.lattice_angstrom, vertices // len(levels))
        opacity = 1.0 if level < levels[-1] and level == levels[0] else _TRANSLUCENT
        surfaces.append(LevelSurface(level, surface, color, opacity))
    return Scene(
        field.lattice_angstrom,
        Species.from_str(field.mobile).to_unicode_string(),
        tuple(surfaces),
        _atoms(structure, Species.from_str(field.mobile).symbol),
        tuple(
            _wrap(label, path, color)
            for (label, path), color in zip(paths.items(), itertools.cycle(PATH_COLORS), strict=False)
        ),
    )


def structure_scene(structure: Structure, mobile: str) -> Scene:
    """Collect the atoms of a crystal, without any landscape; `mobile` is an ion such as "Li+"."""
    ion = Species.from_str(mobile)
    return Scene(structure.lattice.matrix, ion.to_unicode_string(), (), _atoms(structure, ion.symbol), ())


def _atoms(structure: Structure, mobile: str) -> tuple[Atoms, ...]:
    sites: dict[str, list[PeriodicSite]] = defaultdict(list)
    for site in structure:
        sites[_majority_element(site)].append(site)
    groups = []
    for element in sorted(sites, key=lambda symbol: (symbol == mobile, symbol)):
        number = Species(element).Z
        images = [(image, _occupants(site)) for site in sites[element] for image in _images(site.frac_coords)]
        groups.append(
            Atoms(
                element,
                element == mobile,
                np.array([position for position, _ in images]),
                tuple(occupants for _, occupants in images),
                to_hex(jmol_colors[number]),
                _ATOM_SCALE * float(covalent_radii[number]),
            )
        )
    return tuple(groups)


def _majority_element(site: PeriodicSite) -> str:
    species, _ = min(site.species.items(), key=lambda item: (-item[1], item[0].symbol))
    return str(species.symbol)


def _occupants(site: PeriodicSite) -> str:
    return ", ".join(f"{species} {occupancy:.3g}" for species, occupancy in sorted(site.species.items()))


def _images(fractional: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the places of an atom in the closed cell: a face, an edge or a corner has an opposite one."""
    wrapped = fractional - np.floor(fractional + _AT_FACE)
    shifts = [(0.0, 1.0) if place < _AT_FACE else (0.0,) for place in wrapped]
    return [np.clip(wrapped + shift, 0.0, 1.0) for shift in itertools.product(*shifts)]


def _wrap(label: str, path: MigrationPath, color: str) -> WrappedPath:
    points = np.column_stack([path.fractional, path.energies_ev, path.distances_angstrom])
    pieces: list[NDArray[np.float64]] = []
    home = None
    for start, end in itertools.pairwise(points):
        cuts = [0.0, *_crossings(start[:3], end[:3]), 1.0]
        for first, last in itertools.pairwise(cuts):
            piece = np.array([start + cut * (end - start) for cut in (first, last)])
            # a hair inwards, so that a path along a face does not flicker between the two cells
            cell = np.floor(piece[:, :3].mean(axis=0) + _ON_FACE)
            piece[:, :3] -= cell
            if home is not None and np.array_equal(cell, home):
                pieces.append(piece[1:])
            else:
                pieces += [np.full((1, 5), math.nan), piece]
            home = cell
    wrapped = np.concatenate(pieces[1:])
    return WrappedPath(label, np.clip(wrapped[:, :3], 0.0, 1.0), wrapped[:, 3], wrapped[:, 4], color)


def _crossings(start: NDArray[np.float64], end: NDArray[np.float64]) -> list[float]:
    """Return where, as fractions of the way, a step passes through faces of the lattice's cells."""
    found = set()
    for a, b in zip(start, end, strict=True):
        low, high = min(a, b) + _ON_FACE, max(a, b) - _ON_FACE
        for face in range(math.floor(low) + 1, math.ceil(high)):
            found.add(float((face - a) / (b - a)))
    return sorted(found)
