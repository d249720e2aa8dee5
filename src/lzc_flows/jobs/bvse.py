"""The bvse job: the bond-valence site-energy landscape and what it says of the mobile ion."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobflow import Maker, job
from pymatgen.core import Structure

from lzc_flows.documents.bvse import Barriers, BvseDoc
from lzc_flows.documents.protocols import BvseProtocol
from lzc_flows.errors import InputError
from lzc_flows.transport.bvse import EnergyField, energy_field
from lzc_flows.transport.conventions import CONVENTIONS
from lzc_flows.transport.landscape import Landscape, analyse
from lzc_flows.transport.packing import pack_field, pack_network


@dataclass
class BVSEMaker(Maker):
    """Compute percolation barriers, sites and paths of the mobile ion.

    Parameters
    ----------
    name
        Name of the job.
    protocol
        Mobile ion, grid, range and convention.
    """

    name: str = "bvse"
    protocol: BvseProtocol = field(default_factory=BvseProtocol)

    @job(output_schema=BvseDoc, data=["field", "network"])
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> BvseDoc:
        """Return the barriers; landscape, sites and paths go to the data store.

        Parameters
        ----------
        structure
            Structure with oxidation states; partial occupancies weight the contributions.
        prev_dir
            Not used; here for the signature that Makers share.
        """
        return bvse_document(analyse(bvse_field(structure, self.protocol)), self.protocol)


def bvse_field(structure: Structure, protocol: BvseProtocol) -> EnergyField:
    """Return the landscape of a structure under a protocol.

    Raises
    ------
    InputError
        An unknown convention, or what `energy_field` refuses.
    """
    if protocol.convention not in CONVENTIONS:
        raise InputError(f"BVSE convention {protocol.convention!r}: allowed are {', '.join(CONVENTIONS)}")
    return energy_field(
        structure,
        protocol.mobile,
        resolution_angstrom=protocol.resolution_angstrom,
        cutoff_angstrom=protocol.cutoff_angstrom,
        convention=CONVENTIONS[protocol.convention],
    )


def bvse_document(landscape: Landscape, protocol: BvseProtocol) -> BvseDoc:
    """Return the document of a landscape, with all that the data store keeps."""
    packed = {"field": pack_field(landscape.field), "network": pack_network(landscape)}
    return bvse_summary(landscape, protocol).model_copy(update=packed)


def bvse_summary(landscape: Landscape, protocol: BvseProtocol) -> BvseDoc:
    """Return the document of a landscape without what the data store keeps, as the command line prints it."""
    thresholds = landscape.percolation.thresholds.items()
    barriers: dict[str, Any] = {
        f"barrier_{target}": threshold.barrier_from_cell_minimum_ev for target, threshold in thresholds
    }
    nx, ny, nz = landscape.field.energies_ev.shape
    return BvseDoc(
        **barriers,
        from_component_minimum=Barriers(
            **{f"barrier_{target}": threshold.barrier_ev for target, threshold in thresholds}
        ),
        minimum_ev=landscape.percolation.minimum_ev,
        grid=(nx, ny, nz),
        bottlenecks={target: tuple(position) for target, position in landscape.bottlenecks.items()},
        sites=len(landscape.sites.minima),
        protocol=protocol,
    )
