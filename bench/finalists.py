"""What `lzc run flows/barriers.yaml` found: hops of the undoped host and of P, Al and Ti with F, and how they ended.

python bench/finalists.py [--docs docs]     # reads the campaign from the database of the settings
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from lzc_flows.database.queries import candidates
from lzc_flows.database.stores import TASKS, Database, connect
from lzc_flows.documents.neb import HopNetworkDoc
from lzc_flows.report.figure import write_png
from lzc_flows.report.neb_barriers import barriers_figure

Group = tuple[str, str, str]


def networks(database: Database, campaign: str) -> dict[str, HopNetworkDoc]:
    """Return the documents of the cineb stage by the candidates' cations, the undoped host's as ``pristine``."""
    found = {}
    for summary in candidates(database, campaign):
        record = summary["stages"].get("cineb")
        if record is not None:
            place = {"uuid": record["uuid"], "index": record["index"]}
            task = database.collection(TASKS).find_one(place, {"output": True})
            assert task is not None
            content = {name: value for name, value in task["output"].items() if name != "paths"}
            found[summary["cation"] or "pristine"] = HopNetworkDoc.from_stored(content)
    return found


def barriers_by_group(network: HopNetworkDoc) -> dict[Group, list[float]]:
    """Return the barriers of the converged hops, both ways, by mechanism, sites and dopant shell."""
    found: dict[Group, list[float]] = defaultdict(list)
    for hop in network.hops:
        if hop.barrier_forward_eV is None or hop.barrier_reverse_eV is None:
            continue
        for labels, barrier in ((hop.labels, hop.barrier_forward_eV), (hop.labels[::-1], hop.barrier_reverse_eV)):
            found[hop.mechanism, " → ".join(labels), hop.surroundings.dopant_shell] += [barrier] * hop.multiplicity
    return found


def statistics(network: HopNetworkDoc) -> dict[str, Any]:
    """Return what the docs hold of one candidate."""
    groups = {
        " | ".join(group): {
            "hops": len(values),
            "barrier_eV_quartiles": np.percentile(values, [0, 25, 50, 75, 100]).round(4).tolist(),
        }
        for group, values in sorted(barriers_by_group(network).items())
    }
    return {
        "formula": network.structure.composition.formula,
        "symmetry": network.symmetry,
        "statuses": network.statuses,
        "attempts": dict(Counter(hop.attempts for hop in network.hops if hop.status == "converged")),
        "evaluations": network.evaluations,
        "wall_s": network.wall_s,
        "carriers": [carrier.model_dump(mode="json") for carrier in network.carriers],
        "groups": groups,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaign", default="barriers")
    parser.add_argument("--docs", type=Path)
    arguments = parser.parse_args()
    content = {}
    for cation, network in networks(connect(), arguments.campaign).items():
        content[cation] = statistics(network)
        print(f"\n{cation} {network.structure.composition.formula} {network.symmetry}: {network.statuses}")
        for carrier in network.carriers:
            barriers = {target: round(value, 3) for target, value in carrier.barriers_eV.items()}
            print(f"  {carrier.carrier:13} {carrier.converged} of {carrier.hops} hops: {barriers}")
        for name, group in content[cation]["groups"].items():
            print(f"  {name:45} {group['hops']:5} {group['barrier_eV_quartiles']}")
        if arguments.docs:
            figure = barriers_figure(network.hops, f"{cation}: {network.structure.composition.formula}")
            write_png(
                figure, arguments.docs / "images" / f"finalist-{cation.rstrip('0123456789+').lower()}.png", dpi=150
            )
    if arguments.docs:
        (arguments.docs / "data" / "finalists.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
