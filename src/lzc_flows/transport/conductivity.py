"""The relation of Nernst and Einstein between the diffusivity of an ion and its conductivity."""

from __future__ import annotations

from scipy import constants

BOLTZMANN_EV = constants.k / constants.e
"""Boltzmann's constant, eV/K."""

CM2_S_PER_A2_PS = (constants.angstrom / constants.centi) ** 2 / constants.pico
"""One Å²/ps in cm²/s."""

PER_CM3_OF_PER_A3 = (constants.centi / constants.angstrom) ** 3
"""One ion per Å³ in ions per cm³."""


def nernst_einstein(carriers_per_cm3: float, charge: float, temperature_k: float) -> float:
    """Return the conductivity in mS/cm of carriers of 1 cm²/s: n q²e²/(kT).

    Parameters
    ----------
    carriers_per_cm3
        Mobile ions per cm³.
    charge
        Of one ion, in elementary charges.
    temperature_k
        Temperature, K.
    """
    siemens_per_cm = carriers_per_cm3 * (charge * constants.e) ** 2 / (constants.k * temperature_k)
    return siemens_per_cm / constants.milli
