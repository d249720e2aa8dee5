"""The interlayer scan: barriers of hops as the layers of a crystal are pulled apart (Supplementary Fig. 4b)."""

from __future__ import annotations

from dataclasses import dataclass, field

from jobflow import Flow, Maker
from pymatgen.core import Structure

from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.jobs.hop_network import HopNetworkMaker
from lzc_flows.jobs.interlayer import collect_scan, with_scaled_c
from lzc_flows.jobs.relax import RelaxMaker


@dataclass
class InterlayerScanMaker(Maker):
    """Scale c with a and b fixed, relax the atoms, and find the barriers of the hops at each length.

    Parameters
    ----------
    name
        Name of the flow.
    relax_maker
        Relaxes the atoms in the fixed cell.
    network_maker
        Finds the hops and their barriers.
    scales
        Factors of c.
    layers_per_cell
        Cation layers along c in the structure given: Li2ZrCl6 has two in its unit cell, 1a and 6g at 0, 2d and 6h
        at one half.
    """

    name: str = "interlayer scan"
    relax_maker: RelaxMaker = field(default_factory=lambda: RelaxMaker(protocol=RelaxProtocol(relax_cell=False)))
    network_maker: HopNetworkMaker = field(default_factory=HopNetworkMaker)
    scales: tuple[float, ...] = (0.94, 0.97, 1.0, 1.03, 1.06)
    layers_per_cell: int = 2

    def make(self, structure: Structure) -> Flow:
        """Return the flow of a relaxed ordered structure with oxidation states.

        Raises
        ------
        InputError
            A scale that is not positive.
        """
        jobs, networks = [], []
        for scale in self.scales:
            relaxation = self.relax_maker.make(with_scaled_c(structure, scale))
            network = self.network_maker.make(relaxation.output.structure)
            relaxation.append_name(f" at {scale:g} c")
            network.append_name(f" at {scale:g} c")
            jobs += [relaxation, network]
            networks.append(network.output)
        collection = collect_scan(networks, self.layers_per_cell * self.network_maker.hops.supercell[2])
        return Flow([*jobs, collection], output=collection.output, name=self.name)
