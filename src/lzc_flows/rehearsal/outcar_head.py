"""OUTCAR before its first electronic step, as VASP 6 writes it where custodian, pymatgen and emmet look."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.grids import fft_grids
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.oszicar import HEADER, STAND_IN
from lzc_flows.rehearsal.outcar import LINE, RULE, lattice
from lzc_flows.rehearsal.poscar import table, wrapped

_DIRECT = "  %11.9f  %11.9f  %11.9f"


def beginning(inputs: Inputs, electrons: Electrons, when: str) -> str:
    """Return all that stands before the first electronic step; `when` is date and time."""
    return "".join(
        [
            f"{HEADER}\n  \n executed on             {STAND_IN} date {when}\n",
            " running on    1 total cores\n",
            " distrk:  each k-point on    1 cores,    1 groups\n",
            f" distr:  one band on NCORE=   1 cores,    1 groups\n{RULE}",
            " INCAR:\n",
            *(f"   {name} = {_plain(value)}\n" for name, value in inputs.tags.items()),
            "\n",
            *(f" POTCAR:    {potential.title}\n" for potential in inputs.potentials),
            *(f"  {potential.title:<38}:\n energy of atom       EATOM=    0.0000\n" for potential in inputs.potentials),
            f" \n POSCAR: {inputs.arrangement.comment}\n  positions in direct lattice\n",
            f"  {'No initial velocities' if inputs.arrangement.velocities is None else 'velocities'} read in\n{RULE}",
            lattice(inputs.arrangement.cell),
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


def _kpoints(inputs: Inputs) -> str:
    mesh = inputs.mesh
    rows = table("   %11.8f %11.8f %11.8f     %9.3f", np.column_stack([mesh.points, mesh.weights]))
    return (
        f"\n Subroutine IBZKPT returns following result:\n ===========================================\n \n"
        f" Found {len(mesh.points):6d} irreducible k-points:\n \n"
        f" k-points in reciprocal lattice and weights: {mesh.comment}\n{rows}\n{RULE}"
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
        f" Electronic relaxation 2 (details)\n   ALGO   = {tag('ALGO')}\n{_band_parameters(inputs)}{RULE}"
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
        f"\n\n\n{LINE}\n\n\n{table_of_waves}\n\n maximum and minimum number of plane-waves per node : "
        f"{waves:9d} {waves:9d}\n\n maximum number of plane-waves: {waves:9d}\n{RULE}"
    )


def write_ibzkpt(folder: Path, inputs: Inputs) -> None:
    """Write IBZKPT: the k-points with whole weights."""
    mesh = inputs.mesh
    weights = np.rint(mesh.weights / mesh.weights.min())
    rows = table("%20.14f%20.14f%20.14f %13d", np.column_stack([mesh.points, weights]))
    content = f"Automatically generated mesh\n{len(weights):8d}\nReciprocal lattice\n{rows}\n"
    (folder / "IBZKPT").write_text(content)
