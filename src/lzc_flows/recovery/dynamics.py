"""Molecular dynamics with whatever engine: VASP's own, or ours on any forces.

What runs VASP is imported where it is run: it takes a second or two, and most jobs need none of it.
"""

from __future__ import annotations

from pathlib import Path

from lzc_flows.engines.aimd_worker import AimdRequest
from lzc_flows.recovery import aimd as worker
from lzc_flows.recovery.aimd import AimdRun


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
    if request.engine.name == "vasp":
        from lzc_flows.recovery.vasp_md import run_dynamics_with_vasp

        return run_dynamics_with_vasp(request, folder)
    return worker.run_dynamics(request, folder)


def take_over(request: AimdRequest, earlier: list[Path], folder: Path) -> Path | None:
    """Copy the run that got farthest among earlier folders to `folder`, unless that has one; return where it was."""
    if request.engine.name == "vasp":
        from lzc_flows.recovery.vasp_md import take_over_from_vasp

        return take_over_from_vasp(request, earlier, folder)
    return worker.take_over(request, earlier, folder)


def done_ps(request: AimdRequest, folder: Path) -> float:
    """Return how far the run in a folder has got, in ps."""
    if request.engine.name == "vasp":
        from lzc_flows.recovery.vasp_md import done_ps_of_vasp

        return done_ps_of_vasp(folder, request.protocol)
    return worker.done_ps(folder, request.protocol)
