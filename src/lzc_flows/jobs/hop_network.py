"""The cineb job of a candidate: all its distinct hops, and what their barriers make of its carriers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from jobflow import Maker, Response, job
from pymatgen.core import Structure

from lzc_flows.band.packing import pack_path
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.crystal.ions import element_of
from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import LZC
from lzc_flows.documents.engine import EngineSpec, engine_spec
from lzc_flows.documents.neb import CarrierDoc, HopDoc, HopNetworkDoc, MoveDoc, SurroundingsDoc
from lzc_flows.documents.protocols import BvseProtocol, HopProtocol, NebProtocol
from lzc_flows.engines.base import ions_of
from lzc_flows.engines.neb_tasks import EndResult, Outcome, PathResult, Task, end_task, path_task
from lzc_flows.engines.registry import engine_of
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.ends import assembled, charge_e, state_structure
from lzc_flows.hopping.hops import State
from lzc_flows.hopping.host_sites import fitting_supercell, host_sites
from lzc_flows.hopping.landscape_sites import landscape_sites
from lzc_flows.hopping.network import CARRIERS, CarrierNetwork, HopEnergies, carrier_networks
from lzc_flows.hopping.orbits import HopOrbit, distinct_hops, symmetry_of
from lzc_flows.hopping.random_walk import random_walk
from lzc_flows.hopping.sites import IonSites, mobile_atoms
from lzc_flows.hopping.surroundings import HOST_ELEMENTS, surroundings
from lzc_flows.hopping.symmetry import SiteSymmetry
from lzc_flows.jobs.bvse import bvse_field
from lzc_flows.jobs.paths import barriers, curve, legs
from lzc_flows.recovery.folder import earlier_folders
from lzc_flows.recovery.neb import NebRun, NebSetting
from lzc_flows.recovery.paths import run_tasks
from lzc_flows.settings import get_settings
from lzc_flows.transport.msd import Direction
from lzc_flows.transport.percolation import TARGETS, percolation


@dataclass
class HopNetworkMaker(Maker):
    """Find the distinct hops of a crystal, their barriers, and how far they lead.

    Parameters
    ----------
    name
        Name of the job.
    engine
        What computes the forces, or its name.
    protocol
        How each path is found.
    hops
        Which hops are looked for.
    host
        The crystal whose sites, occupied and vacant, are those of the ions; None for the minima of the bond-valence
        site-energy landscape.
    """

    name: str = "cineb"
    engine: EngineSpec | str = "nep"
    protocol: NebProtocol = field(default_factory=NebProtocol)
    hops: HopProtocol = field(default_factory=HopProtocol)
    host: HostSpec | None = None

    @job(output_schema=HopNetworkDoc, data="paths")
    def make(self, structure: Structure, prev_dir: str | Path | None = None) -> HopNetworkDoc | Response:
        """Return all hops and the carriers' networks; the images of the paths go to the data store.

        A run that was killed goes on with what it had: in this directory, in `prev_dir`, or in one beside this one.
        One whose time is over is replaced by a job that goes on.

        Parameters
        ----------
        structure
            Relaxed ordered structure with oxidation states.
        prev_dir
            Directory of an earlier part of the run.
        """
        here = Path.cwd()
        earlier = tuple(earlier_folders(here, prev_dir))
        setting = NebSetting(engine_spec(self.engine, LZC), self.protocol, here, earlier, get_settings().stop_at_s)
        crystal = HopCrystal(repeated(structure, self.hops), self.hops, self.host)
        found = hop_network(crystal, setting)
        return found or Response(replace=self.make(structure, prev_dir=str(here)))


@dataclass(frozen=True)
class HopCrystal:
    """A crystal with its sites and its distinct hops.

    Attributes
    ----------
    structure
        Ordered, in the supercell of the hops.
    protocol
        Which hops are looked for.
    host
        Whose sites the ions take; None for those of the bond-valence site-energy landscape.
    """

    structure: Structure
    protocol: HopProtocol
    host: HostSpec | None = None

    @cached_property
    def sites(self) -> IonSites:
        """The sites of the mobile ion and which are neighbours.

        Raises
        ------
        InputError
            The crystal has none, or does not fit the host, or the host is partially occupied or of another ion.
        """
        ions = mobile_atoms(self.structure, self.protocol.mobile)
        if self.host is not None:
            host = self.host.read()
            if not host.is_ordered:
                raise InputError(f"host {host.name} is partially occupied: an ordered one, such as lzc, is allowed")
            if self.protocol.mobile != element_of(host.mobile):
                raise InputError(
                    f"mobile ion {self.protocol.mobile}: of host {host.name}, {element_of(host.mobile)} is allowed"
                )
            return host_sites(self.structure, fitting_supercell(host, self.structure))
        ion = str(self.structure[ions[0]].specie)
        field = bvse_field(self.structure, BvseProtocol(mobile=ion))
        return landscape_sites(self.structure, field, self.protocol.mobile, self.protocol.symprec_angstrom)

    @cached_property
    def symmetry(self) -> SiteSymmetry:
        """The space group that makes hops equal."""
        return symmetry_of(self.sites, self.protocol.symprec_angstrom)

    @cached_property
    def orbits(self) -> dict[str, HopOrbit]:
        """The distinct hops by name, as many as the protocol allows."""
        hops = distinct_hops(self.sites, self.protocol.mechanisms, self.symmetry)
        return dict(islice(hops.items(), self.protocol.most))

    @cached_property
    def states(self) -> tuple[State, ...]:
        """The states that the distinct hops join, each once."""
        hops = [orbit.representative for orbit in self.orbits.values()]
        return tuple(dict.fromkeys(state for hop in hops for state in (hop.initial(self.sites), hop.final(self.sites))))

    @property
    def host_elements(self) -> set[str]:
        """Elements of the framework that are no dopants."""
        if self.host is None:
            return set(HOST_ELEMENTS)
        return {element.symbol for element in self.host.read().structure.composition.element_composition}


def repeated(structure: Structure, protocol: HopProtocol) -> Structure:
    """Return the supercell of a structure in which its hops are looked for."""
    return structure.make_supercell(list(protocol.supercell), in_place=False)


def hop_network(crystal: HopCrystal, setting: NebSetting) -> HopNetworkDoc | None:
    """Return the document of a crystal's hops; None where the time was over before all were done.

    Raises
    ------
    InputError
        The crystal has no mobile ions, or does not fit the host; an engine is not installed.
    CalculationError
        The worker crashes whatever it does.
    """
    ends = run_tasks([("end", _task_of(crystal.sites, state)) for state in crystal.states], setting)
    if not ends.finished:
        return None
    relaxed = {state: _Relaxed(ends, name, setting) for state, name in zip(crystal.states, ends.names, strict=True)}
    failed: dict[str, tuple[str, str]] = {}
    tasks: dict[str, Task] = {}
    for name, orbit in crystal.orbits.items():
        try:
            tasks[name] = _path_task(crystal.sites, orbit, relaxed)
        except _EndError as error:
            failed[name] = (error.status, str(error))
    paths = run_tasks([("path", task) for task in tasks.values()], setting)
    if not paths.finished:
        return None
    found = dict(zip(tasks, paths.names, strict=True))
    return _Results(crystal, setting, failed, found, (ends, paths)).document()


class _EndError(CalculationError):
    """A hop has no two ends to find a path between."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class _Relaxed:
    """A state's relaxation."""

    run: NebRun
    name: str
    setting: NebSetting

    @property
    def outcome(self) -> Outcome:
        return self.run.outcomes[self.name]

    @cached_property
    def result(self) -> EndResult:
        return EndResult.read(self.setting.folder / self.name)


def _task_of(sites: IonSites, state: State) -> Task:
    start = state_structure(sites, state)
    return end_task(ions_of(start), start.lattice.matrix.copy(), start.cart_coords)


def _path_task(sites: IonSites, orbit: HopOrbit, relaxed: dict[State, _Relaxed]) -> Task:
    """Return the task of an orbit's path; raise `_EndError` where its relaxed states are not what they should be."""
    hop = orbit.representative
    ends, structures = [], []
    for which, state in (("initial", hop.initial(sites)), ("final", hop.final(sites))):
        end = relaxed[state]
        if end.outcome.status != "converged":
            raise _EndError(f"end {end.outcome.status}", f"{which} state: {end.outcome.reason}")
        unrelaxed = state_structure(sites, state)
        ends.append(end.result)
        structures.append(
            Structure(unrelaxed.lattice, unrelaxed.species, end.result.positions, coords_are_cartesian=True)
        )
    try:
        positions = assembled(sites, hop, *structures)
    except CalculationError as error:
        raise _EndError("end left its site", str(error)) from None
    whole = [replace(end, positions=where) for end, where in zip(ends, positions, strict=True)]
    return path_task(ions_of(structures[0]), structures[0].lattice.matrix.copy(), whole)


@dataclass(frozen=True)
class _Results:
    """What became of a crystal's hops, on its way into a document."""

    crystal: HopCrystal
    setting: NebSetting
    failed: dict[str, tuple[str, str]]
    names: dict[str, str]
    runs: tuple[NebRun, NebRun]

    def document(self) -> HopNetworkDoc:
        crystal, engine = self.crystal, engine_of(self.setting.engine)
        hops = [self._hop(name, orbit) for name, orbit in crystal.orbits.items()]
        outcomes = [outcome for run in self.runs for outcome in run.outcomes.values()]
        carriers = self._carriers()
        return HopNetworkDoc(
            structure=crystal.structure,
            symmetry=crystal.symmetry.symbol,
            sites=dict(Counter(crystal.sites.labels)),
            hops=hops,
            carriers=carriers,
            barriers_eV=_lowest(carriers),
            statuses=dict(Counter(hop.status for hop in hops)),
            evaluations=sum(outcome.evaluations for outcome in outcomes),
            wall_s=sum(outcome.wall_s for outcome in outcomes),
            charge_note=engine.charge_note,
            engine=engine.stamp(),
            hop_protocol=crystal.protocol,
            protocol=self.setting.protocol,
            corrections=self._corrections(),
            paths={name: pack_path(path.positions) for name, path in self._paths.items()},
        )

    @cached_property
    def _paths(self) -> dict[str, PathResult]:
        """The converged paths by hop."""
        outcomes = self.runs[1].outcomes
        done = {name: folder for name, folder in self.names.items() if outcomes[folder].status == "converged"}
        return {name: PathResult.read(self.setting.folder / folder) for name, folder in done.items()}

    def _hop(self, name: str, orbit: HopOrbit) -> HopDoc:
        sites, hop = self.crystal.sites, orbit.representative
        around = surroundings(sites, hop, self.crystal.host_elements)
        return HopDoc(
            id=name,
            mechanism=orbit.mechanism,
            labels=list(orbit.labels),
            vacancy=None if hop.vacancy is None else sites.labels[hop.vacancy],
            moves=[MoveDoc(**asdict(move)) for move in hop.moves],
            ways_A=list(orbit.distances_angstrom),
            direction=orbit.direction.tolist(),
            direction_word=orbit.direction_word,
            multiplicity=orbit.multiplicity,
            charge_e=charge_e(sites, hop),
            surroundings=SurroundingsDoc(**asdict(around)),
            **self._fate(name),
        )

    def _fate(self, name: str) -> dict[str, Any]:
        """Return what became of a hop's path, named as in its document."""
        if name in self.failed:
            status, reason = self.failed[name]
            return {"status": status, "reason": reason}
        outcome = self.runs[1].outcomes[self.names[name]]
        spent = {"evaluations": outcome.evaluations, "attempts": outcome.attempt + 1}
        if name not in self._paths:
            return {"status": outcome.status, "reason": outcome.reason, **spent}
        path = self._paths[name]
        return {
            "status": "converged",
            **barriers(path),
            **curve(path),
            "legs": legs(path),
            "initial_energy_eV": float(path.energies_ev[0]),
            "final_energy_eV": float(path.energies_ev[-1]),
            **spent,
        }

    def _carriers(self) -> list[CarrierDoc]:
        """Return what the converged hops make of each carrier."""
        energies = [
            HopEnergies(
                self.crystal.orbits[name],
                float(path.energies_ev[0]),
                float(path.energies_ev[-1]),
                float(path.energies_ev.max()),
            )
            for name, path in self._paths.items()
        ]
        return [self._carrier(network) for network in carrier_networks(self.crystal.sites, energies)]

    def _carrier(self, network: CarrierNetwork) -> CarrierDoc:
        protocol = self.crystal.protocol
        thresholds = percolation(network.graph).thresholds
        walking = network.walking(1e12 * protocol.attempt_thz)
        means = {f"{kelvin:g}": random_walk(walking, kelvin).mean for kelvin in protocol.temperatures_k}
        of_carrier = [
            name
            for name, orbit in self.crystal.orbits.items()
            if CARRIERS[orbit.representative.extra_ions] == network.carrier
        ]
        return CarrierDoc(
            carrier=network.carrier,
            hops=len(of_carrier),
            converged=sum(name in self._paths for name in of_carrier),
            barriers_eV={target: threshold.barrier_ev for target, threshold in thresholds.items()},
            spread_eV=network.spread_ev,
            D_cm2_s={kelvin: _by_name(mean.D_cm2_s) for kelvin, mean in means.items()},
            activation_eV={kelvin: _by_name(mean.activation_ev) for kelvin, mean in means.items()},
        )

    def _corrections(self) -> list[Correction]:
        return [correction for run in self.runs for correction in run.corrections]


def _by_name(values: Mapping[Direction, float]) -> dict[str, float]:
    return {str(direction): value for direction, value in values.items()}


def _lowest(carriers: list[CarrierDoc]) -> dict[str, float]:
    """Return the lowest barrier of all carriers for each target, +inf without any."""
    return {target: min((carrier.barriers_eV[target] for carrier in carriers), default=math.inf) for target in TARGETS}
