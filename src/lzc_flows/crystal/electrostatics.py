"""Point charges on sites, as an energy that is quadratic in what is placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lzc_flows.crystal.counting import name_of
from lzc_flows.crystal.ions import charge_of
from lzc_flows.crystal.orbits import Placement
from lzc_flows.crystal.quadratic import QuadraticForm, quadratic_form
from lzc_flows.errors import InputError


@dataclass(frozen=True)
class Electrostatics:
    """Point charges: charges q on the sites have the energy qᵀMq.

    Attributes
    ----------
    ewald_ev
        M in eV, symmetric and with the symmetry of the sites; shape (sites, sites).
    charges
        Charges before anything is placed, in e; shape (sites,).
    background_ev
        Energy in eV of the background that neutralises a cell of 1 e, times the charge squared; None refuses cells
        that are left with a charge.
    """

    ewald_ev: NDArray[np.float64]
    charges: NDArray[np.float64]
    background_ev: float | None = None

    def form(self, placements: list[Placement]) -> QuadraticForm:
        """Return what placing the ions costs, in eV.

        Raises
        ------
        InputError
            Sites of one placement differ in charge, or the ions leave the cell charged and there is no background.
        """
        total = float(self.charges.sum())
        for placement in placements:
            replaced = self.charges[list(placement.sites)]
            if np.ptp(replaced) > 0:
                raise InputError(f"{name_of(placement)}: the sites of its sublattice differ in charge")
            total += placement.count * (charge_of(placement.ion) - float(replaced[0]))
        if abs(total) > 1e-6 and self.background_ev is None:
            raise InputError(f"the cell has a charge of {total:+g} e with all ions placed; neutral cells are allowed")
        ions = np.array([charge_of(placement.ion) for placement in placements], dtype=float)
        potential_ev = self.ewald_ev @ self.charges
        base_ev = float(self.charges @ potential_ev) + (self.background_ev or 0.0) * total**2
        return quadratic_form(base_ev, ions.reshape(-1, 1) - self.charges, potential_ev, self.ewald_ev)
