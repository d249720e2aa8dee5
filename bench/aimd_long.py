"""The long protocol of section 1.8 on undoped LZC: six temperatures × 260 ps × 81 atoms with NEP89 (hours).

python bench/aimd_long.py run FOLDER [--workers 2]       # may be killed and started again: it goes on
python bench/aimd_long.py show FOLDER                    # diffusivities, Arrhenius fit, figures
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lzc_flows.crystal.host import aimd_host
from lzc_flows.documents.aimd_protocol import named_protocol
from lzc_flows.engines.aimd_worker import AimdRequest
from lzc_flows.recovery.aimd import run_dynamics

TEMPERATURES_K = (1100, 600, 800, 1000, 700, 900)
ENGINE = "nep"


def request(temperature_k: int) -> AimdRequest:
    """Return what to run; its seed is the temperature."""
    return AimdRequest(aimd_host().structure, ENGINE, named_protocol("lzc-long", temperature_k), seed=temperature_k)


def run(folder: Path, workers: int) -> None:
    def one(temperature_k: int) -> None:
        found = run_dynamics(request(temperature_k), folder / f"{temperature_k}K")
        print(f"{temperature_k} K: {found.outcome}, {len(found.history.corrections)} corrections", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, TEMPERATURES_K))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("run",))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    run(given.folder, given.workers)


if __name__ == "__main__":
    main()
