"""The commands that start VASP, as atomate2's settings have them."""

from __future__ import annotations

import os
import shlex
import shutil

from lzc_flows.errors import InputError

STAND_IN = "lzc_flows.rehearsal"
"""The module that stands in for VASP in a rehearsal."""


def ending_with_us(command: list[str]) -> list[str]:
    """Return the command such that it does not outlive a worker that is killed."""
    return ["setpriv", "--pdeathsig", "KILL", *command] if shutil.which("setpriv") else command


def vasp_commands() -> tuple[list[str], list[str]]:
    """Return the commands of the standard and of the Γ-only VASP, from atomate2's settings.

    Raises
    ------
    InputError
        The first is not there.
    """
    from atomate2 import SETTINGS

    standard, gamma = (shlex.split(os.path.expandvars(cmd)) for cmd in (SETTINGS.VASP_CMD, SETTINGS.VASP_GAMMA_CMD))
    if not standard or shutil.which(standard[0]) is None:
        raise InputError(
            f"engine 'vasp': no command {SETTINGS.VASP_CMD!r} here; set ATOMATE2_VASP_CMD to what starts it, such as "
            "'srun vasp_std', or try `lzc rehearse`"
        )
    return standard, gamma if gamma and shutil.which(gamma[0]) else standard
