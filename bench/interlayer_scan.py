"""Barriers of undoped LZC's hops against the distance of its layers, after Supplementary Fig. 4b: the flow, run here.

python bench/interlayer_scan.py FOLDER [--docs docs]     # 5 lengths of c with NEP89: 3 minutes on an idle core

FOLDER holds the relaxed host of bench/pristine_network.py, or gets it; what was done there is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.serialization import loadfn

from lzc_flows.crystal.hostspec import HostSpec
from lzc_flows.documents.neb import InterlayerScanDoc
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.flows.interlayer import InterlayerScanMaker
from lzc_flows.jobs.hop_network import HopNetworkMaker
from lzc_flows.jobs.relax import RelaxMaker
from lzc_flows.report.figure import write_png
from lzc_flows.report.neb_barriers import interlayer_figure, scan_points
from pristine_network import HOPS, relaxed_host

ENGINE = "nep"
RELAXATION = RelaxProtocol(relax_cell=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--docs", type=Path)
    arguments = parser.parse_args()
    folder, docs = arguments.folder.absolute(), arguments.docs and arguments.docs.absolute()
    relaxed_host(ENGINE, folder)
    maker = InterlayerScanMaker(
        relax_maker=RelaxMaker(engine=ENGINE, protocol=RELAXATION),
        network_maker=HopNetworkMaker(engine=ENGINE, hops=HOPS, host=HostSpec(name="lzc")),
    )
    flow = maker.make(loadfn(folder / f"host-{ENGINE}.json"))
    (folder / "interlayer").mkdir(exist_ok=True)
    os.chdir(folder / "interlayer")  # jobflow makes a folder for each job in the current one
    store = JobStore(MemoryStore(), additional_stores={"paths": MemoryStore(), "data": MemoryStore()})
    outputs = run_locally(flow, create_folders=True, ensure_success=True, store=store)
    scan = InterlayerScanDoc.model_validate(outputs[flow.jobs[-1].uuid][1].output)
    for point in scan.points:
        found = {hop.id: hop.barrier_forward_eV and round(hop.barrier_forward_eV, 3) for hop in point.hops}
        print(f"c {point.c_angstrom:.3f} Å, layers {point.interlayer_angstrom:.3f} Å: {found}")
        print("   ", {target: round(barrier, 3) for target, barrier in point.barriers_eV.items()})
    if docs:
        write_png(interlayer_figure(scan_points(scan)), docs / "images" / "hops-interlayer.png")
        (docs / "data" / "interlayer-scan.json").write_text(json.dumps(scan.model_dump(mode="json"), indent=1) + "\n")


if __name__ == "__main__":
    main()
