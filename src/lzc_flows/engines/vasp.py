"""VASP: its name and version for keys, and forces from its single points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.dft import DftProtocol, checksum
from lzc_flows.engines.vasp_potcars import FUNCTIONAL
from lzc_flows.engines.vasp_program import STAND_IN, vasp_commands

if TYPE_CHECKING:
    from lzc_flows.dynamics.forces import ForceField
    from lzc_flows.engines.base import Ions


@dataclass(frozen=True)
class VaspEngine:
    """VASP with PBE and PAW potentials: Kresse and Furthmüller, Phys. Rev. B 54, 11169 (1996)."""

    dft: DftProtocol
    name: str = "vasp"
    charge_note: str = "NELECT says how many electrons there are, and a uniform background balances the charge"

    def stamp(self) -> EngineStamp:
        """Return what its results follow from: POTCARs and numbers, and a stand-in where there is one.

        Which VASP it is shows only when it runs: its OUTCAR says so.

        Raises
        ------
        InputError
            There is no VASP.
        """
        standard, _ = vasp_commands()
        program = "a stand-in for VASP" if STAND_IN in standard else "VASP"
        numbers = checksum(self.dft.for_vasp)
        version = f"{program}, {self.dft.functional}, {FUNCTIONAL}, {self.dft.cutoff_ev:g} eV, numbers {numbers}"
        return EngineStamp(name=self.name, version=version, dft=self.dft)

    def require(self, ions: Ions) -> None:
        """Refuse ions without a POTCAR, an odd electron where spins are forbidden, and tags against the protocol."""
        from lzc_flows.engines.vasp_tags import check_incar, electrons_of

        check_incar(self.dft.vasp.incar)
        electrons_of(ions.structure(np.eye(3), np.zeros((len(ions.species), 3))), self.dft)

    def force_field(self, ions: Ions) -> ForceField:
        """Return forces from single points, each a run of VASP that starts from the last one's wave functions."""
        from lzc_flows.engines.vasp_force_field import VaspForceField

        return VaspForceField(self.dft, ions)
