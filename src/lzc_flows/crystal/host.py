"""Host crystals whose every site carries its Wyckoff label.

The word *label* is the Wyckoff letter with its multiplicity in the unit cell, primed where two orbits of one
letter are told apart (2d and 2d'). The three Cl orbits are all 6i, as in the source, which dopes them
together. Supercells keep the labels of the unit cell.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from fractions import Fraction
from functools import cache, cached_property, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pymatgen.core import Lattice, PeriodicSite, Species, Structure

from lzc_flows.crystal.cell import check_cell
from lzc_flows.crystal.occupancy import normalise_occupancy
from lzc_flows.errors import InputError, InputWarning

WYCKOFF = "wyckoff"
"""Name of the site property that holds the label."""

MOST_SITES = 5_000
"""Of a supercell, occupied and vacant: the electrostatic energies of so many already take minutes and several GB."""

_CIF_NAMES = ("*.cif*", "*.mcif*")  # as pymatgen has them


@dataclass(frozen=True)
class Host:
    """An undoped crystal with labelled sites.

    Attributes
    ----------
    name
        What campaigns call it.
    structure
        Occupied sites with oxidation states and the site property ``wyckoff``.
    vacant
        Vacant sites that extra mobile ions may take, written as if the mobile ion sat on them.
    mobile
        The mobile ion, such as ``Li+``.
    notes
        What was changed on the way in, for example normalised occupancies.
    """

    name: str
    structure: Structure
    vacant: tuple[PeriodicSite, ...] = ()
    mobile: str = "Li+"
    notes: tuple[str, ...] = ()

    @cached_property
    def site_counts(self) -> Counter[str]:
        """Number of occupied sites by label."""
        return Counter(self.structure.site_properties[WYCKOFF])

    @cached_property
    def species_by_label(self) -> dict[str, tuple[Species, ...]]:
        """The species found at each label, the most electropositive first."""
        found: dict[str, set[Species]] = {}
        for site in self.structure:
            found.setdefault(site.properties[WYCKOFF], set()).update(site.species)
        return {label: tuple(sorted(species)) for label, species in found.items()}

    @property
    def is_ordered(self) -> bool:
        """Whether every site holds exactly one ion."""
        return self.structure.is_ordered

    @cached_property
    def with_vacant(self) -> Structure:
        """All sites, occupied ones first, then the vacant ones as if occupied."""
        both = self.structure.copy()
        for site in self.vacant:
            both.append(site.species, site.frac_coords, properties=dict(site.properties))
        return both

    def supercell(self, repeats: Sequence[int]) -> Host:
        """Return the host repeated ``repeats`` times along a, b and c, labels kept.

        Raises
        ------
        InputError
            `repeats` is not three positive integers, or the supercell has more than `MOST_SITES`.
        """
        self.check_supercell(repeats)
        if tuple(repeats) == (1, 1, 1):
            return self
        occupied = self.structure.make_supercell(list(repeats), to_unit_cell=True, in_place=False)
        vacant: tuple[PeriodicSite, ...] = ()
        if self.vacant:
            alone = Structure.from_sites(self.vacant)
            vacant = tuple(alone.make_supercell(list(repeats), to_unit_cell=True, in_place=False))
        return Host(self.name, occupied, vacant, self.mobile, self.notes)

    def check_supercell(self, repeats: Sequence[int]) -> None:
        """Raise the `InputError` of `supercell`; no structure is built."""
        if len(repeats) != 3 or any(int(n) != n or n < 1 for n in repeats):
            raise InputError(f"supercell {list(repeats)}: three positive integers are allowed, such as [2, 2, 1]")
        sites = math.prod(repeats) * (len(self.structure) + len(self.vacant))
        if sites > MOST_SITES:
            raise InputError(
                f"supercell {list(repeats)}: {sites:,} sites, occupied and vacant; at most {MOST_SITES:,} are allowed"
            )

    def scaled(self, a_angstrom: float, c_angstrom: float) -> Host:
        """Return the same fractional coordinates in a hexagonal cell of edges a and c (Å)."""
        lattice = Lattice.hexagonal(a_angstrom, c_angstrom)
        structure = self.structure.copy()
        structure.lattice = lattice
        vacant = tuple(
            PeriodicSite(site.species, site.frac_coords, lattice, properties=dict(site.properties))
            for site in self.vacant
        )
        return Host(self.name, structure, vacant, self.mobile, self.notes)


@cache
def rietveld_host(name: str) -> Host:
    """Return the partially occupied crystal of Supplementary Table 3 (``lzc``) or 2 (``lzc-10tf``)."""
    table = _rietveld_tables()[name]
    occupancies = [entry["species"] for entry in table["sites"]]
    labels = [entry["label"] for entry in table["sites"]]
    species: list[Any] = []
    notes: list[str] = []
    for label, occupancy in zip(labels, occupancies, strict=True):
        normalised, note = normalise_occupancy(occupancy, f"{name} {label}")
        species.append(normalised)
        notes += note
    structure = Structure.from_spacegroup(
        "P-3m1",
        Lattice.hexagonal(table["a"], table["c"]),
        species,
        [_coordinates(entry) for entry in table["sites"]],
        site_properties={WYCKOFF: labels},
    )
    return Host(f"{name}-rietveld", structure, notes=tuple(notes))


@cache
def ideal_host() -> Host:
    """Return Li6Zr3Cl18 in the lattice of Supplementary Table 3: Zr on 1a and 2d, Li on 6h, 27 atoms.

    The vacant octahedra are 1b, 2d' and 6g at the coordinates of the same table; with the occupied ones
    they are the 18 octahedral sites of the hcp anion lattice.
    """
    table = _rietveld_tables()["lzc"]
    coordinates: dict[str, list[np.ndarray]] = {}
    for entry in table["sites"]:
        coordinates.setdefault(entry["label"], []).append(_coordinates(entry))
    lattice = Lattice.hexagonal(table["a"], table["c"])

    def crystal(contents: dict[str, str]) -> Structure:
        rows = [(ion, label, xyz) for label, ion in contents.items() for xyz in coordinates[label]]
        return Structure.from_spacegroup(
            "P-3m1",
            lattice,
            [ion for ion, _, _ in rows],
            [xyz for _, _, xyz in rows],
            site_properties={WYCKOFF: [label for _, label, _ in rows]},
        )

    occupied = crystal({"6h": "Li+", "1a": "Zr4+", "2d": "Zr4+", "6i": "Cl-"})
    vacant = crystal({"1b": "Li+", "2d'": "Li+", "6g": "Li+"})
    return Host("lzc", occupied, tuple(vacant))


@cache
def aimd_host() -> Host:
    """Return the 1×1×3 cell of section 1.8: 81 atoms, a = 11.20927 Å, c = 18.11472 Å."""
    tall = ideal_host().supercell((1, 1, 3)).scaled(11.20927, 18.11472)
    return Host("lzc-aimd", tall.structure, tall.vacant, tall.mobile)


BUILT_IN: dict[str, Callable[[], Host]] = {
    "lzc": ideal_host,
    "lzc-aimd": aimd_host,
    "lzc-rietveld": partial(rietveld_host, "lzc"),
    "lzc-10tf-rietveld": partial(rietveld_host, "lzc-10tf"),
}
"""Hosts that campaigns can name."""


def host_by_name(name: str) -> Host:
    """Return a built-in host; raise `InputError` naming the allowed ones."""
    try:
        return BUILT_IN[name]()
    except KeyError:
        raise InputError(f"host {name!r}: allowed are {', '.join(BUILT_IN)}, or a CIF with a label map") from None


def read_structure(path: Path) -> Structure:
    """Read a crystal from any file that pymatgen knows; of a CIF with several, the first.

    Warns with `InputWarning` where occupancies that sum to more than 1 by rounding were scaled to 1.

    Raises
    ------
    InputError
        No such file, not a crystal, or what `read_cif` or `check_cell` refuses.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen tells of every coordinate that it rounds to 1/3
            if any(fnmatch(path.name.lower(), pattern) for pattern in _CIF_NAMES):
                from pymatgen.io.cif import CifFile  # slow, and the built-in hosts need none

                from lzc_flows.crystal.cif import read_cif

                structure, notes = read_cif(CifFile.from_file(path), str(path))
            else:
                structure = Structure.from_file(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a readable crystal structure ({reason_of(error)})") from None
    check_cell(structure, str(path))
    for note in notes:
        warnings.warn(note, InputWarning, stacklevel=2)
    return structure


def reason_of(error: Exception) -> str:
    """Return the first line of what an exception says, or its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@cache
def _rietveld_tables() -> dict:
    return yaml.safe_load((files("lzc_flows.data") / "lzc_rietveld.yaml").read_text())


def _coordinates(entry: Mapping) -> np.ndarray:
    return np.array([float(Fraction(text)) for text in entry["xyz"]])
