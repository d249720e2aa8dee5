"""Whether the engines' programs, models and potentials are there."""

from __future__ import annotations

import difflib
import os
import shlex
import shutil
from collections.abc import Set
from pathlib import Path

from lzc_flows.errors import InputError
from lzc_flows.launch.findings import Finding

_ATOMATE2_PREFIX = "ATOMATE2_"

_READ = ("VASP_CMD", "VASP_GAMMA_CMD", "VASP_CUSTODIAN_MAX_ERRORS", "CP2K_CMD")
"""atomate2's settings that our jobs take."""

_NOT_READ = ("VASP_HANDLE_UNSUCCESSFUL", "VASP_ZIP_FILES", "VASP_INCAR_UPDATES")
"""Settings of atomate2's own jobs: ours end an unconverged run as a failure, and keep their files and tags."""


_STARTERS = ("srun", "mpirun", "mpiexec")
"""Programs that start the program of an engine."""


def engine_findings(engines: Set[str]) -> list[Finding]:
    """Return what there is of every engine; what these engines lack is missing, others' only a warning."""
    first = [*(_mlip(name, engines) for name in ("nep", "chgnet")), _atomate2()]
    if first[-1].status == "missing":
        return first  # the programs' commands are among its settings
    return [*first, *_vasp(needed="vasp" in engines), _cp2k(needed="cp2k" in engines), _mpirun()]


def _mlip(name: str, engines: Set[str]) -> Finding:
    from lzc_flows.engines.mlip import MLIPS

    return Finding.of(f"engine {name}", lambda: MLIPS[name].stamp().version, needed=name in engines)


def _atomate2() -> Finding:
    """Return atomate2's configuration file and what matters of it; misspelt variables, which it ignores, are told."""
    try:
        from atomate2 import SETTINGS
    except Exception as error:  # whatever is wrong with its file
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        hint = f"its settings cannot be read ({reason}): mend the file of ATOMATE2_CONFIG_FILE"
        return Finding.lacking("atomate2", hint, needed=True)
    file = Path(SETTINGS.CONFIG_FILE).expanduser()
    there = str(file) if file.is_file() else f"no {file}: defaults and {_ATOMATE2_PREFIX} variables"
    read = ", ".join(f"{name} = {getattr(SETTINGS, name)}" for name in _READ)
    others = ", ".join(f"{name} = {getattr(SETTINGS, name)}" for name in _NOT_READ)
    found = f"{there}; {read}; not for lzc's jobs: {others}"
    known = [_ATOMATE2_PREFIX + name for name in type(SETTINGS).model_fields]
    for name in sorted(os.environ):
        if name.upper().startswith(_ATOMATE2_PREFIX) and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"it ignores {name}" + (f"; did you mean {near[0]}?" if near else "")
            return Finding("atomate2", "warning", found, hint)
    return Finding("atomate2", "ok", found)


def _vasp(*, needed: bool) -> list[Finding]:
    from lzc_flows.engines.vasp_program import STAND_IN, vasp_commands

    try:
        standard, gamma = vasp_commands()
    except InputError as error:
        programs = [Finding.lacking("engine vasp", str(error), needed=needed)]
    else:
        is_stand_in = STAND_IN in standard
        what = "a stand-in for rehearsals" if is_stand_in else "which VASP it is shows when it runs"
        programs = [Finding("engine vasp", "ok", f"{shlex.join(standard)} ({what})")]
        if not is_stand_in and Path(standard[0]).name in _STARTERS and not any(map(shutil.which, standard[1:])):
            hint = "the program that it starts is not on the PATH here: a module that the jobs load may bring it"
            programs = [Finding("engine vasp", "warning", shlex.join(standard), hint)]
        if gamma == standard and not is_stand_in:
            hint = "no Γ-only VASP, the standard one does it more slowly: set ATOMATE2_VASP_GAMMA_CMD"
            programs.append(Finding("VASP for Γ alone", "warning", shlex.join(gamma), hint))
        else:
            programs.append(Finding("VASP for Γ alone", "ok", shlex.join(gamma)))
        if is_stand_in:
            return [*programs, _potcars(needed=needed), Finding("VTST", "ok", "the stand-in has it")]
    hint = "cannot be seen from outside; a VASP without VTST's code wants dft.vasp.climbing: lzc for the cineb stage"
    return [*programs, _potcars(needed=needed), Finding("VTST", "warning", "", hint)]


def _potcars(*, needed: bool) -> Finding:
    """Return which POTCARs of our table pymatgen's library has; none is read but one."""
    from pymatgen.core import SETTINGS
    from pymatgen.io.vasp.inputs import PotcarSingle

    from lzc_flows.engines.vasp_potcars import FUNCTIONAL, SET_UP, chosen_potcars, unknown_potcars_allowed
    from lzc_flows.rehearsal.potcars import MARK

    library = SETTINGS.get("PMG_VASP_PSP_DIR")
    if not library:
        return Finding.lacking("POTCAR library", f"PMG_VASP_PSP_DIR is not set; {SET_UP}", needed=needed)
    default = PotcarSingle.functional_dir[FUNCTIONAL]
    folder = Path(library).expanduser() / SETTINGS.get("PMG_VASP_PSP_SUB_DIRS", {}).get(FUNCTIONAL, default)
    there = _symbols_in(folder)
    chosen = [potcar.symbol for potcar in chosen_potcars().values()]
    lacking = [symbol for symbol in chosen if symbol not in there]
    found = f"{folder}: {len(chosen) - len(lacking)} of the {len(chosen)} of data/potcars.yaml"
    if len(lacking) == len(chosen):
        return Finding.lacking("POTCAR library", f"none in it; {SET_UP}", needed=needed, found=found)
    first = next(symbol for symbol in chosen if symbol in there)
    with unknown_potcars_allowed():
        title = PotcarSingle.from_symbol_and_functional(first, FUNCTIONAL).TITEL
    if MARK in title:
        return Finding("POTCAR library", "warning", found, "stand-ins for rehearsals: VASP cannot compute with them")
    if lacking:
        return Finding("POTCAR library", "warning", found, f"not there: {', '.join(lacking)}")
    return Finding("POTCAR library", "ok", found)


def _symbols_in(folder: Path) -> set[str]:
    """Return the symbols of the POTCARs in a folder: POTCAR.Li_sv.gz or Li_sv/POTCAR.gz, packed in any way or not."""
    if not folder.is_dir():
        return set()
    flat = {path.name.split(".")[1] for path in folder.glob("POTCAR.*")}
    return flat | {path.parent.name for path in folder.glob("*/POTCAR*")}


def _cp2k(*, needed: bool) -> Finding:
    from lzc_flows.engines.cp2k_program import cp2k_installation

    installation = cp2k_installation()
    words = [
        f"CP2K {installation.version}" if installation.version else "",
        shlex.join(installation.command),
        f"data in {installation.data_dir}" if installation.data_dir else "",
    ]
    found = ", ".join(filter(None, words))
    if installation.problems:
        return Finding.lacking("engine cp2k", "; ".join(installation.problems), needed=needed, found=found)
    return Finding("engine cp2k", "ok", found)


def _mpirun() -> Finding:
    there = [path for name in ("mpirun", "srun") if (path := shutil.which(name))]
    if there:
        return Finding("MPI", "ok", ", ".join(there))
    return Finding("MPI", "warning", "", "neither mpirun nor srun: VASP and CP2K have one core only")
