from __future__ import annotations

import math

import numpy as np
import pytest

from lzc_flows.band.packing import unpack_path
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.electronic import ElectronicProtocol
from lzc_flows.documents.neb import HopDoc, HopNetworkDoc
from lzc_flows.errors import CalculationError, InputError
from lzc_flows.hopping.network import HopEnergies, carrier_networks
from lzc_flows.jobs.hop_choice import hop_of, image_of, images_of, limiting_hop
from lzc_flows.jobs.hop_network import HopCrystal
from lzc_flows.transport.percolation import percolation

LZC = HostSpec(name="lzc")


def changed(network: HopNetworkDoc, name: str, **values: object) -> HopNetworkDoc:
    hops = [hop.model_copy(update=values) if hop.id == name else hop for hop in network.hops]
    return network.model_copy(update={"hops": hops})


def barrier_without(network: HopNetworkDoc, left_out: HopDoc, target: str) -> float:
    """The barrier in these directions where a hop is closed."""
    crystal = HopCrystal(network.structure, network.hop_protocol, LZC)
    energies = [
        HopEnergies(
            crystal.orbits[hop.id],
            hop.initial_energy_eV,
            hop.final_energy_eV,
            hop.initial_energy_eV + hop.barrier_forward_eV,
        )
        for hop in network.hops
        if hop.id != left_out.id
    ]
    (carrier,) = carrier_networks(crystal.sites, energies)
    thresholds = percolation(carrier.graph).thresholds
    return thresholds[target].barrier_ev if target in thresholds else math.inf


@pytest.mark.parametrize("target", ["a", "b", "ab", "1d", "2d"])
def test_without_the_limiting_hop_the_barrier_is_another(vacancies: HopNetworkDoc, target: str) -> None:
    """And it is itself that high above the lowest state."""
    hop = limiting_hop(vacancies, target)
    barrier = vacancies.carriers[0].barriers_eV[target]
    lowest = min(energy for each in vacancies.hops for energy in (each.initial_energy_eV, each.final_energy_eV))
    assert hop.initial_energy_eV + hop.barrier_forward_eV - lowest == pytest.approx(barrier, abs=1e-9)
    assert barrier_without(vacancies, hop, target) > barrier + 1e-3
    assert hop_of(vacancies, ElectronicProtocol(target=target)) == hop


def test_a_lower_state_off_the_way_does_not_matter(vacancies: HopNetworkDoc) -> None:
    """Such as a trap beside a dopant: what leads from it is no way through."""
    trap = vacancies.hops[1].model_copy(
        update={"id": "vacancy-9", "initial_energy_eV": vacancies.hops[1].initial_energy_eV - 0.05}
    )
    trapped = vacancies.model_copy(update={"hops": [*vacancies.hops, trap]})
    assert limiting_hop(trapped, "ab") == limiting_hop(vacancies, "ab")


def test_hops_that_cannot_be_looked_at(vacancies: HopNetworkDoc) -> None:
    with pytest.raises(CalculationError, match=r"^no hops lead through the crystal along c$"):
        limiting_hop(vacancies, "c")
    with pytest.raises(CalculationError, match=r"^no hops lead through the crystal along ab$"):
        limiting_hop(vacancies.model_copy(update={"carriers": []}), "ab")
    names = ", ".join(hop.id for hop in vacancies.hops)
    with pytest.raises(InputError, match=rf"^hop 'vacancy-77': of this crystal, {names} are allowed$"):
        hop_of(vacancies, ElectronicProtocol(hop="vacancy-77"))
    failed = changed(vacancies, "vacancy-2", status="unconverged", reason="no steps left")
    with pytest.raises(CalculationError, match=r"^hop vacancy-2: unconverged, no steps left$"):
        hop_of(failed, ElectronicProtocol(hop="vacancy-2"))
    assert hop_of(vacancies, ElectronicProtocol(hop="vacancy-2")).id == "vacancy-2"


def test_images_are_those_of_the_path_with_their_ions(vacancies: HopNetworkDoc) -> None:
    for hop in vacancies.hops[:2]:
        images = images_of(vacancies, hop, LZC)
        assert vacancies.paths is not None
        positions = unpack_path(vacancies.paths[hop.id])
        assert len(images) == len(hop.energies_eV)
        assert np.array([image.cart_coords for image in images]) == pytest.approx(positions, abs=1e-6)
        for image in images:
            assert image.composition == images[0].composition
            assert sum(site.specie.oxi_state for site in image) == hop.charge_e == -1
        # only ions near a vacancy move far
        assert np.linalg.norm(images[-1].cart_coords - images[0].cart_coords, axis=1).max() == pytest.approx(
            max(hop.ways_A), rel=0.2
        )


def test_extreme_points(vacancies: HopNetworkDoc) -> None:
    for hop in vacancies.hops:
        saddle = image_of(hop, "saddle")
        assert hop.energies_eV[saddle] == max(hop.energies_eV) == hop.barrier_forward_eV
        assert (image_of(hop, "initial"), image_of(hop, "final")) == (0, len(hop.energies_eV) - 1)
        assert 0 < saddle < len(hop.energies_eV) - 1


def test_paths_that_are_not_there_or_of_other_sites(vacancies: HopNetworkDoc) -> None:
    hop = vacancies.hops[0]
    with pytest.raises(InputError, match=r"^hop vacancy-1: its path is not in the data store$"):
        images_of(vacancies.model_copy(update={"paths": None}), hop, LZC)
    assert vacancies.paths is not None
    with pytest.raises(InputError, match=r"^hop vacancy-1: its path is not in the data store$"):
        images_of(vacancies.model_copy(update={"paths": {"vacancy-2": vacancies.paths["vacancy-2"]}}), hop, LZC)
