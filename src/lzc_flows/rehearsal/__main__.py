"""`python -m lzc_flows.rehearsal`: the stand-in for VASP, run in the folder of INCAR, KPOINTS, POSCAR and POTCAR."""

from __future__ import annotations

import sys
from pathlib import Path

from lzc_flows.errors import InputError
from lzc_flows.rehearsal.calculate import calculate
from lzc_flows.rehearsal.messages import Refusal

if __name__ == "__main__":
    try:
        status = calculate(Path.cwd())
    except (Refusal, InputError) as error:
        print(error, flush=True)
        status = 1
    sys.exit(status)
