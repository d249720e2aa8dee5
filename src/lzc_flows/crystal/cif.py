"""Crystals from CIFs, where pymatgen alone would drop, refuse or forget something.

pymatgen's parser adds up the atoms that share a position. Above its ``occupancy_tolerance`` (1 by default) it skips
the crystal with a warning that names no site; atoms of no known element, or of an occupancy that is not positive,
it drops; and charges in the atoms' type symbols (``Zr4+``) it forgets unless the file repeats them as
``_atom_type_oxidation_number``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO

import numpy as np
from pymatgen.core import Element, PeriodicSite, Structure
from pymatgen.io.cif import CifBlock, CifFile, CifParser, str2float

from lzc_flows.crystal.occupancy import excess_of
from lzc_flows.errors import InputError

_LABEL = "_atom_site_label"
_SYMBOL = "_atom_site_type_symbol"
_POSITION = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_OCCUPANCY = "_atom_site_occupancy"
_STATE = "_atom_type_oxidation_number"
_CRYSTAL = ("_cell_", "_symmetry_", "_space_group_", "_atom_site_")

# Zr4+ as the CIF dictionary has it, Zr+4 as GSAS writes it
_CHARGED = re.compile(r"(?P<element>[A-Z][a-z]?)(?:(?P<before>\d*)(?P<sign>[+-])|(?P<first>[+-])(?P<after>\d))")

_SAME_PLACE = 1e-3
_NAMED_SITES = 3


@dataclass(frozen=True)
class _Atom:
    """One row of the list of atoms; the position is fractional."""

    label: str
    position: tuple[float, float, float]


def read_cif(cif: CifFile, where: str) -> tuple[Structure, list[str]]:
    """Return the first crystal of a CIF, and a note where occupancies were scaled to 1.

    Occupancies of one site that sum to more than 1 by rounding (see `occupancy.ROUNDING_TOLERANCE`) are scaled.
    Charges are those of the file's oxidation numbers or, without such, of the atoms' type symbols or labels where
    all have one.

    Raises
    ------
    InputError
        An edge that is not positive, an atom that is no element, an occupancy that is negative or no number, or a sum
        that exceeds 1 by more than rounding.
    ValueError
        No atoms; what pymatgen cannot parse raises this and others.
    """
    block = next((block for block in cif.data.values() if isinstance(block.data.get(_LABEL), list)), None)
    if block is None:
        raise ValueError(f"it lists no atoms, {_LABEL}")
    for key in _LENGTHS:
        if _number(block.data.get(key, "?")) <= 0:  # pymatgen would mirror the crystal
            raise InputError(f"{where}: {key} {block.data[key]}: a positive number is allowed")
    atoms = _atoms(block.data, where)
    parser = CifParser(StringIO(_with_states(block) or cif.orig_string), occupancy_tolerance=math.inf)
    # as printed, before pymatgen scales them
    printed = parser.parse_structures(primitive=False, check_occu=False)[0]
    notes = _excess_notes(printed, atoms, where)
    return Structure.from_sites(parser.parse_structures(primitive=False)[0]), notes


def _atoms(data: Mapping[str, list[str]], where: str) -> list[_Atom]:
    """Return the listed atoms that have a position; symbols and occupancies are checked."""
    labels = data[_LABEL]
    for label, symbol in zip(labels, data.get(_SYMBOL, labels), strict=False):
        if symbol.startswith("OH") or not any(Element.is_valid_symbol(symbol[:n].title()) for n in (1, 2)):
            raise InputError(f"{where}: atom {label}: symbol {symbol!r} is no element")
    for label, occupancy in zip(labels, data.get(_OCCUPANCY, []), strict=False):
        value = _number(occupancy, unknown=1.0)
        if not 0 <= value < math.inf:
            raise InputError(f"{where}: occupancy {occupancy} of {label}: a number from 0 to 1 is allowed")
    rows = zip(labels, *(data.get(key, []) for key in _POSITION), strict=False)
    return [_Atom(label, (_number(x), _number(y), _number(z))) for label, x, y, z in rows]


def _number(text: str, unknown: float = math.nan) -> float:
    """Return a CIF's number without its standard uncertainty; `unknown` where it says ``?`` or ``.``."""
    if text in ("?", "."):
        return unknown
    try:
        return float(str2float(text))
    except ValueError:
        return math.nan


def _excess_notes(printed: Structure, atoms: list[_Atom], where: str) -> list[str]:
    """Return the one note on all sites above 1, each orbit named once; refuse a real excess."""
    found: dict[str, str] = {}
    for site in printed:
        excess = excess_of(sum(site.species.values()), f"{where}: {_name(site, atoms)}")
        if excess:
            # the sites of one orbit carry one label, and its first is the listed one
            found.setdefault(site.label, excess.removeprefix(f"{where}: "))
    if not found:
        return []
    said = list(found.values())
    more = f" and {len(said) - _NAMED_SITES} more" if len(said) > _NAMED_SITES else ""
    return [f"{where}: {'; '.join(said[:_NAMED_SITES])}{more}, normalised to 1"]


def _name(site: PeriodicSite, atoms: list[_Atom]) -> str:
    """Return how an error names a site, such as ``site Cl2/F2 at (0.2234, 0.7766, 0.2527)``."""
    offsets = [np.array(atom.position) - site.frac_coords for atom in atoms]
    here = [
        atom.label
        for atom, offset in zip(atoms, offsets, strict=True)
        if np.abs(offset - np.round(offset)).max() < _SAME_PLACE
    ]
    place = ", ".join(f"{x:.4g}" for x in site.frac_coords)
    return f"site {'/'.join(here) or site.label} at ({place})"


def _with_states(block: CifBlock) -> str | None:
    """Return the block's crystal with the charges of its atoms' names as oxidation numbers.

    None where the file has oxidation numbers, or not every atom has a charge in its name.
    """
    data = block.data
    named = [_CHARGED.fullmatch(name) for name in data.get(_SYMBOL, data[_LABEL])]
    if _STATE in data or not all(named):
        return None
    charges = {}
    symbols = []
    for match in filter(None, named):
        sign, size = match["sign"] or match["first"], match["before"] or match["after"] or "1"
        symbols.append(f"{match['element']}{size}{sign}")
        charges[symbols[-1]] = f"{sign}{size}"
    crystal = {key: value for key, value in data.items() if key.startswith(_CRYSTAL)}
    crystal |= {_SYMBOL: symbols, "_atom_type_symbol": list(charges), _STATE: list(charges.values())}
    loops = [[key for key in loop if key in crystal] for loop in block.loops]
    loops = [[*loop, _SYMBOL] if _LABEL in loop and _SYMBOL not in loop else loop for loop in loops if loop]
    return str(CifBlock(crystal, [*loops, ["_atom_type_symbol", _STATE]], block.header))
