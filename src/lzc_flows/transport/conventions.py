"""Named conventions of the bond-valence site energy, and the pair energies they give.

Every convention sums over the framework ions within the cutoff (Adams & Rao, Phys. Chem. Chem. Phys. 11, 3210
(2009); Chen, Wong & Adams, Acta Cryst. B 75, 18 (2019)):

* opposite charge, Morse: ``p·D0·{[exp(α(Rmin − R)) − 1]² − 1}``;
* same charge, screened Coulomb: ``14.4·Q/R·erfc(R/(f(r1 + r2)))``, with a product of charges Q.

They differ in the prefactor p, the charges in Q, the screening factor f, the radii r1 and r2, and in whether other
ions of the mobile element act on the probe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import erfc

from lzc_flows.errors import InputError
from lzc_flows.transport.bvse_parameters import (
    RadiiSet,
    covalent_radius_angstrom,
    interaction_of,
    morse_parameters,
    oxidation_state,
    principal_quantum_number,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Species

COULOMB_EV_ANGSTROM = 14.4
"""e²/(4πε0) in eV·Å, rounded as in softBV and bvlain (CODATA: 14.39964) so that the codes agree."""

Charges = Literal["quantum", "formal", "neutral"]
MobileFramework = Literal["removed", "average"]
RadialFunction = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]
"""Energy in eV of distances in Å (positive, any shape)."""


@dataclass(frozen=True)
class BVSEConvention:
    """One way of writing the BVSE energy; open codes differ.

    Attributes
    ----------
    name
        What results are labelled with.
    morse_prefactor
        p of the Morse term (½ or 1).
    charges
        Q of the Coulomb term. ``"formal"``: ``q1·q2``; ``"quantum"``: ``q1·q2/√(n1·n2)`` with the principal
        quantum numbers n; ``"neutral"``: the product of two `effective_charge`.
    screening_factor
        f of the Coulomb term.
    radii
        Covalent radii r1, r2 of the Coulomb term: ``"ase"`` or ``"softbv"``.
    source
        Where the convention is defined.
    mobile_framework
        ``"removed"``: ions of the mobile element are left out, so that the field is that of one probe ion in the
        empty framework. ``"average"``: they act on the probe, weighted by their occupancies; the probe is then
        repelled from each of their sites by the ion of that very site too.
    """

    name: str
    morse_prefactor: float
    charges: Charges
    screening_factor: float
    radii: RadiiSet
    source: str
    mobile_framework: MobileFramework = "removed"


CONVENTIONS = {
    convention.name: convention
    for convention in (
        BVSEConvention("bvlain", 0.5, "quantum", 0.74, "ase", "bvlain 0.25.1, potentials.py, default radii"),
        BVSEConvention("softbv", 0.5, "quantum", 0.74, "softbv", "bvlain 0.25.1, use_softbv_covalent_radii=True"),
        BVSEConvention(
            "softbv-effective", 0.5, "neutral", 0.74, "softbv", "Adams & Rao, Phys. Status Solidi A 208, 1746 (2011)"
        ),
    )
}
"""The named conventions."""


def pair_energy(
    mobile: Species, partner: Species, convention: BVSEConvention, composition: Mapping[Species, float]
) -> RadialFunction:
    """Return the energy of the mobile ion and one framework ion as a function of their distance.

    Parameters
    ----------
    mobile, partner
        The two ions, with oxidation states.
    convention
        Form of the energy.
    composition
        Numbers of all ions of the crystal, mobile ones included, such as ``structure.composition``. Only
        ``"neutral"`` charges depend on it.

    Raises
    ------
    InputError
        For a pair without parameters; for ``"neutral"`` charges also as `effective_charge` does.
    """
    if interaction_of(mobile, partner) == "morse":
        return _morse(mobile, partner, convention)
    radii = sum(covalent_radius_angstrom(species, convention.radii) for species in (mobile, partner))
    amplitude = COULOMB_EV_ANGSTROM * _charge_product(mobile, partner, convention.charges, composition)
    screening_length = convention.screening_factor * radii

    def coulomb(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        return amplitude * erfc(distance / screening_length) / distance

    return coulomb


def _morse(mobile: Species, partner: Species, convention: BVSEConvention) -> RadialFunction:
    parameters = morse_parameters(mobile, partner)
    amplitude = convention.morse_prefactor * parameters.dissociation_energy_ev

    def morse(distance: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.exp(parameters.alpha_per_angstrom * (parameters.r_min_angstrom - distance))
        return amplitude * x * (x - 2.0)  # [x − 1]² − 1

    return morse


def _charge_product(mobile: Species, partner: Species, charges: Charges, composition: Mapping[Species, float]) -> float:
    """Return Q of the Coulomb term in e²."""
    if charges == "neutral":
        return effective_charge(mobile, composition) * effective_charge(partner, composition)
    product = oxidation_state(mobile) * oxidation_state(partner)
    if charges == "formal":
        return product
    return product / math.sqrt(principal_quantum_number(mobile) * principal_quantum_number(partner))


def effective_charge(species: Species, composition: Mapping[Species, float]) -> float:
    """Return the effective charge of an ion in elementary charges.

    The charge V/√n, scaled so that the effective charges of the crystal add up to zero: with S(cations) and
    S(anions) the sums of ``|V|·N``/√n over the ions of the crystal, a cation is scaled by √(S(anions)/S(cations)),
    an anion by the inverse (Adams & Rao, Phys. Status Solidi A 208, 1746 (2011)).

    Parameters
    ----------
    species
        The ion.
    composition
        Numbers of all ions of the crystal, partial occupancies weighted.

    Raises
    ------
    InputError
        If the crystal lacks cations or anions, or an element has no principal quantum number.
    """
    cations = anions = 0.0
    for ion, number in composition.items():
        weighted = oxidation_state(ion) * number / math.sqrt(principal_quantum_number(ion))
        cations += max(weighted, 0.0)
        anions -= min(weighted, 0.0)
    if cations == 0 or anions == 0:
        raise InputError("effective charges: the structure needs cations and anions")
    bare = oxidation_state(species) / math.sqrt(principal_quantum_number(species))
    return bare * math.sqrt(anions / cations if bare > 0 else cations / anions)
