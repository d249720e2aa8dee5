"""OUTCAR's ionic steps and its end, as VASP 6 writes them where custodian, pymatgen and emmet look."""

from __future__ import annotations

import resource

import numpy as np

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.poscar import table
from lzc_flows.rehearsal.step import BandForces, IonicStep

LINE = "-" * 104
RULE = f"\n\n{LINE}\n\n\n"
_PARTS = "-" * 51


def lattice(cell: np.ndarray) -> str:
    """Return volume and vectors of a cell."""
    inverse = np.linalg.inv(cell).T
    rows = table("   %13.9f%13.9f%13.9f  %13.9f%13.9f%13.9f", np.hstack([cell, inverse]))
    lengths = np.concatenate([np.linalg.norm(cell, axis=1), np.linalg.norm(inverse, axis=1)])[None]
    return (
        f"  volume of cell : {abs(np.linalg.det(cell)):12.4f}\n"
        f"      direct lattice vectors                 reciprocal lattice vectors\n{rows}\n\n  length of vectors\n"
        f"{table('   %13.9f%13.9f%13.9f  %13.9f%13.9f%13.9f', lengths)}\n\n\n"
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
    f"{RULE}\n\n"
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
    return "\n".join(lines) + RULE


def ionic_block(step: IonicStep) -> str:
    """Return stress, cell, positions, forces and energy of an ionic step."""
    rows = table("%13.5f%13.5f%13.5f    %14.6f%14.6f%14.6f", np.hstack([step.inside @ step.cell, step.forces.forces]))
    drift = step.forces.forces.sum(axis=0)
    energy = step.forces.energy_ev
    rule = "-" * 86
    return (
        _stress(step)
        + f" VOLUME and BASIS-vectors are now :\n {rule[:77]}\n  energy-cutoff  :      see above\n{lattice(step.cell)}"
        f" POSITION                                       TOTAL-FORCE (eV/Angst)\n {rule[:83]}\n{rows}\n {rule[:83]}\n"
        f"    total drift:                         {drift[0]:14.6f}{drift[1]:14.6f}{drift[2]:14.6f}\n\n\n{LINE}\n"
        "\n\n\n"
        f"  FREE ENERGIE OF THE ION-ELECTRON SYSTEM (eV)\n  {_PARTS}\n"
        f"  free  energy   TOTEN  =  {energy:17.8f} eV\n\n"
        f"  energy  without entropy= {energy:17.8f}  energy(sigma->0) = {energy:17.8f}\n \n"
        + (_heat(step) if step.heat is not None else "")
        + (_chain(step.band) if step.band is not None else "")
        + f"\n{LINE}\n\n\n     LOOP+:  cpu time {step.wall_s:10.4f}: real time {step.wall_s:10.4f}\n\n\n"
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
