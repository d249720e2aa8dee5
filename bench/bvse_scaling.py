"""How seconds and memory of BVSE grow with the nodes of the grid and with the atoms of the cell.

Run ``python bench/bvse_scaling.py`` (two minutes, 0.6 GB): Li2ZrCl6 with all ions displaced, without any symmetry;
one cell on ever finer grids, and ever larger cells at one grid step. Each case runs in its own process; times are the
least of three runs of the compiled code. The growth is what comes on top of a run of the same crystal on a coarse grid;
the powers by which it grows are printed, and drawn in ``docs/images/bvse-scaling.png``. Wants an idle machine; needs
Linux.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bvse_worker import memory, perturbed, run_worker
from lzc_flows.crystal.host import ideal_host
from lzc_flows.report.figure import INK, SOFT_INK, figure_style, write_png
from lzc_flows.transport.basins import basins
from lzc_flows.transport.bvse import MAX_ENERGY_EV, energy_field
from lzc_flows.transport.percolation import percolation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pymatgen.core import Structure

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "bvse-scaling.png"
RUNS = 3
COARSE_ANGSTROM = 1.0
"""Grid step of a run whose time and memory are the fixed costs, such as the tables and the search for symmetry."""

STEPS_ANGSTROM = (0.12, 0.1, 0.08, 0.07, 0.06, 0.05, 0.04, 0.035)
SUPERCELLS = (
    (1, 1, 1),
    (1, 1, 2),
    (1, 1, 3),
    (2, 2, 1),
    (3, 2, 1),
    (2, 2, 2),
    (3, 2, 2),
    (2, 2, 4),
)
SUPERCELL_STEP_ANGSTROM = 0.12
ATOM_TICKS = (27, 54, 108, 216, 432)

QUANTITIES = {
    "field": ("grown_field_s", "#0072B2", "o"),
    "percolation": ("grown_percolation_s", "#D55E00", "s"),
    "peak memory": ("grown_mb", "#009E73", "D"),
}
"""Key in a row, colour and mark of each line."""


@dataclass(frozen=True)
class Case:
    """A crystal and a grid."""

    repeats: tuple[int, int, int]
    resolution_angstrom: float


def seconds(structure: Structure, resolution: float) -> tuple[int, float, float]:
    """Return the number of nodes and the seconds of field and percolation, each the least of `RUNS`."""
    field_s, percolation_s = [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        field = energy_field(structure, resolution_angstrom=resolution)
        middle = time.perf_counter()
        percolation(basins(field.energies_ev, field.lattice_angstrom, ceiling_ev=MAX_ENERGY_EV).graph)
        field_s.append(middle - start)
        percolation_s.append(time.perf_counter() - middle)
    return field.energies_ev.size, min(field_s), min(percolation_s)


def work(folder: Path) -> None:
    case = Case(**json.loads((folder / "request.json").read_text()))
    structure = perturbed(ideal_host().supercell(case.repeats).structure)
    _, coarse_field_s, coarse_percolation_s = seconds(structure, COARSE_ANGSTROM)
    before = memory()
    nodes, field_s, percolation_s = seconds(structure, case.resolution_angstrom)
    row = {
        "step_angstrom": case.resolution_angstrom,
        "atoms": len(structure),
        "nodes": nodes,
        "field_s": field_s,
        "percolation_s": percolation_s,
        "grown_field_s": field_s - coarse_field_s,
        "grown_percolation_s": percolation_s - coarse_percolation_s,
        "grown_mb": memory().peak_mb - before.peak_mb,
    }
    (folder / "result.json").write_text(json.dumps(row))


def measure(cases: Sequence[Case], scratch: Path) -> list[dict[str, Any]]:
    """Return a row for each case."""

    def run(name: str, case: Case) -> dict[str, Any]:
        return run_worker(__file__, asdict(case), scratch / name, scratch / "numba")

    run("compilation", cases[0])
    return [run(str(number), case) for number, case in enumerate(cases)]


@dataclass(frozen=True)
class PowerLaw:
    """A fit of ``y = rate xᵖ``."""

    rate: float
    power: float
    power_error: float

    def at(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fitted values."""
        return self.rate * x**self.power


def power_law(rows: list[dict[str, Any]], x: str, y: str) -> PowerLaw:
    """Return the fit of the least squares of the logarithms, with the standard error of the power."""
    logs = np.log([[row[x], row[y]] for row in rows])
    (power, log_rate), covariance = np.polyfit(logs[:, 0], logs[:, 1], 1, cov=True)
    return PowerLaw(float(np.exp(log_rate)), float(power), float(np.sqrt(covariance[0, 0])))


def print_table(title: str, x: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title}")
    print(f"{'step / Å':>10}{'atoms':>8}{'nodes':>10}{'field / s':>12}{'percolation / s':>18}{'peak memory / MB':>18}")
    for row in rows:
        print(f"{row['step_angstrom']:10}{row['atoms']:8}{row['nodes']:10}", end="")
        print(f"{row['field_s']:12.4f}{row['percolation_s']:18.4f}{row['grown_mb']:18.1f}")
    fits = {name: power_law(rows, x, key) for name, (key, _, _) in QUANTITIES.items()}
    print(f"beyond a grid of {COARSE_ANGSTROM:g} Å, power of the {x} (wanted: 1): ", end="")
    print(", ".join(f"{name} {fit.power:.2f} ± {fit.power_error:.2f}" for name, fit in fits.items()))


def draw_panel(axes: Axes, rows: list[dict[str, Any]], x: str, names: Sequence[str]) -> None:
    """Draw the measured points of some quantities over `x`, their fits, and a line of slope 1."""
    values = np.array([row[x] for row in rows], dtype=float)
    lowest = np.inf
    for name in names:
        key, color, mark = QUANTITIES[name]
        fit = power_law(rows, x, key)
        y = np.array([row[key] for row in rows])
        lowest = min(lowest, y[-1])
        label = f"{name}, p = {fit.power:.2f} ± {fit.power_error:.2f}"
        axes.loglog(values, fit.at(values), "-", color=color, linewidth=1.2, zorder=1)
        axes.loglog(values, y, mark, color=color, markersize=5.5, mec="white", mew=0.6, label=label, zorder=2)
    guide = np.array([1 / 16, 1])
    axes.loglog(guide * values[-1], 0.5 * lowest * guide, ":", color=SOFT_INK, linewidth=1.2, label="slope 1")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="lower right", handletextpad=0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT_INK)
    axes.tick_params(which="both", colors=SOFT_INK, labelsize=9)
    axes.yaxis.set_major_formatter("{x:g}")


def power_of_ten(value: float, _position: int) -> str:
    """Return the label of a tick; matplotlib's own needs its mathematics, which the style turns off."""
    return "10" + str(round(np.log10(value))).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def draw(by_nodes: list[dict[str, Any]], by_atoms: list[dict[str, Any]]) -> Figure:
    """Return the picture: seconds above, memory below; grid points on the left, atoms on the right."""
    with figure_style():
        figure = Figure(figsize=(7.6, 5.6), layout="constrained")
        panels = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=(3, 2))
        for column, (rows, x) in enumerate(((by_nodes, "nodes"), (by_atoms, "atoms"))):
            draw_panel(panels[0, column], rows, x, ("field", "percolation"))
            draw_panel(panels[1, column], rows, x, ("peak memory",))
        # room for the legends
        panels[0, 0].set_ylim(bottom=4e-3)
        panels[1, 0].set_ylim(bottom=1)
        panels[0, 0].set_title(f"{by_nodes[0]['atoms']} atoms, finer grids", fontsize=10, color=INK)
        panels[0, 1].set_title(f"grid step {SUPERCELL_STEP_ANGSTROM} Å, larger cells", fontsize=10, color=INK)
        panels[0, 0].set_ylabel(f"Time beyond a {COARSE_ANGSTROM:g} Å grid (s)", color=INK)
        panels[1, 0].set_ylabel("Memory beyond it (MB)", color=INK)
        panels[1, 0].set_xlabel("Grid points", color=INK)
        panels[1, 1].set_xlabel("Atoms in the cell", color=INK)
        panels[1, 0].xaxis.set_major_formatter(power_of_ten)
        panels[1, 1].set_xticks(ATOM_TICKS, labels=[str(number) for number in ATOM_TICKS])
        panels[1, 1].xaxis.set_minor_locator(NullLocator())
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, default=IMAGE, help="where the picture goes (default docs/images)")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker)
        return
    with TemporaryDirectory() as folder:
        finer = [Case((1, 1, 1), step) for step in STEPS_ANGSTROM]
        larger = [Case(repeats, SUPERCELL_STEP_ANGSTROM) for repeats in SUPERCELLS]
        rows = measure([*finer, *larger], Path(folder))
    by_nodes, by_atoms = rows[: len(finer)], rows[len(finer) :]
    print_table(f"{by_nodes[0]['atoms']} atoms without symmetry, cutoff 10 Å", "nodes", by_nodes)
    print_table(f"grid step {SUPERCELL_STEP_ANGSTROM} Å, no symmetry, cutoff 10 Å", "atoms", by_atoms)
    write_png(draw(by_nodes, by_atoms), arguments.image, dpi=200)
    print(f"\n{arguments.image}")


if __name__ == "__main__":
    main()
