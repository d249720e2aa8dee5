"""VASP inputs, one function for each thing that VASP is asked; every tag that comes out is chosen here.

atomate2's input-set generators write them, from a base of our own: atomate2's has PBEsol (``GGA = PS``) and switches a
Hubbard U on for transition metals beside F or O, and none of the sources has either. Section numbers are those of the
first source's supplement.

Each function returns a generator that holds its crystal: ``inputs.write_input(folder)`` writes the files,
``inputs.incar``, ``.kpoints``, ``.poscar`` and ``.potcar`` are each of them, and atomate2's Makers take it as
``input_set_generator``. All of them raise `lzc_flows.errors.InputError` where a POTCAR is missing, the number of
electrons is odd and `dft.spin` forbids spins, or a user's tag contradicts the protocol. Crystals have each element
in one piece (`grouped`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from atomate2.vasp.sets.base import VaspInputGenerator
from atomate2.vasp.sets.core import MDSetGenerator, NebSetGenerator, RelaxSetGenerator, StaticSetGenerator
from pymatgen.core import Structure

from lzc_flows.documents.aimd_protocol import Ensemble
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.documents.protocols import NebProtocol, RelaxProtocol
from lzc_flows.engines.vasp_potcars import FUNCTIONAL, potcar_symbols
from lzc_flows.engines.vasp_tags import check_incar, electron_tags, electrons_of, kpoints_of
from lzc_flows.errors import InputError

KILOBAR_PER_GPA = 10.0

# VASP itself has no FIRE, and VTST's moves no cell: conjugate gradients are as safe far from the minimum.
# Quasi-Newton steps (RMM-DIIS) are what LBFGS and BFGS are, and like them are quick near it.
_IBRION = {"FIRE": 2, "LBFGS": 1, "BFGS": 1}

_BASE: Mapping[str, Any] = {
    # PBE by name: the POTCARs would say so as well
    "GGA": "PE",
    # gradients of the density inside the PAW spheres: open d shells and fluorides want them, and they cost nothing
    "LASPH": True,
    # a few Davidson steps, then RMM-DIIS; custodian goes back to Normal where that fails
    "ALGO": "Fast",
    # no wrap-around errors in the forces
    "PREC": "Accurate",
    # projectors in reciprocal space: exact, so that energies of different cells compare
    "LREAL": False,
    # Gaussian smearing: right for insulators, and harmless where a dopant leaves a partly filled level
    "ISMEAR": 0,
    "NELM": 100,
    # forces as they are: a relaxation or a path must be free to break the symmetry it starts with, as in the other
    # engines, and doped cells have none
    "ISYM": 0,
    "LWAVE": False,
    "LCHARG": False,
}

_STATIC: Mapping[str, Any] = {"IBRION": -1, "NSW": 0, "ISIF": 2, "LORBIT": 11}


@dataclass(frozen=True)
class MdPart:
    """A stretch of molecular dynamics that one VASP run makes.

    Attributes
    ----------
    ensemble
        ``nve``, ``nvt`` or ``npt``.
    start_k, end_k
        Target temperature at start and end, K; linear between.
    steps
        Number of time steps.
    time_step_fs, frame_interval_fs
        Time from step to step and from frame to frame of XDATCAR, fs.
    thermostat_fs, barostat_fs
        Relaxation times of ``npt``'s friction on ions and cell, fs.
    pressure_gpa
        Target pressure of ``npt``, GPa.
    """

    ensemble: Ensemble
    start_k: float
    end_k: float
    steps: int
    time_step_fs: float
    frame_interval_fs: float
    thermostat_fs: float = 50.0
    barostat_fs: float = 1000.0
    pressure_gpa: float = 0.0


def grouped(structure: Structure) -> tuple[Structure, tuple[int, ...]]:
    """Return the structure with each element's sites in one piece, and where each of its sites was before.

    Elements stay in the order in which they come first, sites in theirs: POSCAR and POTCAR then have each element once.
    Site ``i`` of the result is site ``order[i]`` of `structure`, so ``before[list(order)] = after`` puts results back.
    """
    places = {symbol: place for place, symbol in reversed([*enumerate(site.specie.symbol for site in structure)])}
    order = tuple(sorted(range(len(structure)), key=lambda number: places[structure[number].specie.symbol]))
    sites = [structure[number] for number in order]
    return Structure.from_sites(sites, charge=structure._charge, properties=structure.properties), order


def relax_inputs(dft: DftProtocol, protocol: RelaxProtocol, crystal: Structure) -> VaspInputGenerator:
    """Return the inputs of a relaxation (section 1.7): positions, and the cell where the protocol says so.

    EDIFFG < 0 is the largest force; with ISIF = 3 VASP holds the cell's forces to it as well. The basis set stays that
    of the first cell: energies of a relaxed cell are those of a static calculation afterwards.
    """
    tags = {
        "IBRION": _IBRION[protocol.optimizer],
        "ISIF": 3 if protocol.relax_cell else 2,
        "NSW": protocol.max_steps,
        "EDIFFG": -protocol.fmax_ev_per_angstrom,
        "LORBIT": 11,
    }
    return _inputs(RelaxSetGenerator, tags, dft, crystal)


def static_inputs(dft: DftProtocol, crystal: Structure) -> VaspInputGenerator:
    """Return the inputs of a single point: energy, forces, stress and the moment of each ion."""
    return _inputs(StaticSetGenerator, _STATIC, dft, crystal)


def md_inputs(dft: DftProtocol, part: MdPart, crystal: Structure) -> VaspInputGenerator:
    """Return the inputs of a stretch of molecular dynamics (section 1.8).

    The site property ``velocities`` (Å/fs) goes to POSCAR, so that a stretch continues the one before; without it VASP
    draws velocities of `start_k`. A temperature that rises is a part of its own: VASP has one linear ramp a run.

    ``nvt`` is Nosé–Hoover with velocity Verlet; its mass is VASP's own choice (SMASS = 0: a period of 40 time steps),
    since the source names none. ``npt`` is Langevin dynamics of ions and cell after Parrinello and Rahman, the only
    constant pressure that VASP has. The second source, which did its dynamics elsewhere, does not name its barostat; it
    wants the mean volume of such a run, which does not depend on it, and no times of motion, which friction changes.
    """
    tags = {
        **_ensemble_tags(part, kinds=len(crystal.composition.element_composition)),
        "IBRION": 0,
        "NSW": part.steps,
        "POTIM": part.time_step_fs,
        "TEBEG": part.start_k,
        "TEEND": part.end_k,
        # steps from frame to frame of XDATCAR; vasprun.xml has every step
        "NBLOCK": round(part.frame_interval_fs / part.time_step_fs),
        # thousands of steps: coarser grids and real-space projectors; the thermostat takes up their noise in the forces
        "PREC": "Normal",
        "LREAL": "Auto",
        # as many as make forces of steps that start from a good guess reliable
        "NELMIN": 4,
        # atomate2 sets these for reasons of its own; VASP's defaults are meant
        "MAXMIX": None,
        "KBLOCK": None,
    }
    return _inputs(partial(MDSetGenerator, ensemble=part.ensemble), tags, dft, crystal)


def neb_inputs(dft: DftProtocol, protocol: NebProtocol, images: int, crystal: Structure) -> VaspInputGenerator:
    """Return the inputs of a climbing-image band (section 1.9) of so many images, for a VASP with VTST's code.

    `crystal` is one of its ends. Without VTST the tags LCLIMB and IOPT do nothing and the ions stay where they are,
    for VASP's own optimizers are off (IBRION = 3, POTIM = 0, as VTST asks). EDIFFG holds all images to the force that
    the protocol asks of the climbing one: VASP knows one.

    Raises
    ------
    InputError
        A spring constant that is no whole number: pymatgen, and custodian with it, silently writes -0.5 as 0.
    """
    spring = protocol.spring_ev_per_angstrom2
    if not spring.is_integer():
        raise InputError(f"spring_ev_per_angstrom2: a whole number is allowed with engine vasp (given: {spring:g})")
    tags = {
        "IMAGES": images,
        "SPRING": -int(spring),
        "LCLIMB": True,
        "ICHAIN": 0,
        # VTST's LBFGS over the whole band, as in band/lbfgs.py
        "IOPT": 1,
        "IBRION": 3,
        "POTIM": 0.0,
        "ISIF": 2,
        "NSW": protocol.max_steps,
        "EDIFFG": -protocol.fmax_climbing_ev_per_angstrom,
    }
    return _inputs(partial(NebSetGenerator, num_images=images), tags, dft, crystal)


def electronic_inputs(dft: DftProtocol, crystal: Structure) -> VaspInputGenerator:
    """Return the inputs of charge density, localisation function and densities of states (sections 1.11 and 1.12).

    Writes CHGCAR, ELFCAR, and DOSCAR with projections on ions and orbitals.
    """
    tags = {
        **_STATIC,
        "LCHARG": True,
        "LELF": True,
        "NEDOS": 3001,
    }
    # VASP has the localisation function for one group of k-points only
    return _inputs(StaticSetGenerator, tags, _without(dft, "KPAR"), crystal)


def superposition_inputs(dft: DftProtocol, crystal: Structure) -> VaspInputGenerator:
    """Return the inputs of the superposed densities of free atoms, on the grid of `electronic_inputs`.

    ICHARG = 12 keeps that density, NELM = 0 leaves it before a wave function is asked for, and CHGCAR has it: the
    charge density difference (section 1.11) is the other CHGCAR less this one. Spins are as there, so that both files
    have the same blocks.
    """
    tags = {**_STATIC, "LORBIT": None, "ICHARG": 12, "NELM": 0, "LCHARG": True}
    return _inputs(StaticSetGenerator, tags, _without(dft, "NELM", "LORBIT"), crystal)


def _ensemble_tags(part: MdPart, kinds: int) -> dict[str, Any]:
    if part.ensemble == "nve":
        # VASP's own advice for constant energy: Andersen's thermostat that never acts
        return {"MDALGO": 1, "ANDERSEN_PROB": 0.0, "ISIF": 2}
    if part.ensemble == "nvt":
        return {"MDALGO": 2, "SMASS": 0, "ISIF": 2}
    return {
        "MDALGO": 3,
        "ISIF": 3,
        # friction in 1/ps
        "LANGEVIN_GAMMA": [1000 / part.thermostat_fs] * kinds,
        "LANGEVIN_GAMMA_L": 1000 / part.barostat_fs,
        # mass of the cell's motion in u; atomate2's choice, averages do not depend on it
        "PMASS": 10.0,
        "PSTRESS": KILOBAR_PER_GPA * part.pressure_gpa,
    }


def _inputs(
    kind: Callable[..., VaspInputGenerator], tags: Mapping[str, Any], dft: DftProtocol, crystal: Structure
) -> VaspInputGenerator:
    """Return a generator of exactly these tags, those that all have, and a user's own where they are open."""
    check_incar(dft.vasp.incar)
    electrons = electrons_of(crystal, dft)
    elements = crystal.composition.element_composition.elements
    settings = {
        **_BASE,
        "ENCUT": dft.cutoff_ev,
        "EDIFF": dft.scf_ev,
        "SIGMA": dft.smearing_ev,
        # on-site densities are mixed and written up to this l: d shells want 4, f shells 6
        "LMAXMIX": 6 if any(element.Z > 56 for element in elements) else 4,
        **electron_tags(electrons),
        **tags,
        **dft.vasp.incar,
    }
    return kind(
        structure=crystal,
        config_dict={
            # moments are the one thing that pymatgen takes by ion, and from here only
            "INCAR": {} if electrons.moments is None else {"MAGMOM": dict(electrons.moments)},
            "KPOINTS": {},
            "POTCAR": potcar_symbols([element.symbol for element in elements], dft),
            "POTCAR_FUNCTIONAL": FUNCTIONAL,
        },
        # atomate2 sets tags of its own where these do not: all of them are named, or None
        user_incar_settings=settings,
        user_kpoints_settings=kpoints_of(dft, crystal),
        sort_structure=False,
        validate_magmom=False,
        auto_ismear=False,
        auto_metal_kpoints=False,
        auto_ispin=False,
        inherit_incar=False,
    )


def _without(dft: DftProtocol, *tags: str) -> DftProtocol:
    """Return the protocol less a user's tags that a calculation cannot have."""
    own = {tag: value for tag, value in dft.vasp.incar.items() if tag not in tags}
    return dft.model_copy(update={"vasp": dft.vasp.model_copy(update={"incar": own})})
