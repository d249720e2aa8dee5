"""Electrons that nobody calculated: bands of an insulator with a gap of 4 eV, so that files have what readers expect.

Nothing here follows from the crystal but the number of bands, electrons and k-points. Moments stay where they start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzc_flows.rehearsal.inputs import Inputs

VALENCE_EV = 6.0
"""Width of the occupied bands."""

GAP_EV = 4.0

CONDUCTION_EV = 10.0
"""Width of the empty bands."""

_DISPERSION_EV = 0.1
_MOMENT = 0.9
"""Ions that start with less, in μB, are taken for closed shells: sources start those at 0 to 0.6."""


@dataclass(frozen=True)
class Electrons:
    """Bands.

    Attributes
    ----------
    number
        Number of electrons.
    energies_ev
        Band energies, (spins, k-points, bands), eV.
    occupations
        Of each band, 0 to 1, same shape.
    fermi_ev
        Fermi energy, eV: in the middle of the gap, or of a band that is half filled.
    moments
        Magnetic moment of each atom, (n,), μB.
    moment
        Magnetic moment of the cell, μB.
    """

    number: float
    energies_ev: NDArray[np.float64]
    occupations: NDArray[np.float64]
    fermi_ev: float
    moments: NDArray[np.float64]
    moment: float

    @property
    def spins(self) -> int:
        """One, or two of a spin-polarised calculation."""
        return len(self.energies_ev)

    @property
    def bands(self) -> int:
        """Number of bands."""
        return int(self.energies_ev.shape[2])


def default_bands(inputs: Inputs) -> int:
    """Return VASP's number of bands (https://www.vasp.at/wiki/index.php/NBANDS)."""
    electrons, ions = inputs.tag("NELECT"), sum(inputs.arrangement.counts)
    bands = max(int(electrons + 2.5) // 2 + max(ions // 2, 3), int(0.6 * electrons))
    return bands + max(int((inputs.starting_moments.sum() + 1) // 2), 0)


def electrons_of(inputs: Inputs) -> Electrons:
    """Return the bands of a calculation."""
    number, spins = float(inputs.tag("NELECT")), int(inputs.tag("ISPIN"))
    bands = int(inputs.tags.get("NBANDS", default_bands(inputs)))
    start = inputs.starting_moments
    moments = np.where(np.abs(start) < _MOMENT, 0.0, start) if "MAGMOM" in inputs.tags else np.zeros(len(start))
    moment = _moment(inputs, moments)
    filled = [number / 2] if spins == 1 else [(number + moment) / 2, (number - moment) / 2]
    dispersion = _DISPERSION_EV * np.cos(2 * np.pi * inputs.mesh.points).mean(axis=1)
    energies = np.array([_ladder(fill, bands)[None, :] + dispersion[:, None] for fill in filled])
    occupations = np.array([np.broadcast_to(_filling(fill, bands), energies.shape[1:]) for fill in filled])
    whole = all(abs(fill - round(fill)) < 1e-6 for fill in filled)
    return Electrons(number, energies, occupations, GAP_EV / 2 if whole else -_DISPERSION_EV, moments, moment)


def _moment(inputs: Inputs, moments: NDArray[np.float64]) -> float:
    """Return the cell's moment: NUPDOWN, or that of the atoms, whole and odd as the number of electrons is."""
    if inputs.tag("ISPIN") == 1:
        return 0.0
    if inputs.tag("NUPDOWN") >= 0:
        return float(inputs.tag("NUPDOWN"))
    odd = round(inputs.tag("NELECT")) % 2
    return float(2 * math.ceil((moments.sum() - odd) / 2 - 0.5) + odd)


def _ladder(filled: float, bands: int) -> NDArray[np.float64]:
    """Return band energies: the occupied ones below 0, the empty ones above the gap, both evenly spaced."""
    occupied = math.ceil(filled - 1e-6)
    below = -VALENCE_EV * (1 - (np.arange(occupied) + 1) / max(occupied, 1)) - _DISPERSION_EV
    above = GAP_EV + _DISPERSION_EV + CONDUCTION_EV * np.arange(bands - occupied) / max(bands - occupied, 1)
    return np.concatenate([below, above])[:bands]


def _filling(filled: float, bands: int) -> NDArray[np.float64]:
    return np.clip(filled - np.arange(bands), 0.0, 1.0)
