"""Mean squared displacements beside pymatgen-analysis-diffusion's: agreement at every lag, and seconds.

Run ``python bench/msd_speed.py --pymatgen-python PATH`` (one minute). The peer needs an environment of its own; PATH is
its interpreter, by default what the variable PYMATGEN_DIFFUSION_PYTHON holds.

A trajectory like the source's, 13,000 frames of 18 Li, 9 Zr and 54 Cl that drift together, as float64. The peer's time
is that of its analyzer, which makes the displacements and the squared displacements of all atoms, their mean for Li and
that of the charge, over the first 1,000 frames as origins (``smoothed="constant"``), with its fits. Ours is from the
positions to the tensors of all three species and of the charge, over the same origins and over all of them; of Li and
the charge alone, the two whose means the peer has; and a whole `diffusion`. What counts is processor time, of the peer
as of ours, so that other work on the machine matters less. With ``smoothed="max"`` the peer takes all origins at some
200 lags, also by Fourier transform.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from diffusion_coverage import HOW_TO_GET_PYMATGEN, interpreter
from lzc_flows.transport.diffusion import diffusion
from lzc_flows.transport.motion import Motion, displacements
from lzc_flows.transport.msd import mean_squared_displacement
from random_walks import FRAME_PS, HOPPING, Hopping, vibration

FRAMES, IONS, ZIRCONIUM, CHLORINE = 13_000, 18, 9, 54
ORIGINS = 1000
RUNS = 5
RELATIVE = 1e-6


def trajectory() -> Motion:
    rng = np.random.default_rng(0)
    frame = vibration(rng, FRAMES, ZIRCONIUM + CHLORINE) + rng.uniform(0, 18, (1, ZIRCONIUM + CHLORINE, 3))
    positions = np.concatenate([Hopping(FRAMES, IONS, HOPPING.rate).walk(rng), frame], axis=1)
    positions += np.arange(FRAMES)[:, None, None] * np.array([1e-3, -2e-3, 5e-4])
    species = ("Li",) * IONS + ("Zr",) * ZIRCONIUM + ("Cl",) * CHLORINE
    cell = np.array([[11.20927, 0, 0], [-11.20927 / 2, 11.20927 * np.sqrt(0.75), 0], [0, 0, 18.11472]])
    return Motion(positions, FRAME_PS, species, cell)


def tensors(motion: Motion, origins: int | None, wanted: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """Return the tensors of some species, and under "charge" that of the mobile ions' common centre."""
    found = {}
    for species in wanted:
        moved = displacements(motion, species, mobile="Li")
        found[species] = mean_squared_displacement(moved, origins)
        if species == "Li":
            centre = moved.sum(axis=1, keepdims=True) / np.sqrt(moved.shape[1])
            found["charge"] = mean_squared_displacement(centre, origins)
    return found


def seconds(function: Callable[[], object]) -> float:
    function()
    taken = []
    for _ in range(RUNS):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def difference(found: dict[str, NDArray[np.float64]], peer: dict[str, NDArray[np.float64]]) -> float:
    """Return the largest relative difference of the MSD, its components and the charge's, all lags but zero."""
    lags = peer["lags"][0]
    wanted = lags > 0
    lithium, charge = found["Li"][lags[wanted]], found["charge"][lags[wanted]]
    pairs = (
        (np.trace(lithium, axis1=1, axis2=2), peer["msd"][0]),
        (np.diagonal(lithium, axis1=1, axis2=2), peer["components"][0]),
        (np.trace(charge, axis1=1, axis2=2), peer["charge_msd"][0]),
    )
    return max(float(np.abs(mine / theirs[wanted] - 1).max()) for mine, theirs in pairs)


def run_peer(python: str, peer: str, motion: Motion) -> dict[str, NDArray[np.float64]]:
    with TemporaryDirectory() as folder:
        request, result = Path(folder, "request.npz"), Path(folder, "result.npz")
        np.savez(request, walks=motion.positions[None], ions=IONS, frame_ps=FRAME_PS, lags=[0])
        script = Path(__file__).with_name("diffusion_peers.py")
        done = subprocess.run([python, script, peer, request, result], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{python}: {peer} failed\n{done.stderr}")
        return dict(np.load(result))


def main() -> None:
    parser = argparse.ArgumentParser(description="Mean squared displacements beside pymatgen-analysis-diffusion.")
    parser.add_argument("--pymatgen-python", metavar="PATH", default=os.environ.get("PYMATGEN_DIFFUSION_PYTHON"))
    python = interpreter(parser, "pymatgen", parser.parse_args().pymatgen_python, HOW_TO_GET_PYMATGEN)
    print(f"machine load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    motion = trajectory()
    for name, peer, origins in (("constant", "pymatgen-constant", ORIGINS), ("max", "pymatgen", None)):
        count = "all" if origins is None else f"{origins:,}"
        print(f"{count} origins (smoothed={name!r})")
        theirs = run_peer(python, peer, motion) if python else None
        if theirs:
            peer_s, lags = float(theirs["processor_seconds"][0]), theirs["lags"].size
            apart = difference(tensors(motion, origins, ("Li",)), theirs)
            assert apart < RELATIVE
            print(f"  pymatgen                    {peer_s:7.3f} s; {lags:,} lags, all within {apart:.0e} of ours")
        for wanted in (("Li", "Zr", "Cl"), ("Li",)):
            ours_s = seconds(partial(tensors, motion, origins, wanted))
            ratio = f"{peer_s / ours_s:5.0f}×" if theirs else ""
            print(
                f"  ours, {'all species' if len(wanted) > 1 else 'Li':11s} and charge {ours_s:7.3f} s {ratio}",
                flush=True,
            )
    print(f"a whole diffusion(): {seconds(lambda: diffusion(motion, 'Li', 1100.0)):.3f} s")
    print(f"machine load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
