"""Relaxed ends and paths with whatever engine: by VASP with VTST's code, or by our own search on any forces."""

from __future__ import annotations

from collections.abc import Sequence

from lzc_flows.engines.neb_tasks import Task
from lzc_flows.recovery import neb as worker
from lzc_flows.recovery.neb import NebRun, NebSetting


def run_tasks(tasks: Sequence[tuple[str, Task]], setting: NebSetting) -> NebRun:
    """Do tasks, given with the first word of their folders' names, until each has converged or failed for good.

    A task that was done before, in this folder or an earlier one, is not done again.

    Raises
    ------
    InputError
        The engine is not installed or does not know an element, another process runs in the folder, it cannot be
        written, or a file there is damaged. No new folder is left.
    CalculationError
        The worker crashes whatever the task.
    """
    engine = setting.engine
    if engine.name == "vasp" and engine.dft is not None and engine.dft.vasp.climbing == "vtst":
        from lzc_flows.recovery.vasp_neb import run_tasks_with_vasp  # takes a second or two, and most jobs need none

        return run_tasks_with_vasp(tasks, setting)
    return worker.run_tasks(tasks, setting)
