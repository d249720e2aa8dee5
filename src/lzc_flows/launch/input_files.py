"""The files that a job of VASP or CP2K would write, made by the functions that make them in the job.

A POTCAR is licensed: its symbol, title and numbers are told, its potential never.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from atomate2.vasp.sets.base import VaspInputGenerator
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import Incar

from lzc_flows.documents.aimd_protocol import AimdProtocol
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.engine import EngineSpec
from lzc_flows.documents.protocols import NebProtocol, OrderProtocol, RelaxProtocol
from lzc_flows.dynamics.schedule import Schedule
from lzc_flows.engines.aimd_worker import AimdRequest
from lzc_flows.engines.base import ions_of
from lzc_flows.engines.cp2k import Cp2kEngine
from lzc_flows.engines.cp2k_outputs import INPUT_FILE
from lzc_flows.engines.vasp_inputs import (
    MdPart,
    electronic_inputs,
    grouped,
    md_inputs,
    neb_inputs,
    relax_inputs,
    static_inputs,
    superposition_inputs,
)
from lzc_flows.engines.vasp_potcars import require_potcars
from lzc_flows.errors import InputError
from lzc_flows.launch.input_plan import InputPlan
from lzc_flows.recovery.cp2k_calculation import Cp2kCalculation
from lzc_flows.recovery.vasp import write_inputs
from lzc_flows.recovery.vasp_md import first_poscar, next_part, part_name

POTCAR_SPEC = "POTCAR.spec"
"""Stands for a POTCAR: a line a potential."""

Files = dict[str, str]
"""Texts by name; a calculation of several has a folder for each."""


@dataclass(frozen=True)
class InputFiles:
    """Input files of a calculation, and what is to be known of them, a line each."""

    files: Files
    notes: tuple[str, ...] = ()


def input_files(plan: InputPlan, structure: Structure) -> InputFiles:
    """Return the files that the job would write for an ordered crystal.

    Raises
    ------
    InputError
        There is no POTCAR library, or an element lacks a POTCAR or basis; the number of electrons is odd where spins
        are forbidden; a user's tag contradicts the protocol; the engine has no such stage.
    """
    return _of_cp2k(plan, structure) if plan.engine == "cp2k" else _of_vasp(plan, structure)


def _of_vasp(plan: InputPlan, structure: Structure) -> InputFiles:
    dft, protocol, sites = plan.dft, plan.protocol, grouped(structure)[0]
    if isinstance(protocol, AimdProtocol):
        engine = EngineSpec.model_validate({"name": "vasp", "dft": dft})
        return _chain(AimdRequest(structure, engine, protocol, plan.seed), dft)
    if isinstance(protocol, NebProtocol):
        return _band(dft, protocol, plan.images, sites)
    if plan.stage == "electronic":
        scf, atoms = _texts(electronic_inputs(dft, sites), dft), _texts(superposition_inputs(dft, sites), dft)
        note = "the job computes both at the extreme points of a hop, each with one ion on its way"
        return InputFiles({**_below("scf", scf), **_below("atoms", atoms)}, (note,))
    relaxation = _relaxation(protocol)
    inputs = static_inputs(dft, sites) if relaxation is None else relax_inputs(dft, relaxation, sites)
    return InputFiles(_texts(inputs, dft))


def _chain(request: AimdRequest, dft: DftProtocol) -> InputFiles:
    """Return the inputs of each calculation of a run; those of equal ones are made once."""
    sites, schedule = grouped(request.structure)[0], Schedule.of(request.protocol)
    files: Files = {}
    made: dict[MdPart, Files] = {}
    step = number = 0
    while step <= schedule.steps:
        _, part = next_part(schedule, step)
        if part not in made:
            made[part] = _texts(md_inputs(dft, part, sites), dft)
        texts = {**made[part], "POSCAR": first_poscar(request)}
        if number > 0:
            del texts["POSCAR"]
        files |= _below(part_name(number), texts)
        step, number = step + part.steps, number + 1
    later = f"POSCAR of {part_name(1)} and later: the CONTCAR of the part before, with velocities and thermostat"
    return InputFiles(files, (later,) if number > 1 else ())


def _band(dft: DftProtocol, protocol: NebProtocol, images: int, sites: Structure) -> InputFiles:
    """Return the inputs of an end and of the band between two of them, or of the points of our own band."""
    crystal = "of the crystal as it is: one with a vacancy or an extra ion has its own POSCAR, and NELECT with it"
    if dft.vasp.climbing == "lzc":
        texts = _texts(static_inputs(dft, sites), dft)
        # as engines/vasp_force_field.py has it: a point starts from the wave functions of the last one
        texts["INCAR"] = f"{Incar.from_str(texts['INCAR']) | {'LWAVE': True, 'ISTART': 0}}\n"
        own = "climbing: lzc: our own ends and band on single points; ISTART = 1 from the second one on"
        return InputFiles(texts, (own, crystal))
    end = RelaxProtocol(
        fmax_ev_per_angstrom=protocol.fmax_ends_ev_per_angstrom, max_steps=protocol.max_steps, relax_cell=False
    )
    band = _texts(neb_inputs(dft, protocol, images, sites), dft)
    del band["POSCAR"]  # each image has one in a folder of its own
    files = {**_below("end", _texts(relax_inputs(dft, end, sites), dft)), **_below("band", band)}
    return InputFiles(files, (f"{images} images between both ends", crystal))


def _of_cp2k(plan: InputPlan, structure: Structure) -> InputFiles:
    if plan.stage == "electronic":
        raise InputError("engine 'cp2k': the electronic stage is VASP's; vasp is allowed")
    Cp2kEngine(plan.dft).require(ions_of(structure))
    if isinstance(plan.protocol, AimdProtocol | NebProtocol):
        text = Cp2kCalculation(structure, plan.dft, None).input_text()
        note = "CP2K waits for geometries (cp2k --shell) from our own dynamics and band, and starts with this one"
        return InputFiles({INPUT_FILE: text}, (note,))
    return InputFiles({INPUT_FILE: Cp2kCalculation(structure, plan.dft, _relaxation(plan.protocol)).input_text()})


def _relaxation(protocol: OrderProtocol | RelaxProtocol | None) -> RelaxProtocol | None:
    """Return how a crystal is relaxed, None for a single point; an order stage compares by short relaxations."""
    if not isinstance(protocol, OrderProtocol):
        return protocol
    if protocol.engine_tier is None or protocol.shortlist == 1:
        raise InputError("stage 'order': its protocol asks no engine: no relaxed-energy or static-energy, or one only")
    if protocol.engine_tier == "static-energy":
        return None
    return RelaxProtocol(fmax_ev_per_angstrom=protocol.fmax_ev_per_angstrom, max_steps=protocol.max_steps)


def _texts(inputs: VaspInputGenerator, dft: DftProtocol) -> Files:
    """Return the files as they are written, the POTCAR by what its header says."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(inputs, folder)
        texts = {file: (folder / file).read_text() for file in ("INCAR", "KPOINTS", "POSCAR")}
    assert inputs.structure is not None  # it holds its crystal
    potcars = require_potcars([site.specie.symbol for site in inputs.structure], dft)
    lines = [
        f"{potcar.symbol}: TITEL = {potcar.TITEL}; ZVAL = {potcar.zval:g}; ENMAX = {potcar.ENMAX:g} eV"
        for potcar in potcars.values()
    ]
    return {**texts, POTCAR_SPEC: "\n".join(lines) + "\n"}


def _below(folder: str, texts: Files) -> Files:
    return {f"{folder}/{name}": text for name, text in texts.items()}
