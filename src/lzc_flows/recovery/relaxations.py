"""Relaxations and single points with whatever engine: machine-learned in a worker of ours, DFT by its own program.

What runs a DFT program is imported where one is run: it takes a second or two, and most jobs need none.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pymatgen.core import Structure

from lzc_flows.documents.base import Correction
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.relax_worker import Relaxed, RelaxRequest
from lzc_flows.recovery import relax as worker
from lzc_flows.recovery.relax import RelaxRun


def relax_to_convergence(
    structure: Structure, engine: EngineSpec, protocol: RelaxProtocol, folder: Path, earlier: Sequence[Path] = ()
) -> RelaxRun:
    """Relax a structure in `folder` until it converges; the last attempt is the result.

    A DFT engine stops in order when its time is over, and goes on from what it left in `folder` or an earlier one.

    Raises
    ------
    InputError
        The engine is not installed or does not know an element.
    CalculationError
        The handlers could not mend it; the line says what was wrong last.
    """
    if engine.dft is None:
        return worker.relax_to_convergence(RelaxRequest([structure], engine.name, protocol), folder)
    if engine.name == "cp2k":
        return _with_cp2k([structure], engine.dft, protocol, folder, earlier)
    from lzc_flows.recovery.vasp_relax import VaspRelaxation, relax_with_vasp

    return relax_with_vasp(VaspRelaxation(structure, engine.dft, protocol), folder, earlier)


def relax_shortly(
    structures: Sequence[Structure],
    engine: EngineSpec,
    protocol: RelaxProtocol | None,
    folder: Path,
    earlier: Sequence[Path] = (),
) -> RelaxRun:
    """Relax structures for at most the protocol's steps each, converged or not; None asks for single points.

    Folders, stops and errors are those of `relax_to_convergence`. CP2K's go on to convergence.
    """
    if engine.dft is None:
        return worker.relax_shortly(RelaxRequest(list(structures), engine.name, protocol), folder)
    if engine.name == "cp2k":
        return _with_cp2k(structures, engine.dft, protocol, folder, earlier)
    from lzc_flows.recovery.vasp_relax import VaspRelaxation, relax_several_with_vasp

    relaxations = [VaspRelaxation(structure, engine.dft, protocol) for structure in structures]
    return relax_several_with_vasp(relaxations, folder, earlier)


def _with_cp2k(
    structures: Sequence[Structure],
    dft: DftProtocol,
    protocol: RelaxProtocol | None,
    folder: Path,
    earlier: Sequence[Path],
) -> RelaxRun:
    """Relax structures by CP2K one after the other, each in a folder that goes on from that of an earlier launch."""
    from lzc_flows.recovery.cp2k import TimeOverError, relax_with_cp2k, static_with_cp2k

    attempts: list[Relaxed] = []
    corrections: list[Correction] = []
    for number, structure in enumerate(structures):
        here = folder / f"cp2k-{number:02d}"
        begun = [place / here.name for place in earlier if (place / here.name).is_dir()]
        if begun and not here.exists():
            shutil.copytree(max(begun, key=lambda place: place.stat().st_mtime), here)
        try:
            if protocol is None:
                run = static_with_cp2k(structure, dft, here)
            else:
                run = relax_with_cp2k(structure, dft, protocol, here)
        except TimeOverError:
            return RelaxRun(attempts, corrections, finished=False)
        attempts += run.attempts
        corrections += run.corrections
    return RelaxRun(attempts, corrections)
