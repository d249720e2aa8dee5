"""The long protocol of section 1.8 on undoped LZC: six temperatures × 260 ps × 81 atoms with NEP89 (an hour).

python bench/aimd_long.py run FOLDER [--workers 2]       # may be killed and started again: it goes on
python bench/aimd_long.py show FOLDER --docs docs        # table, results for the docs' data, figures for its images
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lzc_flows.crystal.host import aimd_host
from lzc_flows.documents.aimd_protocol import named_protocol
from lzc_flows.engines.aimd_worker import TRAJECTORY_FILE, AimdRequest
from lzc_flows.jobs.diffusion import arrhenius_document, arrhenius_points, diffusion_result, motion_of, production
from lzc_flows.recovery.aimd import run_dynamics
from lzc_flows.report.arrhenius import PublishedLine, arrhenius_figure
from lzc_flows.report.density import density_figure
from lzc_flows.report.figure import write_png
from lzc_flows.report.motion import msd_figure
from lzc_flows.trajectory.reader import read_trajectory
from lzc_flows.transport.arrhenius import arrhenius
from lzc_flows.transport.density import symmetrised_density
from lzc_flows.transport.density_connectivity import connectivity
from lzc_flows.transport.diffusion import diffusion
from lzc_flows.transport.stability import stability

TEMPERATURES_K = (1100, 600, 800, 1000, 700, 900)
ENGINE = "nep"
SOURCE = PublishedLine("source, PBE", Ea_ev=0.257, sigma_mS_cm=6.46)
"""Supplementary Fig. 4a: 0.257 ± 0.015 eV and 6.46 ± 3.88 mS/cm at 300 K."""


def request(temperature_k: int) -> AimdRequest:
    """Return what to run; its seed is the temperature."""
    return AimdRequest(aimd_host().structure, ENGINE, named_protocol("lzc-long", temperature_k), seed=temperature_k)


def run(folder: Path, workers: int) -> None:
    def one(temperature_k: int) -> None:
        found = run_dynamics(request(temperature_k), folder / f"{temperature_k}K")
        print(f"{temperature_k} K: {found.outcome}, {len(found.history.corrections)} corrections", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, TEMPERATURES_K))


def show(folder: Path, docs: Path) -> None:
    results, curves = [], {}
    print("T / K   D / cm²/s (68 %)                 along a, b, c             TMSD / Å²  RSD   Haven  framework")
    for temperature in sorted(TEMPERATURES_K):
        part = production(read_trajectory(folder / f"{temperature}K" / TRAJECTORY_FILE))
        found, framework = diffusion(motion_of(part), "Li", temperature), stability(motion_of(part), "Li")
        result = diffusion_result(part, found).model_copy(update={"file": f"{temperature}K"})
        results.append(result)
        curves[temperature] = found
        low, high = found.D_interval
        along = " ".join(f"{found.by_direction[name].D_cm2_s:.2e}" for name in ("a", "b", "c"))
        haven = "-" if found.haven_ratio is None else f"{found.haven_ratio:.2f}"
        print(
            f"{temperature:5d}   {found.D_cm2_s:.3e} ({low:.3e} to {high:.3e})   {along}   "
            f"{found.tmsd_A2:7.0f}  {found.rsd_he:4.0%}  {haven:>5}  {framework.label}; {'; '.join(found.notes)}"
        )
    line = arrhenius(arrhenius_points(results))
    document = arrhenius_document(line, results)
    low, high = document.sigma_300K_interval
    print(f"Ea = {document.Ea_eV:.3f} ± {document.Ea_standard_error:.3f} eV (source 0.257 ± 0.015)")
    print(f"σ(300 K) = {document.sigma_300K_mS_cm:.3g} ({low:.3g} to {high:.3g}) mS/cm (source 6.46 ± 3.88)")
    print(f"χ² = {document.chi2:.2f} of {document.degrees_of_freedom} degrees of freedom; {'; '.join(document.notes)}")
    hottest = production(read_trajectory(folder / f"{max(TEMPERATURES_K)}K" / TRAJECTORY_FILE))
    density = symmetrised_density(motion_of(hottest), "Li", aimd_host().structure)
    connected = connectivity(density)
    levels = ", ".join(f"{target} {level:.3g}" for target, level in connected.levels.items())
    print(f"density at {max(TEMPERATURES_K)} K connects at these fractions of its maximum: {levels}")
    print(f"  {connected.samples_per_node:.2g} samples a node at 1/50; {'; '.join(connected.notes)}")
    slim = [result.model_dump(mode="json", exclude={"curves"}) for result in results]
    content = {"results": slim, "arrhenius": document.model_dump(mode="json"), "density_levels": connected.levels}
    (docs / "data" / "aimd-long.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    images = docs / "images"
    write_png(arrhenius_figure(line, arrhenius_points(results), SOURCE), images / "aimd-arrhenius.png")
    write_png(msd_figure([curves[600], curves[1100]]), images / "aimd-msd.png")
    write_png(density_figure(density, aimd_host().structure), images / "aimd-density.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "show"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    given = parser.parse_args()
    if given.what == "run":
        run(given.folder, given.workers)
    else:
        show(given.folder, given.docs)


if __name__ == "__main__":
    main()
