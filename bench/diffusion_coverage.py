"""How often stated intervals hold the truth: ours, kinisi's and pymatgen's, on random walks whose diffusivity is known.

Run ``python bench/diffusion_coverage.py --kinisi-python PATH --pymatgen-python PATH`` (some 15 minutes, most of them
the peers'). Both peers need environments of their own; the paths are their interpreters, by default what the variables
KINISI_PYTHON and PYMATGEN_DIFFUSION_PYTHON hold.

Of every kind of `random_walks.KINDS`: the bias of D, its true scatter over the walks, the error stated (root mean
square), the share of walks whose 68 % interval holds the truth, and on which side the others miss. Walks that are
refused (too few hops) do not count; their number stands first. kinisi is given the start of our window, which it asks
its user for, and 60 lags up to the length of the trajectory. pymatgen (``smoothed="max"``) chooses its own lags; its
interval is D ± the error that it states.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from lzc_flows.transport.arrhenius import ArrheniusPoint, arrhenius
from lzc_flows.transport.conductivity import BOLTZMANN_EV, CM2_S_PER_A2_PS
from lzc_flows.transport.diffusion import Diffusion, TooFewHops, diffusion
from lzc_flows.transport.motion import Motion
from random_walks import FRAME_PS, FRAMEWORK_ATOMS, HOP_A, HOPPING, KINDS, Kind

HOW_TO_GET_KINISI = "python -m venv kinisi-venv && kinisi-venv/bin/pip install kinisi==2.1.0"
HOW_TO_GET_PYMATGEN = "python -m venv pad-venv && pad-venv/bin/pip install pymatgen-analysis-diffusion==2026.9.23"
PEER_KINDS = ("hops", "hops, half taken back", "ions in pairs")
PEER_WALKS = 100
ARRHENIUS_EV = 0.3
TEMPERATURES_K = (600.0, 700.0, 800.0, 900.0, 1000.0, 1100.0)


@dataclass(frozen=True)
class Coverage:
    """Intervals beside the truth, shape (walks,) each."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    truth: float
    refused: int = 0
    seconds: float = math.nan

    def __str__(self) -> str:
        above, below = np.mean(self.high < self.truth), np.mean(self.low > self.truth)
        stated = (self.high - self.low) / (2 * self.value)
        return (
            f"{self.refused:4d} {self.value.mean() / self.truth - 1:+8.1%} {self.value.std() / self.truth:8.1%} "
            f"{math.sqrt((stated**2).mean()):8.3%} {1 - above - below:7.0%} {above:6.0%} {below:6.0%} "
            f"{self.seconds:8.3f}"
        )


HEADER = (
    f"{'':28s} {'':10s} {'left':>4s} {'bias':>8s} {'scatter':>8s} {'stated':>8s} {'holds':>7s} {'above':>6s} "
    f"{'below':>6s} {'s each':>8s}"
)


def motion_of(walk: NDArray[np.float64]) -> Motion:
    still = np.zeros((len(walk), FRAMEWORK_ATOMS, 3))
    species = ("Li",) * walk.shape[1] + ("Cl",) * FRAMEWORK_ATOMS
    return Motion(np.concatenate([walk, still], axis=1), FRAME_PS, species, np.diag([10.0, 10.0, 10.0]))


def analysed(kind: Kind, walks: int, seed: int) -> tuple[list[Motion], list[Diffusion], int, float]:
    """Return those of some walks that are not refused, their diffusion, how many are, and the seconds for one."""
    rng = np.random.default_rng(seed)
    motions, found, refused, seconds = [], [], 0, 0.0
    for _ in range(walks):
        motion = motion_of(kind.walk(rng))
        start = time.perf_counter()
        try:
            found.append(diffusion(motion, "Li", 1000.0, hop_distance_A=HOP_A))
        except TooFewHops:
            refused += 1
            continue
        finally:
            seconds += time.perf_counter() - start
        if len(motions) < PEER_WALKS:
            motions.append(motion)
    return motions, found, refused, seconds / walks


def ours(found: list[Diffusion], truth: float, refused: int, seconds: float) -> Coverage:
    low, high = np.array([one.D_interval for one in found]).T
    return Coverage(np.array([one.D_cm2_s for one in found]), low, high, truth, refused, seconds)


def peers(peer: str, python: str, motions: list[Motion], found: list[Diffusion], truth: float) -> Coverage:
    with TemporaryDirectory() as folder:
        request, result = Path(folder, "request.npz"), Path(folder, "result.npz")
        np.savez(
            request,
            walks=np.array([motion.positions for motion in motions], dtype=np.float32),
            ions=found[0].ions,
            frame_ps=FRAME_PS,
            lags=[round(one.window_ps[0] / FRAME_PS) for one in found[: len(motions)]],
        )
        script = Path(__file__).with_name("diffusion_peers.py")
        done = subprocess.run([python, script, peer, request, result], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{python}: {peer} failed\n{done.stderr}")
        answer = dict(np.load(result))
    value = answer["D"]
    low, high = answer.get("low"), answer.get("high")
    if low is None or high is None:
        low, high = value - answer["error"], value + answer["error"]
    return Coverage(value, low, high, truth, 0, float(answer["seconds"].mean()))


def print_parts(found: list[Diffusion], name: str, kind: Kind) -> None:
    """Print the coverage of directions and of the Haven ratio where a kind has something to say of them."""
    if name == "channels along z":
        for direction, share in (("c", 2.4), ("ab", 0.3)):
            parts = [one.by_direction[direction] for one in found]
            low, high = np.array([part.D_interval for part in parts]).T
            truth = kind.diffusivity * CM2_S_PER_A2_PS * share
            print(
                f"  {'D along ' + direction:37s}",
                Coverage(np.array([part.D_cm2_s for part in parts]), low, high, truth),
            )
    if name in ("hops", "ions in pairs"):
        kept = [one for one in found if one.haven_ratio is not None]
        low, high = np.array([one.haven_interval for one in kept]).T
        values = np.array([one.haven_ratio for one in kept])
        truth = 1.0 if name == "hops" else 0.5
        print(f"  {'Haven ratio':37s}", Coverage(values, low, high, truth, len(found) - len(kept)))


def print_arrhenius(runs: int, seed: int) -> None:
    """Print the coverage of Ea and D(300 K) over fits of six temperatures, each with a walk of its own."""
    rng = np.random.default_rng(seed)
    hottest = replace(HOPPING, rate=0.02)
    kept: list[tuple[tuple[float, float, float], tuple[float, float, float]]] = []
    for _ in range(runs):
        points = []
        for temperature in TEMPERATURES_K:
            factor = math.exp(-ARRHENIUS_EV / BOLTZMANN_EV * (1 / temperature - 1 / TEMPERATURES_K[-1]))
            walk = replace(hottest, rate=hottest.rate * factor).walk(rng)
            one = diffusion(motion_of(walk), "Li", temperature, hop_distance_A=HOP_A)
            points.append(ArrheniusPoint(temperature, one.D_cm2_s, one.D_interval, one.carriers_per_cm3))
        fit = arrhenius(points)
        cold = fit.diffusivity(300.0)
        energy = (fit.Ea_ev, fit.Ea_ev - fit.Ea_standard_error, fit.Ea_ev + fit.Ea_standard_error)
        kept.append((energy, (cold.value, *cold.interval)))
    factor = math.exp(-ARRHENIUS_EV / BOLTZMANN_EV * (1 / 300.0 - 1 / TEMPERATURES_K[-1]))
    table = np.array(kept).transpose(1, 2, 0)
    print(f"{'Arrhenius, 600 to 1100 K':28s} {'Ea':10s}", Coverage(*table[0], ARRHENIUS_EV))
    print(f"{'':28s} {'D(300 K)':10s}", Coverage(*table[1], hottest.diffusivity * CM2_S_PER_A2_PS * factor))


def interpreter(parser: argparse.ArgumentParser, name: str, path: str | None, how: str) -> str | None:
    if path and not Path(path).is_file():
        parser.error(f"--{name}-python {path}: no such file; an interpreter that has {name} is allowed")
    if not path:
        print(f"{name} is left out. To get it: {how}; then --{name}-python")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of intervals of diffusivities.")
    parser.add_argument("--kinisi-python", metavar="PATH", default=os.environ.get("KINISI_PYTHON"))
    parser.add_argument("--pymatgen-python", metavar="PATH", default=os.environ.get("PYMATGEN_DIFFUSION_PYTHON"))
    parser.add_argument("--walks", type=int, default=300, help="of every kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kinisi = interpreter(parser, "kinisi", options.kinisi_python, HOW_TO_GET_KINISI)
    pymatgen = interpreter(parser, "pymatgen", options.pymatgen_python, HOW_TO_GET_PYMATGEN)
    print(f"machine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {options.walks} walks of every kind")
    print(HEADER)
    for number, (name, kind) in enumerate(KINDS.items()):
        truth = kind.diffusivity * CM2_S_PER_A2_PS
        motions, found, refused, seconds = analysed(kind, options.walks, options.seed + number)
        print(f"{name:28s} {'ours':10s}", ours(found, truth, refused, seconds), flush=True)
        print_parts(found, name, kind)
        if name in PEER_KINDS:
            for peer, python in (("kinisi", kinisi), ("pymatgen", pymatgen)):
                if python:
                    print(f"{'':28s} {peer:10s}", peers(peer, python, motions, found, truth), flush=True)
    print_arrhenius(options.walks, options.seed)
    print(f"machine load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
