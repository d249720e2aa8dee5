"""A calculation from its inputs to its end."""

from __future__ import annotations

from pathlib import Path

from lzc_flows.rehearsal.contradictions import check
from lzc_flows.rehearsal.faults import Faults
from lzc_flows.rehearsal.forces import force_field
from lzc_flows.rehearsal.inputs import read_inputs
from lzc_flows.rehearsal.md import run_dynamics
from lzc_flows.rehearsal.neb import run_band
from lzc_flows.rehearsal.outputs import Outputs
from lzc_flows.rehearsal.relax import run_relaxation, run_static
from lzc_flows.rehearsal.run import ABORTED, Aborted, Run, end_run
from lzc_flows.settings import get_settings

_BY_KIND = {"static": run_static, "relax": run_relaxation, "md": run_dynamics}


def calculate(folder: Path) -> int:
    """Do what the files of a folder say; return the exit status.

    Raises
    ------
    Refusal
        VASP refuses its input.
    InputError
        The engine is not installed or does not know an element, or the faults asked for are none.
    """
    inputs = read_inputs(folder)
    warnings = check(inputs)
    run = Run(inputs, force_field(inputs.arrangement.species), Faults.of(get_settings().rehearsal_faults, inputs))
    if inputs.kind == "neb":
        return run_band(run, warnings)
    outputs = Outputs(folder, inputs, run.electrons)
    outputs.begin(warnings)
    try:
        run.fail_on_demand(outputs, "start", 1)
        _BY_KIND[inputs.kind](run, outputs)
    except Aborted:
        return ABORTED
    end_run(run, [(outputs, run.arrangement)])
    if inputs.kind in ("static", "relax"):
        from lzc_flows.rehearsal.density import write_volumes  # takes a second, which molecular dynamics need not wait

        write_volumes(folder, inputs, run.arrangement, run.electrons)
    return 0
