"""CP2K: density-functional theory that is free and runs anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from lzc_flows.documents.base import EngineStamp
from lzc_flows.documents.dft import DftProtocol, checksum
from lzc_flows.dynamics.forces import ForceField
from lzc_flows.engines.base import Ions
from lzc_flows.engines.cp2k_basis import require_bases
from lzc_flows.engines.cp2k_force_field import Cp2kForceField
from lzc_flows.engines.cp2k_inputs import is_polarised
from lzc_flows.engines.cp2k_program import cp2k_command, cp2k_installation


@dataclass(frozen=True)
class Cp2kEngine:
    """CP2K's Quickstep, with Gaussian bases and GTH pseudopotentials.

    Kühne et al., J. Chem. Phys. 152, 194103 (2020).
    """

    dft: DftProtocol
    name: str = "cp2k"
    charge_note: str = (
        "kept, before an even background of the opposite charge, which is what is left of periodic electrostatics "
        "without its G = 0 term; nothing is corrected for the images"
    )

    def stamp(self) -> EngineStamp:
        """Return CP2K's version and what else its results follow from.

        Raises
        ------
        InputError
            CP2K or its data are not there; the line says what to do.
        """
        cp2k_command()  # says what is missing
        cp2k = self.dft.cp2k
        numbers = f"{cp2k.basis}, {cp2k.density_cutoff_ry:g} Ry, numbers {checksum(self.dft.for_cp2k)}"
        version = f"CP2K {cp2k_installation().version}, {self.dft.functional}, {numbers}"
        return EngineStamp(name=self.name, version=version, dft=self.dft)

    def require(self, ions: Ions) -> None:
        """Refuse ions that CP2K cannot treat, before anything is submitted.

        Raises
        ------
        InputError
            No basis and pseudopotential for an element or its oxidation state, an odd number of electrons without
            spin.
        """
        require_bases(ions, self.dft.cp2k.basis)
        is_polarised(ions, self.dft)

    def force_field(self, ions: Ions) -> ForceField:
        """Return a CP2K that waits for geometries and starts each from the last one's orbitals.

        Raises
        ------
        InputError
            CP2K is not installed, or it cannot treat the ions.
        """
        self.stamp()
        self.require(ions)
        return Cp2kForceField(ions, self.dft)
