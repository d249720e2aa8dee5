"""Relaxed ends and climbing-image bands by VASP with VTST's code: the tasks of the neb worker, done by VASP itself.

Henkelman, Uberuaga and Jónsson, J. Chem. Phys. 113, 9901 (2000). The band starts from a path that NEP89 bends (see
`lzc_flows.band.start`): a straight one would keep the symmetry of a ridge.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.path import images_for, resampled
from lzc_flows.band.profile import Profile
from lzc_flows.band.search import MOST_LEGS, same_minimum
from lzc_flows.documents.base import Correction
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.neb_tasks import EndResult, Outcome, PathResult, Status, Task, chained
from lzc_flows.engines.registry import engine_of
from lzc_flows.engines.vasp_inputs import grouped, neb_inputs
from lzc_flows.errors import CalculationError
from lzc_flows.recovery.folder import alone_in
from lzc_flows.recovery.neb import LOCK_FILE, NebRun, NebSetting
from lzc_flows.recovery.vasp import NEB, RELAX, change_tags, changed_tags, run_vasp_once
from lzc_flows.recovery.vasp_band import VaspBand, last_words
from lzc_flows.recovery.vasp_relax import VaspRelaxation
from lzc_flows.settings import get_settings

MOST_LAUNCHES = 5
"""So often a band that ran out of steps, or into an error, goes on from its last images."""


def run_tasks_with_vasp(tasks: Sequence[tuple[str, Task]], setting: NebSetting) -> NebRun:
    """Do tasks one after the other, until each has converged or failed, or the time is over.

    A task that was done before, in this folder or an earlier one, is not done again; one that was begun goes on.

    Raises
    ------
    InputError
        There is no VASP or no POTCAR, or another process runs in the folder.
    """
    stamp = engine_of(setting.engine).stamp()
    names = [f"{word}-{task.checksum(stamp, setting.protocol)}" for word, task in tasks]
    outcomes: dict[str, Outcome] = {}
    corrections: list[Correction] = []
    _require(tasks, setting)
    with alone_in(setting.folder, LOCK_FILE):
        for name, (_, task) in zip(names, tasks, strict=True):
            outcome = _done_before(name, setting) or _try(name, task, setting, corrections)
            if outcome is None:
                break
            outcomes[name] = outcome
    return NebRun(names, outcomes, corrections)


def _require(tasks: Sequence[tuple[str, Task]], setting: NebSetting) -> None:
    """Refuse what VASP could not be asked for, before anything is written."""
    assert setting.engine.dft is not None
    for task in {task.ions: task for _, task in tasks}.values():
        neb_inputs(
            setting.engine.dft, setting.protocol, 1, grouped(task.ions.structure(task.cell, task.positions[0]))[0]
        )


def _done_before(name: str, setting: NebSetting) -> Outcome | None:
    """Return the outcome that a task has already; a crash counts as none. What an earlier launch left is copied."""
    here = setting.folder / name
    if not here.exists():
        begun = [place / name for place in setting.earlier if (place / name).is_dir()]
        if begun:
            partial = here.with_name(f"{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            shutil.copytree(max(begun, key=lambda place: place.stat().st_mtime), partial)
            partial.rename(here)
    outcome = Outcome.read(here)
    return None if outcome is None or outcome.status == "crashed" else outcome


def _try(name: str, task: Task, setting: NebSetting, corrections: list[Correction]) -> Outcome | None:
    """Do a task and write how it ended; None where the time was over."""
    if get_settings().time_is_over:
        return None
    folder, begun = setting.folder / name, time.monotonic()
    folder.mkdir(exist_ok=True)
    work = _Work(task, setting, folder)
    status: Status = "converged"
    reason = None
    try:
        if not (work.relax() if task.kind == "end" else work.find()):
            return None
    except _UnconvergedError as error:
        status, reason = "unconverged", str(error)
    except _ManyLegsError as error:
        status, reason = "many minima", str(error)
    except CalculationError as error:
        status, reason = "crashed", str(error)
    finally:
        corrections += work.corrections
    outcome = Outcome(status, reason, 0, work.evaluations, time.monotonic() - begun)
    outcome.write(folder)
    return outcome


class _UnconvergedError(CalculationError):
    """VASP ran out of steps."""


class _ManyLegsError(CalculationError):
    """The path runs through too many minima."""


class _Stopped(Exception):
    """The time was over."""


class _Work:
    """One task in its folder."""

    def __init__(self, task: Task, setting: NebSetting, folder: Path) -> None:
        assert setting.engine.dft is not None
        self.task, self.protocol, self.dft, self.folder = task, setting.protocol, setting.engine.dft, folder
        self.corrections: list[Correction] = []
        self.tags: dict[str, Any] = {}
        self.evaluations = self.legs = 0

    def relax(self) -> bool:
        """Relax an end in its cell; return whether that is done."""
        try:
            self._settled(self.task.positions[0], "end").write(self.folder)
        except _Stopped:
            return False
        return True

    def find(self) -> bool:
        """Find a path; return whether that is done."""
        first, last = (
            EndResult(positions, float(energy), 0.0)
            for positions, energy in zip(self.task.positions, self.task.energies_ev, strict=True)
        )
        try:
            band = VaspBand(self.task.ions, self.task.cell, (first, last), self.folder / "band")
            chained(self._elementary_steps(band)).write(self.folder)
        except _Stopped:
            return False
        return True

    def _settled(self, positions: NDArray[np.float64], name: str) -> EndResult:
        """Return an end, or a minimum on the way, relaxed in the cell."""
        start = self.task.ions.structure(self.task.cell, positions)
        protocol = RelaxProtocol(
            fmax_ev_per_angstrom=self.protocol.fmax_ends_ev_per_angstrom,
            max_steps=self.protocol.max_steps,
            relax_cell=False,
        )
        relaxation = VaspRelaxation(start, self.dft, protocol)
        calculation = relaxation.calculation(RELAX, self.folder / name)
        finished = calculation.run()
        self.corrections += calculation.history.corrections
        if not finished:
            raise _Stopped
        found = relaxation.result(calculation)
        self.evaluations += found.steps
        if not found.converged:
            raise _UnconvergedError(
                f"{name} not relaxed after {found.steps} steps: {found.max_force_ev_per_angstrom:.3f} eV/Å"
            )
        settled = found.structure.frac_coords @ self.task.cell
        return EndResult(settled, found.energy_ev, found.max_force_ev_per_angstrom)

    def _elementary_steps(self, band: VaspBand, start: NDArray[np.float64] | None = None) -> list[PathResult]:
        """Return the legs of the path between a band's ends: one, or those to and from a minimum that it dips into."""
        found = self._converged(band, start)
        profile = Profile(found.distances_angstrom, found.energies_ev, found.slopes_ev_per_angstrom)
        for image in profile.minima_between(self.protocol.split_ev):
            name = f"{band.folder.name}-{image}"
            middle = self._settled(found.positions[image], f"{name}-minimum")
            if any(same_minimum(middle.positions, end.positions) for end in band.ends):
                continue
            self.legs += 1
            if self.legs == MOST_LEGS:
                raise _ManyLegsError(f"more than {MOST_LEGS} minima on the way: not an elementary hop")
            path = found.positions.copy()
            path[image] = middle.positions
            parts = (path[: image + 1], path[image:])
            ends = ((band.ends[0], middle), (middle, band.ends[1]))
            return [
                leg
                for side, part, pair in zip("ab", parts, ends, strict=True)
                for leg in self._elementary_steps(
                    replace(band, ends=pair, folder=self.folder / f"{name}{side}"),
                    resampled(part, self.protocol.images or images_for(part[0], part[-1])),
                )
            ]
        return [found]

    def _converged(self, band: VaspBand, start: NDArray[np.float64] | None) -> PathResult:
        """Return a band that VASP has converged, from the images that are there, from a path given, or from its own."""
        path = band.images()
        found = band.whole_result()
        if found is not None:
            return found
        if path is None:
            path = start if start is not None else band.bent(self.protocol.images)
        inputs = neb_inputs(self.dft, self.protocol, len(path) - 2, band.sites(path[0]))
        for _ in range(MOST_LAUNCHES):
            band.write(path, inputs)
            change_tags(band.folder, self.tags)
            end = run_vasp_once(NEB, band.folder)
            self.corrections += end.corrections
            self.tags |= changed_tags(band.folder)
            if end.stopped:
                raise _Stopped
            found = band.whole_result()
            if found is not None:
                self.evaluations += found.legs[0].steps * (len(path) - 2)
                return found
            if not end.corrections:
                error = f"{band.folder.name}: VASP ended before its end: {last_words(band)}"
                self.corrections.append(
                    Correction(handler="CutShort", errors=[error], actions=["go on from the last images"])
                )
            left = band.images()
            path = path if left is None else left
        raise _UnconvergedError(f"{band.folder.name} not converged in {MOST_LAUNCHES} runs of VASP: {last_words(band)}")
