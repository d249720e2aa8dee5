"""SoftBV force-field parameters: Morse pairs, principal quantum numbers and covalent radii.

The tables are those of Chen, Wong & Adams, Acta Cryst. B 75, 18 (2019), as packaged by PyPI's ``bvlain``
(MIT). They are read from its data files, without importing it (its import is slow). The mobile ion is a cation.
"""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ase.data import covalent_radii as ase_covalent_radii
from pymatgen.core import Element, Species

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from pymatgen.core import Structure

RadiiSet = Literal["ase", "softbv"]
Interaction = Literal["morse", "coulomb"]
Ion = tuple[int, int]  # atomic number, oxidation state


@dataclass(frozen=True)
class MorseParameters:
    """Morse parameters of one cation–anion pair.

    Attributes
    ----------
    dissociation_energy_ev
        D0 in eV.
    alpha_per_angstrom
        Inverse bond-valence softness, 1/b, in 1/Å; always positive here.
    r_min_angstrom
        Distance of the energy minimum in Å.
    """

    dissociation_energy_ev: float
    alpha_per_angstrom: float
    r_min_angstrom: float


@dataclass(frozen=True)
class SiteIon:
    """One ion on one site of a structure: site index, species and occupancy (0 to 1)."""

    site: int
    species: Species
    occupancy: float


@cache
def _table(name: str) -> dict[Any, Any]:
    """Return one of bvlain's pickled tables by file name."""
    spec = find_spec("bvlain")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("the softBV tables are missing: install the package bvlain (>= 0.25)")
    path = Path(spec.submodule_search_locations[0]) / "data" / name
    with path.open("rb") as file:
        return pickle.load(file)


@cache
def _morse_table() -> dict[tuple[Ion, Ion], MorseParameters]:
    """Return the usable pairs, keyed by (cation, anion).

    34 of the 591 pairs (of Be, B, Mg, Ca, Sr, Ba, Ga, Cr and Mo with heavy anions) carry a negative alpha,
    with which the Morse energy grows without bound with distance; they are left out.
    """
    return {
        ((int(z1), int(q1)), (int(z2), int(q2))): MorseParameters(
            dissociation_energy_ev=float(values["d0"]),
            alpha_per_angstrom=float(values["alpha"]),
            r_min_angstrom=float(values["r_min"]),
        )
        for z1, by_charge in _table("cation.pkl").items()
        for q1, by_anion in by_charge.items()
        for z2, by_anion_charge in by_anion.items()
        for q2, values in by_anion_charge.items()
        if values["alpha"] > 0
    }


def parse_ion(label: str) -> Species:
    """Return the pymatgen species of a mobile cation's label such as ``"Li+"``, ``"Li1+"`` or ``"Mg2+"``.

    Raises
    ------
    InputError
        If the label is no element with a positive oxidation state.
    """
    try:
        species = Species.from_str(label)
    except ValueError:
        species = None
    if species is None or not species.oxi_state:
        raise InputError(f"mobile ion {label!r}: expected an element with its charge, such as Li+ or Mg2+")
    if species.oxi_state < 0:
        raise InputError(f"mobile ion {species}: a cation is allowed, such as Li+")
    return species


def _ion(species: Species) -> Ion | None:
    """Return the table key of a species, or None where its charge is not an integer."""
    charge = species.oxi_state
    if charge is None or not math.isclose(charge, round(charge), abs_tol=1e-6):
        return None
    return species.Z, round(charge)


def available_partners(species: Species) -> list[str]:
    """Return the labels of the anions that have usable Morse parameters with a cation, sorted."""
    ion = _ion(species)
    partners = {anion for cation, anion in _morse_table() if cation == ion}
    return sorted(str(Species(Element.from_Z(number).symbol, charge)) for number, charge in partners)


def no_parameters_message(mobile: Species, partners: list[str]) -> str:
    """Return the one line that says which partners of the mobile ion lack parameters, and which have them."""
    available = ", ".join(available_partners(mobile)) or "none"
    return f"no softBV parameters for {mobile} with {', '.join(partners)}; available partners: {available}"


def morse_parameters(mobile: Species, partner: Species) -> MorseParameters:
    """Return the Morse parameters of a mobile cation and an anion.

    Raises
    ------
    InputError
        If the pair is not in the table, or only with a negative alpha (see `_morse_table`).
    """
    cation, anion = _ion(mobile), _ion(partner)
    if cation is not None and anion is not None and (cation, anion) in _morse_table():
        return _morse_table()[cation, anion]
    raise InputError(no_parameters_message(mobile, [str(partner)]))


def principal_quantum_number(species: Species) -> int:
    """Return the principal quantum number of the element's valence shell, as softBV uses it.

    Raises
    ------
    InputError
        If the element is not in the table.
    """
    table = _table("quantum_n.pkl")
    if species.Z not in table:
        raise InputError(f"no softBV principal quantum number for {species.symbol}")
    return int(table[species.Z])


def covalent_radius_angstrom(species: Species, radii: RadiiSet) -> float:
    """Return a covalent radius in Å.

    Parameters
    ----------
    species
        The ion.
    radii
        ``"ase"``: of the element (Cordero et al., Dalton Trans. 2832 (2008), as in ASE); ``"softbv"``: of the
        ion in its oxidation state (Chen, Wong & Adams 2019).

    Raises
    ------
    InputError
        If the ion is not in the table.
    """
    if radii == "ase":
        return float(ase_covalent_radii[species.Z])
    by_charge = _table("covalent_radii_softvb.pkl").get(species.Z, {})
    ion = _ion(species)
    if ion is None or ion[1] not in by_charge:
        raise InputError(f"no softBV covalent radius for {species}")
    return float(by_charge[ion[1]])


def oxidation_state(species: Species) -> float:
    """Return the oxidation state of an ion in elementary charges; 0 where it has none."""
    return float(species.oxi_state or 0.0)


def site_ions(structure: Structure) -> list[SiteIon]:
    """Return every ion of a structure with its site and occupancy.

    Raises
    ------
    InputError
        If a species has no oxidation state, or a zero one.
    """
    ions = []
    for index, site in enumerate(structure):
        for species, occupancy in site.species.items():
            if not isinstance(species, Species) or not species.oxi_state:
                raise InputError(f"site {index} ({species}) has no oxidation state: every species needs a non-zero one")
            ions.append(SiteIon(index, species, float(occupancy)))
    return ions


def missing_pairs(structure: Structure, mobile: str, radii: RadiiSet = "ase") -> list[tuple[str, str]]:
    """Return every (mobile, partner) pair of a structure that lacks softBV parameters, sorted by label.

    Meant to be asked before anything runs. Ions of opposite charge need Morse parameters; ions of the same
    charge need covalent radii and principal quantum numbers of both. Ions of the mobile element itself are no
    partners.

    Raises
    ------
    InputError
        If `mobile` is no ion or a species has no oxidation state.
    """
    ion = parse_ion(mobile)
    partners = {entry.species for entry in site_ions(structure) if entry.species.symbol != ion.symbol}
    return sorted((str(ion), str(partner)) for partner in partners if not has_parameters(ion, partner, radii))


def interaction_of(mobile: Species, partner: Species) -> Interaction:
    """Return how two ions interact: ``"morse"`` at opposite charges, else ``"coulomb"``."""
    return "morse" if oxidation_state(mobile) * oxidation_state(partner) < 0 else "coulomb"


def has_parameters(mobile: Species, partner: Species, radii: RadiiSet) -> bool:
    """Return whether all parameters of one pair are in the tables; see `missing_pairs` for which it needs."""
    try:
        if interaction_of(mobile, partner) == "morse":
            morse_parameters(mobile, partner)
        else:
            for species in (mobile, partner):
                covalent_radius_angstrom(species, radii)
                principal_quantum_number(species)
    except InputError:
        return False
    return True


def covered_partners(mobile: Species, partner: Species, radii: RadiiSet) -> list[str]:
    """Return the labels of what could stand where `partner` lacks parameters with the mobile ion, sorted.

    Of a Morse pair, the ions that have one with `mobile`; of a Coulomb pair, the known oxidation states of
    the partner's own element that have parameters.
    """
    if interaction_of(mobile, partner) == "morse":
        return available_partners(mobile)
    states = [Species(partner.symbol, charge) for charge in partner.element.oxidation_states if charge]
    same_sign = [state for state in states if interaction_of(mobile, state) == "coulomb"]
    return sorted(str(state) for state in same_sign if has_parameters(mobile, state, radii))
