"""Molecular dynamics with whatever engine: VASP's own, or ours on any forces."""

from __future__ import annotations

from pathlib import Path

from lzc_flows.engines.aimd_worker import AimdRequest
from lzc_flows.recovery import aimd as worker
from lzc_flows.recovery.aimd import AimdRun
from lzc_flows.recovery.vasp_md import done_ps_of_vasp, run_dynamics_with_vasp, take_over_from_vasp


def run_dynamics(request: AimdRequest, folder: Path) -> AimdRun:
    """Run molecular dynamics in `folder`, from where it was left, to the end or until its time is over.

    Raises
    ------
    InputError
        What another run left is there, another process runs there, the folder cannot be written, the engine is not
        installed or does not know an element.
    CalculationError
        The handlers could not mend what went wrong.
    """
    run = run_dynamics_with_vasp if request.engine.name == "vasp" else worker.run_dynamics
    return run(request, folder)


def take_over(request: AimdRequest, earlier: list[Path], folder: Path) -> Path | None:
    """Copy the run that got farthest among earlier folders to `folder`, unless that has one; return where it was."""
    take = take_over_from_vasp if request.engine.name == "vasp" else worker.take_over
    return take(request, earlier, folder)


def done_ps(request: AimdRequest, folder: Path) -> float:
    """Return how far the run in a folder has got, in ps."""
    done = done_ps_of_vasp if request.engine.name == "vasp" else worker.done_ps
    return done(folder, request.protocol)
