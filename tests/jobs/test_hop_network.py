from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jobflow.core.job import Job
from pymatgen.core import Structure

from lzc_flows.band.packing import unpack_path
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.neb import HopDoc, HopNetworkDoc
from lzc_flows.documents.protocols import HopProtocol, NebProtocol
from lzc_flows.engines.mlip import MLIP_CHARGE_NOTE, MLIPS
from lzc_flows.errors import InputError
from lzc_flows.jobs.hop_network import HopCrystal, HopNetworkMaker, hop_network, repeated
from lzc_flows.recovery import neb as recovery_neb
from lzc_flows.recovery.neb import NebSetting

NEP = EngineSpec(name="nep")

LZC = HostSpec(name="lzc")
HOPS = HopProtocol(mechanisms=("vacancy", "frenkel"), temperatures_k=(300.0, 600.0))
TARGETS = ("1d", "2d", "3d", "a", "b", "c", "ab")


pytestmark = pytest.mark.usefixtures("quick_polls")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="module")
def document(run: Callable[[Job, Path], HopNetworkDoc], folder: Path, settled_host: Structure) -> HopNetworkDoc:
    """All hops of vacancies and Frenkel pairs in one cell of the host, 27 atoms, as they come from the stores."""
    return run(HopNetworkMaker(hops=HOPS, host=LZC).make(settled_host), folder)


@pytest.fixture(scope="module")
def crystal(settled_host: Structure) -> HopCrystal:
    return HopCrystal(repeated(settled_host, HOPS), HOPS, LZC)


def of(document: HopNetworkDoc, name: str) -> HopDoc:
    return next(hop for hop in document.hops if hop.id == name)


def require_numbers_or_names(document: HopNetworkDoc) -> None:
    """Every hop is converged within the protocol's limits, or has a name and a reason instead of numbers."""
    protocol = document.protocol
    assert document.statuses == dict(Counter(hop.status for hop in document.hops))
    assert document.paths is not None
    assert set(document.paths) == {hop.id for hop in document.hops if hop.status == "converged"}
    for hop in document.hops:
        if hop.status != "converged":
            assert hop.reason
            assert (hop.barrier_forward_eV, hop.barrier_reverse_eV, hop.fmax, hop.legs) == (None, None, None, [])
            continue
        assert hop.reason is None
        assert None not in (hop.barrier_forward_eV, hop.barrier_reverse_eV, hop.fmax)
        assert hop.fmax <= protocol.fmax_climbing_ev_per_angstrom
        assert all(leg.fmax_band <= protocol.fmax_band_ev_per_angstrom for leg in hop.legs)
        highest = max(hop.energies_eV)
        assert hop.barrier_forward_eV == pytest.approx(highest, abs=1e-12)
        assert hop.barrier_reverse_eV == pytest.approx(highest - hop.energies_eV[-1], abs=1e-9)
        assert hop.final_energy_eV - hop.initial_energy_eV == pytest.approx(hop.energies_eV[-1], abs=1e-9)
        assert unpack_path(document.paths[hop.id]).shape[0] == len(hop.energies_eV) == len(hop.distances_A)
        assert hop.legs[0].first_image == 0
        assert hop.legs[-1].last_image == len(hop.energies_eV) - 1
        assert hop.evaluations > 0
        assert hop.attempts >= 1


def independent_barriers(crystal: HopCrystal, document: HopNetworkDoc, mechanism: str) -> dict[str, float]:
    """The least highest saddle above the lowest state, from the documents' hops, by trying every level in turn.

    A walk over states is followed with the sum of the ions' displacements; where it comes back to a state with
    another sum, the difference is a winding, and the rank of all windings tells in how many directions ions get on.
    """
    fractional = crystal.sites.fractional
    energy: dict[tuple[int, ...], float] = {}
    edges = []
    for name, orbit in crystal.orbits.items():
        hop = of(document, name)
        if hop.mechanism != mechanism or hop.barrier_forward_eV is None:
            continue
        assert hop.initial_energy_eV is not None
        assert hop.final_energy_eV is not None
        saddle = hop.initial_energy_eV + hop.barrier_forward_eV
        for member in orbit.members:
            ends = [member.hop.initial(crystal.sites), member.hop.final(crystal.sites)]
            both = [hop.initial_energy_eV, hop.final_energy_eV][:: -1 if member.backward else 1]
            energy |= dict(zip(ends, both, strict=True))
            moved = sum(fractional[move.to] + move.translation - fractional[move.site] for move in member.hop.moves)
            edges.append((saddle, *ends, moved))
    found: dict[str, float] = {}
    for level in sorted({saddle for saddle, *_ in edges}):
        opened: dict[str, float] = {}
        for windings, lowest in components(level, energy, edges):
            rank = np.linalg.matrix_rank(windings) if windings else 0
            along = {
                axis: rank > 0 and np.linalg.matrix_rank([*windings, np.eye(3)[number]]) == rank
                for number, axis in enumerate("abc")
            }
            does = {"1d": rank > 0, "2d": rank > 1, "3d": rank > 2, **along, "ab": along["a"] and along["b"]}
            for target in (target for target in TARGETS if does[target]):
                opened[target] = min(opened.get(target, math.inf), level - lowest)
        found = opened | found
    return dict.fromkeys(TARGETS, math.inf) | found


def components(level: float, energy: dict[Any, float], edges: list[Any]) -> Iterator[tuple[list[np.ndarray], float]]:
    """The windings of each set of states joined by saddles up to a level, and the lowest energy there."""
    neighbours: dict[Any, list[tuple[Any, np.ndarray]]] = {state: [] for state in energy}
    for saddle, one, other, moved in edges:
        if saddle <= level:
            neighbours[one].append((other, moved))
            neighbours[other].append((one, -moved))
    seen: dict[Any, np.ndarray] = {}
    for start in energy:
        if start in seen:
            continue
        seen[start] = np.zeros(3)
        windings, todo, members = [], [start], [start]
        while todo:
            state = todo.pop()
            for other, moved in neighbours[state]:
                there = seen[state] + moved
                if other not in seen:
                    seen[other] = there
                    todo.append(other)
                    members.append(other)
                elif np.abs(there - seen[other]).max() > 1e-6:
                    windings.append(np.rint(there - seen[other]))
        yield windings, min(energy[state] for state in members)


# ---- the document ----


def test_all_hops_are_converged_or_named(document: HopNetworkDoc) -> None:
    require_numbers_or_names(document)
    assert document.statuses == {"converged": 7}


def test_the_document_says_what_was_asked_and_found(document: HopNetworkDoc, crystal: HopCrystal) -> None:
    assert list(crystal.orbits) == [hop.id for hop in document.hops]
    assert document.structure.matches(crystal.structure)
    assert len(document.structure) == 27
    assert document.symmetry == "P-3m1"
    assert document.sites == {"6h": 6, "6g": 6, "1b": 1, "2d'": 2}
    assert (document.hop_protocol, document.protocol) == (HOPS, NebProtocol())
    assert document.engine == MLIPS["nep"].stamp()
    assert document.charge_note == MLIP_CHARGE_NOTE
    assert document.corrections == []
    assert document.evaluations > sum(hop.evaluations for hop in document.hops) > 0
    assert document.wall_s > 0
    for hop in document.hops:
        orbit = crystal.orbits[hop.id]
        assert (hop.mechanism, tuple(hop.labels)) == (orbit.mechanism, orbit.labels)
        assert (hop.multiplicity, hop.direction_word) == (orbit.multiplicity, orbit.direction_word)
        assert hop.charge_e == (-1 if hop.mechanism == "vacancy" else 0)
        assert hop.surroundings.dopant_shell == "none"
        assert set(hop.surroundings.anions_in_bottleneck) == {"Cl"}


def test_barriers_of_hops_that_symmetry_makes_their_own_reverse_are_equal(
    document: HopNetworkDoc, crystal: HopCrystal
) -> None:
    """The ends are relaxed on their own, each to its 0.01 eV/Å."""
    alike = [of(document, name) for name, orbit in crystal.orbits.items() if orbit.palindromic]
    assert alike
    for hop in alike:
        assert hop.barrier_forward_eV == pytest.approx(hop.barrier_reverse_eV, abs=1e-3)


def test_the_hop_along_c_is_the_one_found_alone(document: HopNetworkDoc) -> None:
    (hop,) = (hop for hop in document.hops if hop.mechanism == "frenkel" and hop.labels == ["6h", "6g"])
    assert hop.direction_word == "c"
    assert hop.barrier_forward_eV == pytest.approx(0.319, abs=0.002)


@pytest.mark.parametrize("carrier", ["vacancy", "frenkel"])
def test_the_networks_barriers_follow_from_those_of_the_hops(
    document: HopNetworkDoc, crystal: HopCrystal, carrier: str
) -> None:
    (found,) = (entry for entry in document.carriers if entry.carrier == carrier)
    expected = independent_barriers(crystal, document, carrier)
    assert found.barriers_eV == {target: pytest.approx(value, abs=2e-3) for target, value in expected.items()}
    assert any(math.isfinite(value) for value in expected.values())
    of_it = [hop for hop in document.hops if hop.mechanism == carrier]
    assert (found.hops, found.converged) == (len(of_it), len(of_it))
    assert found.spread_eV < 2e-3  # hops agree on the states that they share


def test_the_lowest_carrier_counts(document: HopNetworkDoc) -> None:
    assert list(document.barriers_eV) == list(TARGETS)
    for target, barrier in document.barriers_eV.items():
        assert barrier == min(carrier.barriers_eV[target] for carrier in document.carriers)


def test_diffusivities_are_of_the_temperatures_asked_for(document: HopNetworkDoc) -> None:
    for carrier in document.carriers:
        assert list(carrier.D_cm2_s) == list(carrier.activation_eV) == ["300", "600"]
        for axis in "abc":
            percolates = math.isfinite(carrier.barriers_eV[axis])
            cold, hot = (carrier.D_cm2_s[kelvin][axis] for kelvin in ("300", "600"))
            assert (0 < cold < hot) if percolates else (cold == hot == 0)


# ---- over as many launches as it takes ----


def test_what_was_found_is_not_looked_for_again(
    folder: Path, document: HopNetworkDoc, crystal: HopCrystal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer hops of the same crystal neither."""
    monkeypatch.setattr(recovery_neb, "run_worker", None)
    (request,) = folder.rglob("neb_request.json")
    setting = NebSetting(NEP, NebProtocol(), tmp_path, (request.parent,))
    assert hop_network(crystal, setting) == document
    some = HopCrystal(crystal.structure, HOPS.model_copy(update={"mechanisms": ("frenkel",)}), LZC)
    found = hop_network(some, setting)
    assert found is not None
    assert [hop.id for hop in found.hops] == ["frenkel-1", "frenkel-2"]
    assert found.hops == [hop for hop in document.hops if hop.mechanism == "frenkel"]


def test_a_network_whose_time_is_over_is_none(crystal: HopCrystal, tmp_path: Path) -> None:
    setting = NebSetting(NEP, NebProtocol(), tmp_path, stop_at_s=time.time() - 1)
    assert hop_network(crystal, setting) is None


# ---- what fails ----


def test_a_network_without_a_converged_end_has_no_barrier(crystal: HopCrystal, tmp_path: Path) -> None:
    """Ends that would need more than the few steps of the last attempt."""
    some = HopCrystal(crystal.structure, HOPS.model_copy(update={"mechanisms": ("vacancy",)}), LZC)
    protocol = NebProtocol(fmax_ends_ev_per_angstrom=1e-7, max_steps=2)
    document = hop_network(some, NebSetting(NEP, protocol, tmp_path))
    assert document is not None
    require_numbers_or_names(document)
    assert document.statuses == {"end unconverged": 5}
    assert all(hop.reason.startswith("initial state: end not relaxed after ") for hop in document.hops)
    assert document.carriers == []
    assert document.barriers_eV == dict.fromkeys(TARGETS, math.inf)
    assert len(document.corrections) == 2


def test_a_hop_to_a_site_that_holds_no_ion_says_that_its_end_left(
    settled_host: Structure, own_host: Callable[[float], dict[str, Any]], tmp_path: Path
) -> None:
    """A site put 1 Å above the ions of 6h, on their way to 6g: from there they fall back."""
    x, y, z = settled_host.frac_coords[next(i for i, site in enumerate(settled_host) if site.specie.symbol == "Li")]
    above = (float(x), float(y), float(z) - 0.17)
    host = HostSpec(**own_host(0.0), vacant={"12j": above})
    hops = HopProtocol(mechanisms=("frenkel",))
    crystal = HopCrystal(settled_host, hops, host)
    document = hop_network(crystal, NebSetting(NEP, NebProtocol(), tmp_path))
    assert document is not None
    require_numbers_or_names(document)
    assert set(document.statuses) == {"end left its site"}
    for hop in document.hops:
        assert "relaxed into another one" in hop.reason or "went to site" in hop.reason
    assert document.carriers == []


def test_a_crystal_without_the_ion_is_refused(settled_host: Structure, tmp_path: Path) -> None:
    crystal = HopCrystal(settled_host, HopProtocol(mobile="Na"), LZC)
    with pytest.raises(InputError, match="mobile ion Na: the crystal has none"):
        hop_network(crystal, NebSetting(NEP, NebProtocol(), tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_supercell_repeats_the_crystal(settled_host: Structure) -> None:
    tall = repeated(settled_host, HopProtocol(supercell=(1, 1, 2)))
    assert tall.composition == 2 * settled_host.composition
    assert tall.lattice.c == pytest.approx(2 * settled_host.lattice.c)
    assert len(settled_host) == 27  # its own is left


# ---- larger ones ----


@pytest.mark.slow
def test_three_layers_with_all_mechanisms(settled_host: Structure, tmp_path: Path) -> None:
    """Hops no longer meet their own images along c."""
    hops = HopProtocol(supercell=(1, 1, 3), mechanisms=("vacancy", "interstitial", "interstitialcy", "frenkel"))
    crystal = HopCrystal(repeated(settled_host, hops), hops, LZC)
    document = hop_network(crystal, NebSetting(NEP, NebProtocol(), tmp_path))
    assert document is not None
    require_numbers_or_names(document)
    assert document.statuses["converged"] >= len(document.hops) - 2
    for carrier in ("vacancy", "frenkel"):
        (found,) = (entry for entry in document.carriers if entry.carrier == carrier)
        expected = independent_barriers(crystal, document, carrier)
        assert found.barriers_eV == {target: pytest.approx(value, abs=5e-3) for target, value in expected.items()}


@pytest.mark.slow
def test_sites_of_the_landscape_instead_of_the_hosts(settled_host: Structure, tmp_path: Path) -> None:
    crystal = HopCrystal(settled_host, replace_mechanisms("vacancy", "frenkel"))
    document = hop_network(crystal, NebSetting(NEP, NebProtocol(), tmp_path))
    assert document is not None
    require_numbers_or_names(document)
    assert document.statuses.get("converged", 0) > 0
    assert document.sites["6h"] == 6
    json.dumps(document.model_dump(mode="json", exclude={"structure"}))


def replace_mechanisms(*mechanisms: str) -> HopProtocol:
    return HOPS.model_copy(update={"mechanisms": mechanisms})
