"""A host from a crystal alone: its sites are labelled by symmetry."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import spglib
from pymatgen.core import PeriodicSite, Structure

from lzc_flows.crystal.charges import with_charges
from lzc_flows.crystal.host import WYCKOFF, Host, read_structure
from lzc_flows.crystal.hostspec import check_apart, vacant_orbit
from lzc_flows.documents.model import FrozenModel
from lzc_flows.errors import InputError

SYMPREC_ANGSTROM = 1e-2
"""Symmetry tolerance of the labels in Å: that of files with four decimals."""


class CrystalSource(FrozenModel):
    """A crystal file and what it does not say.

    Attributes
    ----------
    charges
        Charges of its elements, such as ``Zr=4``.
    vacant
        Vacant sites that extra mobile ions may take, as ``LABEL=x,y,z`` with one site of the orbit, such as
        ``1b=0,0,0.5``.
    mobile
        The mobile ion.
    """

    path: Path
    charges: tuple[str, ...] = ()
    vacant: tuple[str, ...] = ()
    mobile: str = "Li+"

    def read(self) -> Host:
        """Return the host.

        A label is the number of symmetry-equivalent sites in the cell with the Wyckoff letter. Orbits of one letter
        that hold the same ions share it; where they hold others, the later ones are primed.

        Raises
        ------
        InputError
            The file is not a crystal, charges are missing or do not sum to zero, sites overlap, no mobile ion is
            there, or a vacant site is malformed or taken.
        """
        where = str(self.path)
        structure = with_charges(read_structure(self.path), list(self.charges), where)
        check_apart(structure, where)
        if structure.is_ordered and structure.charge:
            raise InputError(f"{where}: its charges sum to {structure.charge:+g} e: 0 is allowed")
        present = sorted({str(species) for species in structure.elements})
        if self.mobile not in present:
            raise InputError(f"{where}: no mobile {self.mobile} in it: {', '.join(present)} are")
        structure.add_site_property(WYCKOFF, _labels(structure, where))
        vacant: list[PeriodicSite] = []
        for entry in self.vacant:
            label, point = _parse(entry)
            vacant += vacant_orbit(structure, vacant, (label, point, self.mobile), where)
        return Host(self.path.stem, structure, tuple(vacant), self.mobile)


def _labels(structure: Structure, where: str) -> list[str]:
    """Return the label of each site."""
    kinds = [str(site.species) for site in structure]
    numbers = [sorted(set(kinds)).index(kind) + 1 for kind in kinds]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces how it will raise errors
        found: Any = spglib.get_symmetry_dataset(cell, symprec=SYMPREC_ANGSTROM)  # type: ignore[arg-type]
    if found is None:
        raise InputError(f"{where}: no space group found within {SYMPREC_ANGSTROM:g} Å")
    orbits = found.crystallographic_orbits.tolist()
    named: dict[tuple[str, str], str] = {}
    labels = []
    for letter, orbit, kind in zip(found.wyckoffs, orbits, kinds, strict=True):
        label = f"{orbits.count(orbit)}{letter}"
        if (label, kind) not in named:
            named[label, kind] = label + "'" * sum(other == label for other, _ in named)
        labels.append(named[label, kind])
    return labels


def _parse(entry: str) -> tuple[str, tuple[float, float, float]]:
    label, _, text = entry.partition("=")
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"vacant site {entry!r}: LABEL=x,y,z is allowed, such as 1b=0,0,0.5") from None
    return label, (x, y, z)
