"""Constants of molecular dynamics in Å, fs, eV, K, amu (CODATA, from scipy); units are converted here only."""

from __future__ import annotations

from scipy import constants

BOLTZMANN_EV = constants.k / constants.e
"""Boltzmann's constant, eV/K."""

AMU_EV = constants.atomic_mass * (constants.angstrom / constants.femto) ** 2 / constants.e
"""One amu in eV fs²/Å²: with masses in this unit, ½ m v² is in eV and F/m in Å/fs²."""

GPA_EV = constants.giga * constants.angstrom**3 / constants.e
"""One GPa in eV/Å³."""
