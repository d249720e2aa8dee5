"""Magnetic moments to start a self-consistent calculation from: what each ion's oxidation state says."""

from __future__ import annotations

from functools import cache

from pymatgen.core import Species, Structure

_CORE_OF_F_SHELL = {"lanthanoid": 54, "actinoid": 86}
"""Electrons of xenon and radon: what an f ion has beyond them are its f electrons."""


def starting_moments(structure: Structure) -> tuple[float, ...]:
    """Return the spin moment of each site's ion, in μB.

    Ions with an open d shell count as high-spin in an octahedron, where halide electrolytes have their cations; those
    with an open f shell follow Hund's first rule. All point the same way: which order of spins is lowest is for the
    calculation to find, and single dopants have none. High spin is a guess where the crystal field is strong (4d and
    5d ions with four to seven d electrons, and Co³⁺ beside weaker-field ligands than F⁻).

    Parameters
    ----------
    structure
        An ordered structure. Sites without an oxidation state start without a moment.
    """
    return tuple(
        starting_moment(str(site.specie)) if getattr(site.specie, "oxi_state", None) else 0.0 for site in structure
    )


@cache
def starting_moment(ion: str) -> float:
    """Return the spin moment of an ion such as ``Ti3+``, in μB; see `starting_moments`."""
    species = Species.from_str(ion)
    element = species.element
    if element.is_lanthanoid or element.is_actinoid:
        core = _CORE_OF_F_SHELL["lanthanoid" if element.is_lanthanoid else "actinoid"]
        electrons, orbitals = element.Z - core - float(species.oxi_state or 0), 7
        return min(electrons, 2 * orbitals - electrons) if 0 <= electrons <= 2 * orbitals else 0.0
    try:
        return float(species.get_crystal_field_spin("oct", "high"))
    except AttributeError:  # not a transition metal, or more electrons than a d shell holds
        return 0.0
