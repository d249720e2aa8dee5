"""The bvse job: the bond-valence site-energy landscape and its percolation barriers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jobflow import Maker, job
from pymatgen.core import Structure

from lzc_flows.documents.bvse import BvseDoc
from lzc_flows.documents.protocols import BvseProtocol
from lzc_flows.errors import InputError
from lzc_flows.transport.bvse import CONVENTIONS, energy_field
from lzc_flows.transport.packing import pack
from lzc_flows.transport.percolation import percolation_thresholds


@dataclass
class BVSEMaker(Maker):
    """Compute percolation barriers of the mobile ion.

    Parameters
    ----------
    name
        Name of the job.
    protocol
        Mobile ion, grid, range and convention.
    """

    name: str = "bvse"
    protocol: BvseProtocol = field(default_factory=BvseProtocol)

    @job(output_schema=BvseDoc, data=["field"])
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> BvseDoc:
        """Return the barriers; the landscape itself goes to the data store.

        Parameters
        ----------
        structure
            Structure with oxidation states; partial occupancies weight the contributions.
        prev_dir
            Not used; here for the signature that Makers share.
        """
        return bvse_document(structure, self.protocol)


def bvse_document(structure: Structure, protocol: BvseProtocol) -> BvseDoc:
    """Return landscape and barriers of a structure, as the job and the command line give them.

    Raises
    ------
    InputError
        An unknown convention, or what `energy_field` refuses.
    """
    if protocol.convention not in CONVENTIONS:
        raise InputError(f"BVSE convention {protocol.convention!r}: allowed are {', '.join(CONVENTIONS)}")
    landscape = energy_field(
        structure,
        protocol.mobile,
        resolution_angstrom=protocol.resolution_angstrom,
        cutoff_angstrom=protocol.cutoff_angstrom,
        convention=CONVENTIONS[protocol.convention],
    )
    percolation = percolation_thresholds(landscape.energies_ev)
    barriers = {}
    for dimensions, threshold in enumerate(percolation.thresholds, start=1):
        barriers[f"barrier_{dimensions}d"] = threshold.barrier_from_cell_minimum_ev
        barriers[f"component_barrier_{dimensions}d"] = threshold.barrier_ev
    nx, ny, nz = landscape.energies_ev.shape
    return BvseDoc(
        **barriers,
        minimum_ev=percolation.minimum_ev,
        grid_shape=(nx, ny, nz),
        field=pack(landscape),
        protocol=protocol,
    )
