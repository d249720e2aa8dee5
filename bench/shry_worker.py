"""SHRY's orbits of a disordered crystal, for `order_vs_peers.py`. Needs SHRY and the pymatgen it pins, not lzc-flows.

Run ``python shry_worker.py request.json result.json``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

from pymatgen.core import PeriodicSite, Structure
from shry import Substitutor


def sublattice(site: PeriodicSite) -> int:
    return site.properties["sublattice"]


def main() -> None:
    warnings.simplefilter("ignore")
    request_path, result_path = map(Path, sys.argv[1:])
    request = json.loads(request_path.read_text())
    labels = {"sublattice": request["sublattices"]}
    structure = Structure(request["matrix"], request["species"], request["fractional"], site_properties=labels)
    seconds = []
    for _ in range(request["runs"]):
        start = time.perf_counter()
        weights = [packet["weight"] for packet in Substitutor(structure, groupby=sublattice).quantities(("weight",))]
        seconds.append(time.perf_counter() - start)
    letters = [packet["letter"] for packet in Substitutor(structure, groupby=sublattice).quantities(("letter",))]
    result = {"version": version("shry"), "seconds": seconds, "weights": list(map(int, weights)), "letters": letters}
    result_path.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
