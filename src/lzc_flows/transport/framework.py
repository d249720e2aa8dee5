"""The framework that a mobile ion sees: sites, each of a kind that says which ions are on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.crystal.occupancy import ROUNDING_TOLERANCE
from lzc_flows.errors import InputError
from lzc_flows.transport.bvse_parameters import site_ions
from lzc_flows.transport.conventions import MobileFramework

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Species, Structure

SiteKind = tuple[tuple["Species", float], ...]
"""The ions of a site with their occupancies. They share one distance to the probe, and so one radial function."""

OVERLAP_ANGSTROM = 0.5
"""Sites closer than this are alternatives of each other: their occupancies may not add up to more than one."""

_OCCUPANCY_DIGITS = 9  # sites whose occupancies differ by rounding are of one kind


@dataclass(frozen=True, eq=False)
class Framework:
    """Sites that act on the mobile ion, in one cell.

    Attributes
    ----------
    lattice_angstrom
        Shape (3, 3), Å, rows are the lattice vectors.
    fractional
        Shape (n, 3), fractional positions of the sites.
    kinds
        Shape (n,), index of each site's kind.
    ions
        The ions of every kind.
    """

    lattice_angstrom: NDArray[np.float64]
    fractional: NDArray[np.float64]
    kinds: NDArray[np.int64]
    ions: tuple[SiteKind, ...]


def framework_of(structure: Structure, mobile: Species, mobile_framework: MobileFramework) -> Framework:
    """Return the framework of a structure for one mobile ion.

    Parameters
    ----------
    structure
        Structure with oxidation states.
    mobile
        The mobile ion.
    mobile_framework
        Whether the ions of the mobile element are part of it, see `BVSEConvention`.

    Raises
    ------
    InputError
        For a missing or zero oxidation state, a mobile ion that is not in the structure, a structure without ions
        of other elements, or sites on top of each other.
    """
    ions = site_ions(structure)
    if all(entry.species != mobile for entry in ions):
        present = ", ".join(sorted({str(entry.species) for entry in ions}))
        raise InputError(f"mobile ion {mobile} is not in the structure, which holds {present}")
    if all(entry.species.symbol == mobile.symbol for entry in ions):
        raise InputError(f"the structure holds no framework ion besides {mobile.symbol}")
    _refuse_overlaps(structure)
    on_site: dict[int, list[tuple[Species, float]]] = {}
    for entry in ions:
        if mobile_framework == "average" or entry.species.symbol != mobile.symbol:
            occupancy = round(entry.occupancy, _OCCUPANCY_DIGITS)
            on_site.setdefault(entry.site, []).append((entry.species, occupancy))
    kind_of_site = {site: tuple(sorted(found, key=str)) for site, found in on_site.items()}
    kinds = sorted(set(kind_of_site.values()), key=str)
    return Framework(
        lattice_angstrom=np.array(structure.lattice.matrix, dtype=np.float64),
        fractional=np.array([structure[site].frac_coords for site in kind_of_site], dtype=np.float64),
        kinds=np.array([kinds.index(kind) for kind in kind_of_site.values()], dtype=np.int64),
        ions=tuple(kinds),
    )


def _refuse_overlaps(structure: Structure) -> None:
    """Raise InputError for the closest two sites (images included) that cannot both be there."""
    first, second, _, distances = structure.get_neighbor_list(OVERLAP_ANGSTROM)
    occupancies = np.array([site.species.num_atoms for site in structure])
    for pair in np.argsort(distances, kind="stable"):
        a, b = sorted((int(first[pair]), int(second[pair])))
        if occupancies[a] + occupancies[b] > 1 + ROUNDING_TOLERANCE:
            other = f"site {b} ({structure[b].species_string})" if b != a else "its own periodic image"
            raise InputError(
                f"site {a} ({structure[a].species_string}) and {other} are {distances[pair]:.3f} Å apart: "
                f"sites closer than {OVERLAP_ANGSTROM} Å must be partially occupied and add up to 1 at most"
            )
