"""The electronic job: electrons at the extreme points of the hop that limits a crystal (sections 1.11 and 1.12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jobflow import Maker, Response, job
from numpy.typing import NDArray
from pymatgen.core import Structure

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.dft import LZC
from lzc_flows.documents.electronic import DosDoc, ElectronicDoc, ElectronicProtocol, Point, PointDoc
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.neb import HopNetworkDoc
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import InputError
from lzc_flows.jobs.hop_choice import hop_of, image_of, images_of
from lzc_flows.recovery.folder import earlier_folders
from lzc_flows.recovery.vasp_electronic import Electrons, electrons_with_vasp
from lzc_flows.transport.grid_packing import coarser, pack_grids

DOS_STEP_EV = 0.05
DOS_RANGE_EV = (-10.0, 10.0)
"""Densities of states in a document: around the Fermi energy, as fine as their broadening."""


@dataclass
class ElectronicMaker(Maker):
    """Look at the electrons of a crystal where an ion hops.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What computes the electrons, or its name: VASP.
    protocol
        Which hop, and which points of its path.
    host
        The crystal whose sites are those of the ions, as in the cineb job before; None for those of the bond-valence
        site-energy landscape.
    """

    name: str = "electronic"
    engine: EngineSpec | str = "vasp"
    protocol: ElectronicProtocol = field(default_factory=ElectronicProtocol)
    host: HostSpec | None = None

    @job(output_schema=ElectronicDoc, data="grids")
    def make(self, network: HopNetworkDoc, prev_dir: str | Path | None = None) -> ElectronicDoc | Response:
        """Return the electrons at the points of a hop; densities go to the data store.

        Parameters
        ----------
        network
            The hops of the crystal with their paths, as the cineb job returns them.
        prev_dir
            Directory of an earlier part of the run.

        Raises
        ------
        InputError
            No such hop, or an engine without electrons.
        CalculationError
            No way through the crystal, no converged path, or VASP failed.
        """
        here, engine = Path.cwd(), engine_spec(self.engine, LZC)
        if engine.name != "vasp" or engine.dft is None:
            raise InputError(f"engine {engine.name!r}: the electronic stage is VASP's; vasp is allowed")
        hop = hop_of(network, self.protocol)
        images = images_of(network, hop, self.host)
        points, found = {}, {}
        for point in self.protocol.points:
            number = image_of(hop, point)
            points[point] = number
            electrons = electrons_with_vasp(
                images[number], engine.dft, here / point, [place / point for place in earlier_folders(here, prev_dir)]
            )
            if electrons is None:
                return Response(replace=self.make(network, prev_dir=str(here)))
            found[point] = electrons
        return ElectronicDoc(
            hop=hop.id,
            barrier_forward_eV=hop.barrier_forward_eV or 0.0,
            points=[point_document(point, points[point], images[points[point]], found[point]) for point in found],
            wall_s=sum(each.wall_s for each in found.values()),
            engine=engine_of(engine).stamp(),
            dft=engine.dft,
            protocol=self.protocol,
            corrections=[correction for each in found.values() for correction in each.corrections],
            grids={point: pack_grids(self._coarse(each, images[0])) for point, each in found.items()},
        )

    def _coarse(self, found: Electrons, structure: Structure) -> dict[str, NDArray[np.float64]]:
        fine = {"density": found.density, "difference": found.difference, "localisation": found.localisation}
        spacing, lengths = self.protocol.grid_angstrom, structure.lattice.abc
        return {name: coarser(values, spacing, lengths) for name, values in fine.items()}


def point_document(point: Point, image: int, structure: Structure, found: Electrons) -> PointDoc:
    """Return what is known of the electrons at a point."""
    return PointDoc(
        point=point,
        image=image,
        structure=structure,
        energy_ev=found.energy_ev,
        gap_ev=found.gap_ev,
        fermi_ev=found.fermi_ev,
        electrons=found.electrons,
        moment_mu_b=found.moment_mu_b,
        displaced_electrons=float(np.abs(found.difference).mean()) * structure.volume / 2,
        dos=_dos(found),
        directory=str(found.folder),
    )


def _dos(found: Electrons) -> DosDoc:
    energies = np.arange(*DOS_RANGE_EV, DOS_STEP_EV)
    curves = {
        name: np.interp(energies, found.energies_ev, values, left=0.0, right=0.0).round(6).tolist()
        for name, values in found.dos.items()
    }
    return DosDoc(energies_eV=energies.round(6).tolist(), total=curves.pop("total"), by_element=curves)
