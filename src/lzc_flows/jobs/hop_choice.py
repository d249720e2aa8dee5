"""Which hop of a crystal, and which images of its path, are looked at more closely."""

from __future__ import annotations

import math

import numpy as np
from pymatgen.core import Structure

from lzc_flows.band.packing import unpack_path
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.electronic import ElectronicProtocol, Point
from lzc_flows.documents.neb import HopDoc, HopNetworkDoc
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.ends import state_structure
from lzc_flows.hopping.network import CARRIERS
from lzc_flows.jobs.hop_network import HopCrystal


def hop_of(network: HopNetworkDoc, protocol: ElectronicProtocol) -> HopDoc:
    """Return the hop that a protocol names, or the one that limits the way in its directions.

    Raises
    ------
    InputError
        The crystal has no hop of that name.
    CalculationError
        It has no converged path, or there is no way through the crystal.
    """
    if protocol.hop is None:
        return limiting_hop(network, protocol.target)
    named = [hop for hop in network.hops if hop.id == protocol.hop]
    if not named:
        raise InputError(
            f"hop {protocol.hop!r}: of this crystal, {', '.join(hop.id for hop in network.hops)} are allowed"
        )
    if named[0].status != "converged":
        raise CalculationError(f"hop {protocol.hop}: {named[0].status}, {named[0].reason}")
    return named[0]


def limiting_hop(network: HopNetworkDoc, target: str) -> HopDoc:
    """Return the hop whose saddle is the barrier of getting through the crystal in these directions.

    Raises
    ------
    CalculationError
        The converged hops lead nowhere there.
    """
    carrier = min(network.carriers, key=lambda each: each.barriers_eV[target], default=None)
    if carrier is None or not math.isfinite(carrier.barriers_eV[target]):
        raise CalculationError(f"no hops lead through the crystal along {target}")
    hops = [hop for hop in network.hops if hop.status == "converged" and _carrier_of(hop) == carrier.carrier]
    states = {energy for hop in hops for energy in (hop.initial_energy_eV, hop.final_energy_eV) if energy is not None}

    def above_barrier_ev(hop: HopDoc) -> float:
        assert hop.initial_energy_eV is not None  # it has converged
        assert hop.barrier_forward_eV is not None
        saddle = hop.initial_energy_eV + hop.barrier_forward_eV
        # a barrier is above the lowest state on its way, which need not be the lowest of all
        return min(abs(saddle - state - carrier.barriers_eV[target]) for state in states)

    return min(hops, key=above_barrier_ev)


def _carrier_of(hop: HopDoc) -> str:
    extra = {"vacancy": -1, "frenkel": 0}.get(hop.mechanism, 1)
    return CARRIERS[extra]


def images_of(network: HopNetworkDoc, hop: HopDoc, host: HostSpec | None) -> list[Structure]:
    """Return the images of a hop's path with oxidation states.

    Raises
    ------
    InputError
        The network came without its paths, or is of other sites.
    """
    if network.paths is None or hop.id not in network.paths:
        raise InputError(f"hop {hop.id}: its path is not in the data store")
    crystal = HopCrystal(network.structure, network.hop_protocol, host)
    start = state_structure(crystal.sites, crystal.orbits[hop.id].representative.initial(crystal.sites))
    positions = unpack_path(network.paths[hop.id])
    if positions.shape[1] != len(start):
        raise InputError(f"hop {hop.id}: a path of {positions.shape[1]} atoms, and the crystal has {len(start)}")
    return [Structure(start.lattice, start.species, image, coords_are_cartesian=True) for image in positions]


def image_of(hop: HopDoc, point: Point) -> int:
    """Return the index of an extreme point among the images of a path."""
    if point == "saddle":
        return int(np.argmax(hop.energies_eV))
    return 0 if point == "initial" else len(hop.energies_eV) - 1
