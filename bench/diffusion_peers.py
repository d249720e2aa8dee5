"""Diffusivities by a peer; run by the benchmarks with an interpreter that has the peer.

``python diffusion_peers.py PEER REQUEST.npz RESULT.npz``. PEER is pymatgen, pymatgen-constant or kinisi. The request
holds walks of ions in a framework (walks, frames, atoms, 3), the number of ions (first of the atoms), the time between
frames in ps and the lag from which to fit in frames (of every walk). The result holds diffusivities in cm²/s, their
errors or intervals, mean squared displacements, and the time taken.
"""

from __future__ import annotations

import sys
import time
import warnings
from functools import partial
from typing import Any

import numpy as np

BOX_A = 1e4
"""Nothing reaches a wall of it."""

LAGS = 60
"""Of kinisi: with all lags its covariance matrix takes minutes."""


def pymatgen(positions: np.ndarray, ions: int, frame_ps: float, _lag: int, smoothed: str = "max") -> dict[str, Any]:
    from pymatgen.analysis.diffusion.analyzer import DiffusionAnalyzer
    from pymatgen.core import Lattice, Structure

    atoms = positions.shape[1]
    species = ["Li"] * ions + ["Cl"] * (atoms - ions)
    structure = Structure(Lattice.cubic(BOX_A), species, positions[0], coords_are_cartesian=True)
    moved = (positions - positions[0]).transpose(1, 0, 2)
    analyzer = DiffusionAnalyzer(structure, moved, "Li", 1000.0, frame_ps * 1000, 1, smoothed=smoothed)
    return {
        "D": analyzer.diffusivity,
        "error": analyzer.diffusivity_std_dev,
        "lags": np.rint(analyzer.dt / (frame_ps * 1000)).astype(int),
        "msd": analyzer.msd,
        "components": analyzer.msd_components,
        "charge_msd": analyzer.mscd,
    }


def kinisi(positions: np.ndarray, ions: int, frame_ps: float, lag: int) -> dict[str, Any]:
    import scipp as sc
    from kinisi.analyze import DiffusionAnalyzer
    from kinisi.displacement import calculate_msd
    from kinisi.parser import Parser

    frames, atoms, _ = positions.shape
    frame_fs = round(frame_ps * 1000.0, 6)  # so that lags are whole numbers of it
    cells = np.broadcast_to(np.eye(3) * BOX_A, (frames, 3, 3))
    # to the last lag: the length of the longest counts as that of the trajectory
    lags = np.unique(np.linspace(lag, frames - 1, LAGS).astype(int))
    parser = Parser(
        sc.array(dims=["time", "particle", "dimension"], values=positions / BOX_A + 0.5),
        sc.array(dims=["time", "row", "column"], values=cells, unit="angstrom"),
        frame_fs * sc.Unit("fs"),
        1 * sc.Unit("dimensionless"),
        dt=sc.array(dims=["time interval"], values=lags * frame_fs, unit="fs"),
        specie_indices=sc.array(dims=["particle"], values=np.arange(ions)),
        drift_indices=sc.array(dims=["particle"], values=np.arange(ions, atoms)),
    )
    analyzer = DiffusionAnalyzer(parser)
    analyzer._dg = calculate_msd(parser, progress=False)
    analyzer.diffusion(start_dt=lag * frame_fs * sc.Unit("fs"), progress=False)
    low, middle, high = np.percentile(analyzer.D.values, [15.865, 50, 84.135])
    return {"D": middle, "low": low, "high": high}


def main() -> None:
    warnings.simplefilter("ignore")
    constant = partial(pymatgen, smoothed="constant")
    peer = {"pymatgen": pymatgen, "pymatgen-constant": constant, "kinisi": kinisi}[sys.argv[1]]
    request = np.load(sys.argv[2])
    rows = []
    peer(
        request["walks"][0][:4000].astype(np.float64), int(request["ions"]), float(request["frame_ps"]), 200
    )  # imports
    for positions, lag in zip(request["walks"], request["lags"], strict=True):
        start, processor = time.perf_counter(), time.process_time()
        row = peer(positions.astype(np.float64), int(request["ions"]), float(request["frame_ps"]), int(lag))
        taken = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - processor}
        rows.append(row | taken)
    np.savez(sys.argv[3], **{key: np.array([row[key] for row in rows]) for key in rows[0]})


if __name__ == "__main__":
    main()
