"""OUTCAR, as VASP 6 writes it where custodian, pymatgen and emmet look."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.grids import fft_grids
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.oszicar import HEADER, STAND_IN
from lzc_flows.rehearsal.poscar import table, wrapped
from lzc_flows.rehearsal.step import BandForces, IonicStep

_LINE = "-" * 104
_RULE = f"\n\n{_LINE}\n\n\n"
_PARTS = "-" * 51
_DIRECT = "  %11.9f  %11.9f  %11.9f"


def beginning(inputs: Inputs, electrons: Electrons, when: str) -> str:
    """Return all that stands before the first electronic step; `when` is date and time."""
    return "".join(
        [
            f"{HEADER}\n  \n executed on             {STAND_IN} date {when}\n",
            " running on    1 total cores\n",
            " distrk:  each k-point on    1 cores,    1 groups\n",
            f" distr:  one band on NCORE=   1 cores,    1 groups\n{_RULE}",
            " INCAR:\n",
            *(f"   {name} = {_plain(value)}\n" for name, value in inputs.tags.items()),
            "\n",
            *(f" POTCAR:    {potential.title}\n" for potential in inputs.potentials),
            *(f"  {potential.title:<38}:\n energy of atom       EATOM=    0.0000\n" for potential in inputs.potentials),
            f" \n POSCAR: {inputs.arrangement.comment}\n  positions in direct lattice\n",
            f"  {'No initial velocities' if inputs.arrangement.velocities is None else 'velocities'} read in\n{_RULE}",
            _lattice(inputs.arrangement.cell),
            _kpoints(inputs),
            _dimensions(inputs, electrons),
            _parameters(inputs, electrons),
            _positions(inputs),
            _plane_waves(inputs),
        ]
    )


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return ".TRUE." if value else ".FALSE."
    return " ".join(f"{each:g}" for each in value) if isinstance(value, list) else str(value)


def _lattice(cell: np.ndarray) -> str:
    inverse = np.linalg.inv(cell).T
    rows = table("   %13.9f%13.9f%13.9f  %13.9f%13.9f%13.9f", np.hstack([cell, inverse]))
    lengths = np.concatenate([np.linalg.norm(cell, axis=1), np.linalg.norm(inverse, axis=1)])[None]
    return (
        f"  volume of cell : {abs(np.linalg.det(cell)):12.4f}\n"
        f"      direct lattice vectors                 reciprocal lattice vectors\n{rows}\n\n  length of vectors\n"
        f"{table('   %13.9f%13.9f%13.9f  %13.9f%13.9f%13.9f', lengths)}\n\n\n"
    )


def _kpoints(inputs: Inputs) -> str:
    mesh = inputs.mesh
    rows = table("   %11.8f %11.8f %11.8f     %9.3f", np.column_stack([mesh.points, mesh.weights]))
    return (
        f"\n Subroutine IBZKPT returns following result:\n ===========================================\n \n"
        f" Found {len(mesh.points):6d} irreducible k-points:\n \n"
        f" k-points in reciprocal lattice and weights: {mesh.comment}\n{rows}\n{_RULE}"
    )


def _dimensions(inputs: Inputs, electrons: Electrons) -> str:
    (ngx, ngy, ngz), (ngxf, ngyf, ngzf) = fft_grids(inputs)
    points, counts = len(inputs.mesh.points), inputs.arrangement.counts
    return (
        f" Dimension of arrays:\n   k-points           NKPTS = {points:6d}   k-points in BZ     NKDIM = {points:6d}"
        f"   number of bands    NBANDS= {electrons.bands:6d}\n"
        f"   number of dos      NEDOS = {inputs.tags.get('NEDOS', 301):6d}   number of ions     NIONS = "
        f"{sum(counts):6d}\n"
        f"   total plane-waves  NPLWV = {ngx * ngy * ngz:6d}\n"
        f"   dimension x,y,z NGX = {ngx:5d} NGY ={ngy:5d} NGZ ={ngz:5d}\n"
        f"   dimension x,y,z NGXF= {ngxf:5d} NGYF={ngyf:5d} NGZF={ngzf:5d}\n"
        f"   ions per type =            {''.join(f'{count:4d}' for count in counts)}\n\n"
    )


def _parameters(inputs: Inputs, electrons: Electrons) -> str:
    tag = inputs.tag
    return (
        f" SYSTEM =  {tag('SYSTEM')}\n POSCAR =  {inputs.arrangement.comment}\n\n"
        " Startparameter for this run:\n"
        f"   PREC   = {str(tag('PREC')).lower()[:6]:<6}    normal or accurate (medium, high low for compatibility)\n"
        f"   ISTART = {tag('ISTART'):6d}    job   : 0-new  1-cont  2-samecut\n"
        f"   ICHARG = {inputs.tags.get('ICHARG', 2):6d}    charge: 1-file 2-atom 10-const\n"
        f"   ISPIN  = {tag('ISPIN'):6d}    spin polarized calculation?\n"
        "   LNONCOLLINEAR =      F non collinear calculations\n   LSORBIT =      F    spin-orbit coupling\n"
        " Electronic Relaxation 1\n"
        f"   ENCUT  = {tag('ENCUT'):6.1f} eV\n"
        f"   NELM   = {tag('NELM'):6d};   NELMIN={tag('NELMIN'):3d}; NELMDL= -5     # of ELM steps \n"
        f"   EDIFF  = {tag('EDIFF'):7.1E}   stopping-criterion for ELM\n"
        " Ionic relaxation\n"
        f"   EDIFFG = {tag('EDIFFG'):7.1E}   stopping-criterion for IOM\n"
        f"   NSW    = {tag('NSW'):6d}    number of steps for IOM\n"
        f"   NBLOCK = {tag('NBLOCK'):6d};   KBLOCK = {inputs.tags.get('KBLOCK', 1):6d}    inner block; outer block \n"
        f"   IBRION = {tag('IBRION'):6d}    ionic relax: 0-MD 1-quasi-New 2-CG\n"
        f"   ISIF   = {tag('ISIF'):6d}    stress and relaxation\n"
        f"   ISYM   = {tag('ISYM'):6d}    0-nonsym 1-usesym 2-fastsym\n\n"
        f"   POTIM  = {tag('POTIM'):6.4f}    time-step for ionic-motion\n"
        f"   TEBEG  = {tag('TEBEG'):6.1f};   TEEND  ={tag('TEEND'):6.1f} temperature during run\n"
        f"   SMASS  = {tag('SMASS'):6.2f}    Nose mass-parameter (am)\n"
        f"   MDALGO = {tag('MDALGO'):6d}\n\n"
        f"  Mass of Ions in am\n   POMASS = {''.join(f'{each.mass_amu:6.2f}' for each in inputs.potentials)}\n"
        f"  Ionic Valenz\n   ZVAL   = {''.join(f'{each.valence:6.2f}' for each in inputs.potentials)}\n"
        f"   NELECT = {electrons.number:12.4f}    total number of electrons\n"
        f"   NUPDOWN= {tag('NUPDOWN'):12.4f}    fix difference up-down\n\n"
        " DOS related values:\n"
        f"   ISMEAR = {tag('ISMEAR'):5d};   SIGMA  = {tag('SIGMA'):6.2f}  broadening in eV -4-tet -1-fermi 0-gaus\n\n"
        " Write flags\n"
        f"   LORBIT = {tag('LORBIT'):6d}    0 simple, 1 ext, 2 COOP (PROOUT), +10 PAW based schemes\n"
        f" Electronic relaxation 2 (details)\n   ALGO   = {tag('ALGO')}\n{_band_parameters(inputs)}{_RULE}"
    )


def _band_parameters(inputs: Inputs) -> str:
    if inputs.kind != "neb":
        return ""
    climbs = "T" if inputs.tags.get("LCLIMB", False) else "F"
    return (
        f"\n CHAIN: Running the NEB\n   IMAGES = {inputs.tag('IMAGES'):6d}\n   SPRING = {inputs.tag('SPRING'):8.4f}\n"
        f"   LCLIMB = {climbs:>6}\n   OPT: IOPT = {inputs.tag('IOPT'):6d}\n"
    )


def _positions(inputs: Inputs) -> str:
    inside = wrapped(inputs.arrangement.fractional)
    return (
        f" position of ions in fractional coordinates (direct lattice) \n{table(_DIRECT, inside)}\n \n"
        f" position of ions in cartesian coordinates  (Angst):\n"
        f"{table('  %11.8f  %11.8f  %11.8f', inside @ inputs.arrangement.cell)}\n"
    )


def _plane_waves(inputs: Inputs) -> str:
    """Return the table of plane waves: a sphere of the cutoff holds V k³/(6π²) of them."""
    volume = abs(float(np.linalg.det(inputs.arrangement.cell)))
    waves = round(volume * (0.512317 * inputs.tag("ENCUT") ** 0.5) ** 3 / (6 * np.pi**2))
    rows = [
        f" k-point {number:3d} :   {k[0]:6.4f} {k[1]:6.4f} {k[2]:6.4f}  plane waves: {waves:7d}"
        for number, k in enumerate(inputs.mesh.points, 1)
    ]
    table_of_waves = "\n".join(rows)
    return (
        f"\n\n\n{_LINE}\n\n\n{table_of_waves}\n\n maximum and minimum number of plane-waves per node : "
        f"{waves:9d} {waves:9d}\n\n maximum number of plane-waves: {waves:9d}\n{_RULE}"
    )


_SCF = (
    "--------------------------------------- Iteration %6d(%4d)  ---------------------------------------\n\n\n"
    "    POTLOK:  cpu time %10.4f: real time %10.4f\n"
    "     EDDAV:  cpu time %10.4f: real time %10.4f\n"
    "    --------------------------------------------\n"
    "      LOOP:  cpu time %10.4f: real time %10.4f\n\n"
    " eigenvalue-minimisations  :   512\n"
    " total energy-change (2. order) :%14.7E  (%14.7E)\n"
    " number of electron %15.7f magnetization %s\n"
    " augmentation part  %15.7f magnetization %s\n\n"
    " Free energy of the ion-electron system (eV)\n"
    f"  {_PARTS}\n"
    "%s"
    f"  {_PARTS}\n"
    "  free energy    TOTEN  =  %17.8f eV\n\n"
    "  energy without entropy = %17.8f  energy(sigma->0) = %17.8f\n"
    f"{_RULE}\n\n"
)
_CONTRIBUTIONS = (
    "  alpha Z        PSCENC =         0.00000000\n"
    "  Ewald energy   TEWEN  =         0.00000000\n"
    "  -Hartree energ DENC   =         0.00000000\n"
    "  -exchange      EXHF   =         0.00000000\n"
    "  -V(xc)+E(xc)   XCENC  =         0.00000000\n"
    "  PAW double counting   =         0.00000000        0.00000000\n"
    "  entropy T*S    EENTRO =         0.00000000\n"
    "  eigenvalues    EBANDS =  %17.8f\n"
    "  atomic energy  EATOM  =         0.00000000\n"
    "  Solvation  Ediel_sol  =         0.00000000\n"
)
"""Only of the last electronic step: what has no electrons has no contributions."""


def electronic_blocks(step: IonicStep, electrons: Electrons) -> str:
    """Return what each electronic step writes, and why they ended."""
    energies, changes = step.electronic.energies_ev.tolist(), step.electronic.changes_ev.tolist()
    time_s = step.wall_s / len(energies)
    times = (0.1 * time_s, 0.1 * time_s, 0.9 * time_s, 0.9 * time_s, time_s, time_s)
    moment = f"{electrons.moment:15.7f}" if electrons.spins == 2 else ""
    contributions = [""] * (len(energies) - 1) + [_CONTRIBUTIONS % energies[-1]]
    parts = [
        _SCF % (step.number, n, *times, change, change, electrons.number, moment, 0.0, moment, parts, *[energy] * 3)
        for n, (energy, change, parts) in enumerate(zip(energies, changes, contributions, strict=True), 1)
    ]
    reason = "because EDIFF is reached" if step.electronic.converged else "EDIFF was not reached (unconverged)"
    return f"{''.join(parts)}\n------------------------ aborting loop {reason} {'-' * 40}\n\n\n"


def bands(inputs: Inputs, electrons: Electrons) -> str:
    """Return Fermi energy and bands."""
    lines = [f" E-fermi : {electrons.fermi_ev:8.4f}     XC(G=0):   0.0000     alpha+bet :  0.0000", ""]
    for spin in range(electrons.spins):
        if electrons.spins == 2:
            lines += ["", f" spin component {spin + 1}", ""]
        for number, point in enumerate(inputs.mesh.points):
            lines.append(f" k-point {number + 1:5d} :   {point[0]:9.4f} {point[1]:9.4f} {point[2]:9.4f}")
            lines.append("  band No.  band energies     occupation ")
            energies, filled = electrons.energies_ev[spin, number], electrons.occupations[spin, number]
            times = 2 if electrons.spins == 1 else 1
            numbers = np.column_stack([np.arange(1, electrons.bands + 1), energies, times * filled])
            lines += [table("%7d %11.4f %12.5f", numbers), ""]
    return "\n".join(lines) + _RULE


def ionic_block(step: IonicStep) -> str:
    """Return stress, cell, positions, forces and energy of an ionic step."""
    rows = table("%13.5f%13.5f%13.5f    %14.6f%14.6f%14.6f", np.hstack([step.inside @ step.cell, step.forces.forces]))
    drift = step.forces.forces.sum(axis=0)
    energy = step.forces.energy_ev
    rule = "-" * 86
    return (
        _stress(step)
        + f" VOLUME and BASIS-vectors are now :\n {rule[:77]}\n  energy-cutoff  :      see above\n{_lattice(step.cell)}"
        f" POSITION                                       TOTAL-FORCE (eV/Angst)\n {rule[:83]}\n{rows}\n {rule[:83]}\n"
        f"    total drift:                         {drift[0]:14.6f}{drift[1]:14.6f}{drift[2]:14.6f}\n\n\n{_LINE}\n"
        "\n\n\n"
        f"  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  {_PARTS}\n"
        f"  free  energy   TOTEN  =  {energy:17.8f} eV\n\n"
        f"  energy  without entropy= {energy:17.8f}  energy(sigma->0) = {energy:17.8f}\n \n"
        + (_heat(step) if step.heat is not None else "")
        + (_chain(step.band) if step.band is not None else "")
        + f"\n{_LINE}\n\n\n     LOOP+:  cpu time {step.wall_s:10.4f}: real time {step.wall_s:10.4f}\n\n\n"
    )


def _stress(step: IonicStep) -> str:
    """Return the virial and the stress; nothing where they were not asked for."""
    if step.forces.virial_ev is None:
        return ""
    order = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))
    energies = "".join(f"{step.virial_ev[at]:12.5f}" for at in order)
    stress = "".join(f"{step.stress_kilobar[at]:12.5f}" for at in order)
    return (
        "  FORCE on cell =-STRESS in cart. coord.  units (eV):\n"
        f"  Direction    XX          YY          ZZ          XY          YZ          ZX\n  {'-' * 86}\n"
        f"  Total   {energies}\n  in kB   {stress}\n"
        f"  external pressure = {step.stress_kilobar.trace() / 3:11.2f} kB  Pullay stress =        0.00 kB\n\n\n"
    )


def _heat(step: IonicStep) -> str:
    heat = step.heat
    if heat is None:
        return ""
    potential = step.forces.energy_ev
    total = potential + heat.kinetic_ev + heat.reservoir_ev + heat.thermostat_ev
    return (
        f"\n  ENERGY OF THE ELECTRON-ION-THERMOSTAT SYSTEM (eV)\n  {_PARTS}\n"
        f"% ion-electron   TOTEN  = {potential:16.6f}  see above\n"
        f"  kinetic energy EKIN   = {heat.kinetic_ev:16.6f}\n"
        f"  kin. lattice  EKIN_LAT= {0.0:16.6f}  (temperature {heat.temperature_k:7.2f} K)\n"
        f"  nose potential ES     = {heat.reservoir_ev:16.6f}\n"
        f"  nose kinetic   EPS    = {heat.thermostat_ev:16.6f}\n  {_PARTS}\n"
        f"  total energy   ETOTAL = {total:16.6f} eV\n\n"
    )


def _chain(band: BandForces) -> str:
    """Return what VTST writes of an image."""
    largest = float(np.linalg.norm(band.nudged, axis=1).max())
    mean = float(np.sqrt((band.nudged**2).sum(axis=1).mean()))
    climbs = " NEB: the climbing image\n" if band.climbs else ""
    rows = table("%14.6f%14.6f%14.6f", band.tangent)
    return (
        f"\n NEB: Tangent\n {_PARTS[:46]}\n{rows}\n\n"
        f" NEB: forces: par spring, perp REAL, dneb {band.along_spring:12.6f}{mean:12.6f}{0.0:12.6f}\n{climbs}"
        f" NEB: distance to prev, next image, angle between {band.to_previous:12.6f}{band.to_next:12.6f}"
        f"{band.angle_deg:12.6f}\n"
        f" NEB: projections on to tangent (spring, REAL) {band.along_spring:12.6f}{band.along_real:12.6f}\n\n"
        f"  tangential force (eV/A) {band.along_real:12.6f}\n"
        f" FORCES: max atom, RMS {largest:12.6f}{mean:12.6f}\n"
    )


def moments(inputs: Inputs, electrons: Electrons) -> str:
    """Return the tables of charges and moments of LORBIT; all in one column, for no electrons were projected."""
    charges = np.repeat([each.valence for each in inputs.potentials], inputs.arrangement.counts)
    return _projected("total charge", charges) + (
        _projected("magnetization (x)", electrons.moments) if electrons.spins == 2 else ""
    )


def _projected(title: str, totals: np.ndarray) -> str:
    number = np.arange(1, len(totals) + 1)
    zeros = np.zeros(len(totals))
    rows = table("%5d   %11.3f%8.3f%8.3f%8.3f", np.column_stack([number, zeros, zeros, totals, totals]))
    rule = "-" * 42
    return (
        f"\n\n {title}\n \n# of ion       s       p       d       tot\n{rule}\n{rows}\n{rule}\n"
        f"tot     {0.0:11.3f}{0.0:8.3f}{totals.sum():8.3f}{totals.sum():8.3f}\n\n"
    )


def ending(cpu_s: float, wall_s: float) -> str:
    """Return the final accounting."""
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        "\n\n General timing and accounting informations for this job:\n"
        " ========================================================\n  \n"
        f"                  Total CPU time used (sec): {cpu_s:12.3f}\n"
        f"                            User time (sec): {cpu_s:12.3f}\n"
        f"                          System time (sec): {0.0:12.3f}\n"
        f"                         Elapsed time (sec): {wall_s:12.3f}\n  \n"
        f"                   Maximum memory used (kb): {memory:12.0f}.\n"
        "                   Average memory used (kb):          N/A\n  \n"
    )


def write_ibzkpt(folder: Path, inputs: Inputs) -> None:
    """Write IBZKPT: the k-points with whole weights."""
    mesh = inputs.mesh
    weights = np.rint(mesh.weights / mesh.weights.min())
    rows = table("%20.14f%20.14f%20.14f %13d", np.column_stack([mesh.points, weights]))
    content = f"Automatically generated mesh\n{len(weights):8d}\nReciprocal lattice\n{rows}\n"
    (folder / "IBZKPT").write_text(content)
