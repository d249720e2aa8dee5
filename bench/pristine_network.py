"""All distinct hops of undoped LZC (81 atoms) with NEP89 and CHGNet, beside both sources, and the diffusion they imply.

python bench/pristine_network.py FOLDER [--case nep --case chgnet]   # may be killed and started again: it goes on
python bench/pristine_network.py FOLDER --docs docs                      # results and figures for the docs as well

NEP89 takes half a minute, CHGNet ten minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from monty.serialization import dumpfn, loadfn

from lzc_flows.band.packing import unpack_path
from lzc_flows.crystal.host import ideal_host
from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.neb import HopDoc, HopNetworkDoc
from lzc_flows.documents.protocols import MECHANISMS, HopProtocol, NebProtocol, RelaxProtocol
from lzc_flows.engines.relax_worker import RelaxRequest
from lzc_flows.hopping.lattice_gas import Filling, Sampling, lattice_gas
from lzc_flows.hopping.random_walk import Network
from lzc_flows.hopping.sites import IonSites
from lzc_flows.jobs.hop_network import HopCrystal, hop_network, repeated
from lzc_flows.jobs.relax import with_sites_of
from lzc_flows.recovery.neb import NebSetting
from lzc_flows.recovery.relax import relax_to_convergence
from lzc_flows.report.figure import write_png
from lzc_flows.report.neb_compare import directions_figure
from lzc_flows.transport.sitegraph import SiteGraph

HOPS = HopProtocol(mechanisms=MECHANISMS, supercell=(1, 1, 3), temperatures_k=(300.0, 600.0, 800.0, 1000.0, 1100.0))
RELAXATION = RelaxProtocol()
"""To 0.02 eV/Å, as in section 1.7. Below that CHGNet leaves P-3m1 for P3m1, 4 meV lower in 27 atoms."""
CASES = {"nep": ("nep", None), "chgnet": ("chgnet", None), "nep-aimd": ("nep", (11.20927, 18.11472 / 3))}
"""Engine, and edges a and c in Å where the cell is not relaxed: those of section 1.8, of the dynamics."""
AIMD_D = {600: 0.74e-5, 1000: 10.1e-5, 1100: 12.8e-5}
"""Tracer diffusivities in cm²/s of NEP89's molecular dynamics (docs/aimd.md)."""


def relaxed_host(case: str, folder: Path) -> HopCrystal:
    """Return the host's crystal, relaxed by a case's engine once."""
    engine, edges = CASES[case]
    path = folder / f"host-{case}.json"
    if not path.is_file():
        (folder / f"relax-{case}").mkdir(parents=True, exist_ok=True)
        start = (ideal_host() if edges is None else ideal_host().scaled(*edges)).structure
        protocol = RELAXATION.model_copy(update={"relax_cell": edges is None})
        run = relax_to_convergence(RelaxRequest([start], engine, protocol), folder / f"relax-{case}")
        dumpfn(with_sites_of(start, run.attempts[-1].structure), path)
    return HopCrystal(repeated(loadfn(path), HOPS), HOPS, HostSpec(name="lzc"))


def single_ion_network(sites: IonSites, hops: list[HopDoc], attempt_hz: float, orbits: dict) -> Network:
    """Return what the hops make of one ion among empty sites: energies of sites, and the pass between each two.

    An ion on an empty site costs its Frenkel energy; of sites that no Frenkel hop reaches, the difference between
    interstitials is added. Passes are those of the mechanism in which nothing else moves.
    """
    by_id = {hop.id: hop for hop in hops}
    energy: dict[str, float] = {"6h": 0.0}
    for mechanism in ("frenkel", "interstitial"):
        for hop in hops:
            if hop.mechanism == mechanism and hop.barrier_forward_eV is not None:
                first, last = hop.labels
                rise = hop.barrier_forward_eV - float(hop.barrier_reverse_eV or 0.0)
                if first in energy:
                    energy.setdefault(last, energy[first] + rise)
                elif last in energy:
                    energy.setdefault(first, energy[last] - rise)
    levels: dict[tuple, float] = {}
    for name, orbit in orbits.items():
        hop = by_id[name]
        beside = hop.vacancy is not None
        if hop.barrier_forward_eV is None or len(hop.moves) > 1 or beside:
            continue
        level = energy[hop.labels[0]] + hop.barrier_forward_eV
        for member in orbit.members:
            (move,) = member.hop.moves
            levels[(move.site, move.to, move.translation)] = level
    edges = list(levels)
    energies = np.array([energy[label] for label in sites.labels])
    pairs = np.array([(site, to) for site, to, _ in edges])
    graph = SiteGraph(
        energies,
        pairs,
        np.array([translation for *_, translation in edges]),
        np.maximum(np.array([levels[edge] for edge in edges]), energies[pairs].max(axis=1)),
    )
    return Network(graph, sites.fractional, sites.structure.lattice.matrix, attempt_hz)


def diffusion(crystal: HopCrystal, document: HopNetworkDoc) -> list[dict[str, Any]]:
    """Return tracer diffusivities of all ions hopping among the sites, without any interaction but exclusion."""
    network = single_ion_network(crystal.sites, document.hops, 1e12 * document.hop_protocol.attempt_thz, crystal.orbits)
    rows = []
    for kelvin in (600, 800, 1000, 1100):
        filling = Filling(kelvin, ions=2 * len(crystal.sites.occupied), repeats=(1, 1, 2))
        gas = lattice_gas(network, filling, Sampling(seed=1))
        tracer = {str(name): (value.value, value.standard_error) for name, value in gas.tracer.items()}
        rows.append({"temperature_k": kelvin, "tracer_cm2_s": tracer, "aimd_cm2_s": AIMD_D.get(kelvin)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--docs", type=Path)
    arguments = parser.parse_args()
    content = {}
    for case in arguments.case or CASES:
        crystal = relaxed_host(case, arguments.folder)
        document = hop_network(crystal, NebSetting(CASES[case][0], NebProtocol(), arguments.folder / case))
        assert document is not None  # no time limit is set
        a, _, c = crystal.structure.lattice.abc
        print(f"\n{case}: a {a:.3f} Å, c {c / 3:.3f} Å; {document.statuses}, {document.evaluations} force evaluations")
        print("hop                sites             Å           way       equal  forward  back / eV  steps")
        for hop in document.hops:
            assert document.paths is not None
            images = len(unpack_path(document.paths[hop.id])) if hop.id in document.paths else 0
            barriers = f"{hop.barrier_forward_eV:7.3f} {hop.barrier_reverse_eV:7.3f}" if images else hop.status
            ways = "+".join(f"{way:.2f}" for way in hop.ways_A)
            words = " → ".join(hop.labels) + (f" ({hop.vacancy} vacant)" if hop.vacancy else "")
            print(f"{hop.id:18} {words:24} {ways:10} {hop.direction_word:8}", hop.multiplicity, barriers, len(hop.legs))
        for carrier in document.carriers:
            print(f"{carrier.carrier:14}", {name: round(value, 3) for name, value in carrier.barriers_eV.items()})
        kinetics = diffusion(crystal, document)
        for row in kinetics:
            along = {name: f"{value:.2e} ± {error:.0e}" for name, (value, error) in row["tracer_cm2_s"].items()}
            print(row["temperature_k"], "K", along, "AIMD", row["aimd_cm2_s"])
        content[case] = {
            "a_angstrom": a,
            "c_angstrom": c / 3,
            **document.model_dump(mode="json", exclude={"structure", "paths"}),
            "lattice_gas": kinetics,
        }
        if arguments.docs:
            write_png(directions_figure(document.hops), arguments.docs / "images" / f"hops-{case}.png")
    if arguments.docs:
        (arguments.docs / "data" / "pristine-network.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
