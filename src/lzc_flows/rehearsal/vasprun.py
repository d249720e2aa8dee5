"""vasprun.xml, written as it goes; the last ionic step stays open until the run ends, for bands and states.

What stands where is as in the files of VASP 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from lzc_flows.rehearsal.electrons import Electrons
from lzc_flows.rehearsal.grids import fft_grids
from lzc_flows.rehearsal.inputs import Inputs
from lzc_flows.rehearsal.oszicar import DATE, STAND_IN, VERSION
from lzc_flows.rehearsal.poscar import Arrangement, table, wrapped
from lzc_flows.rehearsal.step import IonicStep

_TYPES = {bool: "logical", int: "int", str: "string"}
_V3 = "<v> %16.8f %16.8f %16.8f </v>"


def beginning(inputs: Inputs, electrons: Electrons, date: str, time: str) -> str:
    """Return all that stands before the first ionic step."""
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n <generator>\n'
        '  <i name="program" type="string">vasp </i>\n'
        f'  <i name="version" type="string">{VERSION}  </i>\n'
        f'  <i name="subversion" type="string">{DATE} {escape(STAND_IN)} complex serial </i>\n'
        f'  <i name="platform" type="string">lzc-flows </i>\n  <i name="date" type="string">{date} </i>\n'
        f'  <i name="time" type="string">{time} </i>\n </generator>\n'
        f" <incar>\n{_items(inputs.tags.items(), '  ')} </incar>\n"
        f"{_kpoints(inputs)}{_parameters(inputs, electrons)}{_atoms(inputs)}"
        f"{_structure(inputs.arrangement, 'initialpos')}"
    )


def _items(pairs: Any, indent: str) -> str:
    return "".join(f"{indent}{_item(name, value)}\n" for name, value in pairs)


def _item(name: str, value: Any) -> str:
    if isinstance(value, list | tuple | np.ndarray):
        whole = all(isinstance(each, int) for each in value)
        words = "".join(f"{each:8d}" if whole else f"{each:16.8f}" for each in value)
        return f'<v{" type=" + chr(34) + "int" + chr(34) if whole else ""} name="{name}">{words}</v>'
    kind = _TYPES.get(type(value))
    if kind == "logical":
        return f'<i type="logical" name="{name}"> {"T" if value else "F"}  </i>'
    if kind == "string":
        return f'<i type="string" name="{name}">{escape(value)}</i>'
    return f'<i type="int" name="{name}">{value:6d}</i>' if kind else f'<i name="{name}">{value:16.8f}</i>'


def _kpoints(inputs: Inputs) -> str:
    mesh = inputs.mesh
    generation = ""
    if mesh.scheme != "Listed":
        generation = (
            f'  <generation param="{mesh.scheme}">\n'
            f'   <v type="int" name="divisions">{"".join(f"{n:8d} " for n in mesh.divisions)}</v>\n'
            f'   <v name="usershift">{"".join(f"{x:16.8f} " for x in mesh.shift)}</v>\n'
            '   <v name="genvec1">      1.00000000       0.00000000       0.00000000 </v>\n'
            '   <v name="genvec2">      0.00000000       1.00000000       0.00000000 </v>\n'
            '   <v name="genvec3">      0.00000000       0.00000000       1.00000000 </v>\n'
            '   <v name="shift">      0.00000000       0.00000000       0.00000000 </v>\n  </generation>\n'
        )
    return (
        f" <kpoints>\n{generation}"
        f'  <varray name="kpointlist" >\n{table(f"   {_V3}", mesh.points)}\n  </varray>\n'
        f'  <varray name="weights" >\n{table("   <v> %16.8f </v>", mesh.weights[:, None])}\n  </varray>\n </kpoints>\n'
    )


def _parameters(inputs: Inputs, electrons: Electrons) -> str:
    """Return the tags as VASP took them, by their subjects."""
    separators = "".join(
        f'  <separator name="{subject}" >\n{_items(_subject(inputs, values), "   ")}  </separator>\n'
        for subject, values in _SUBJECTS.items()
    )
    (ngx, ngy, ngz), (ngxf, ngyf, ngzf) = fft_grids(inputs)
    found = {
        "ENMAX": float(inputs.tag("ENCUT")),
        "NBANDS": electrons.bands,
        "NELECT": electrons.number,
        "MAGMOM": inputs.starting_moments,
        "NGX": ngx,
        "NGY": ngy,
        "NGZ": ngz,
        "NGXF": ngxf,
        "NGYF": ngyf,
        "NGZF": ngzf,
        "POMASS": [potential.mass_amu for potential in inputs.potentials],
    }
    return f" <parameters>\n{separators}{_items(found.items(), '  ')} </parameters>\n"


def _subject(inputs: Inputs, values: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return tags with their values: those of INCAR, VASP's own, or those of the table."""
    return [
        (name, inputs.tags.get(name, fallback(inputs) if callable(fallback) else fallback))
        for name, fallback in values.items()
    ]


def _own(name: str) -> Callable[[Inputs], Any]:
    return lambda inputs: inputs.tag(name)


_SUBJECTS: dict[str, dict[str, Any]] = {
    "general": {"SYSTEM": _own("SYSTEM"), "LCOMPAT": False},
    "electronic": {"PREC": _own("PREC"), "EDIFF": _own("EDIFF"), "ENAUG": 0.0, "IALGO": 38, "IWAVPR": 11},
    "electronic smearing": {"ISMEAR": _own("ISMEAR"), "SIGMA": _own("SIGMA"), "KSPACING": 0.5, "KGAMMA": True},
    "electronic projectors": {"LREAL": False, "LMAXPAW": -100, "LMAXMIX": 2, "NLSPLINE": False},
    "electronic startup": {"ISTART": _own("ISTART"), "ICHARG": 2, "INIWAV": 1},
    "electronic spin": {
        "ISPIN": _own("ISPIN"),
        "LNONCOLLINEAR": False,
        "NUPDOWN": _own("NUPDOWN"),
        "LSORBIT": False,
        "LSPIRAL": False,
    },
    "electronic exchange-correlation": {
        "LASPH": False,
        "LMETAGGA": False,
        "GGA": "--",
        "LHFCALC": False,
        "AEXX": 0.0,
        "HFSCREEN": 0.0,
        "ALDAC": 1.0,
        "AGGAC": 1.0,
        "AGGAX": 1.0,
    },
    "electronic convergence": {"NELM": _own("NELM"), "NELMDL": -5, "NELMIN": _own("NELMIN"), "ENINI": _own("ENCUT")},
    "electronic mixer": {"AMIX": 0.4, "BMIX": 1.0, "AMIN": 0.1, "AMIX_MAG": 1.6, "BMIX_MAG": 1.0, "IMIX": 4},
    "electronic dipolcorrection": {"LDIPOL": False, "LMONO": False, "IDIPOL": 0, "EPSILON": 1.0, "EFIELD": 0.0},
    "ionic": {
        "NSW": _own("NSW"),
        "IBRION": _own("IBRION"),
        "MDALGO": _own("MDALGO"),
        "ISIF": _own("ISIF"),
        "PSTRESS": 0.0,
        "EDIFFG": _own("EDIFFG"),
        "NFREE": 1,
        "POTIM": _own("POTIM"),
        "SMASS": _own("SMASS"),
    },
    "ionic md": {"TEBEG": _own("TEBEG"), "TEEND": _own("TEEND"), "NBLOCK": _own("NBLOCK"), "KBLOCK": 1},
    "symmetry": {"ISYM": _own("ISYM"), "SYMPREC": 1e-5},
    "dos": {"LORBIT": _own("LORBIT"), "NEDOS": 301, "EMIN": 10.0, "EMAX": -10.0, "EFERMI": 0.0},
    "writing": {
        "LWAVE": True,
        "LCHARG": True,
        "LVTOT": False,
        "LVHAR": False,
        "LELF": False,
        "LOPTICS": False,
    },
    "performance": {"NPAR": 1, "NSIM": 4, "LPLANE": True, "LSCALAPACK": True},
    "miscellaneous": {"LDAU": False, "LUSE_VDW": False, "LEPSILON": False, "LCHIMAG": False, "I_CONSTRAINED_M": 0},
}
"""By subject, tags with VASP's values where INCAR is silent."""


def _atoms(inputs: Inputs) -> str:
    arrangement = inputs.arrangement
    kinds = np.repeat(np.arange(1, len(arrangement.counts) + 1), arrangement.counts)
    atoms = "".join(
        f"    <rc><c>{symbol:<2}</c><c>{kind:4d}</c></rc>\n"
        for symbol, kind in zip(arrangement.species, kinds, strict=True)
    )
    types = "".join(
        f"    <rc><c>{count:4d}</c><c>{each.element:<2}</c><c>{each.mass_amu:16.8f}</c><c>{each.valence:16.8f}</c>"
        f"<c>  {escape(each.title):<38}</c></rc>\n"
        for count, each in zip(arrangement.counts, inputs.potentials, strict=True)
    )
    return (
        f" <atominfo>\n  <atoms>{sum(arrangement.counts):8d} </atoms>\n  <types>{len(arrangement.counts):8d} </types>\n"
        '  <array name="atoms" >\n   <dimension dim="1">ion</dimension>\n   <field type="string">element</field>\n'
        f'   <field type="int">atomtype</field>\n   <set>\n{atoms}   </set>\n  </array>\n'
        '  <array name="atomtypes" >\n   <dimension dim="1">type</dimension>\n'
        '   <field type="int">atomspertype</field>\n   <field type="string">element</field>\n   <field>mass</field>\n'
        '   <field>valence</field>\n   <field type="string">pseudopotential</field>\n'
        f"   <set>\n{types}   </set>\n  </array>\n </atominfo>\n"
    )


def _structure(arrangement: Arrangement, name: str) -> str:
    flags = ""
    if not arrangement.free.all():
        rows = "".join(f"   <v {_logicals(row)} </v>\n" for row in arrangement.free)
        flags = f'  <varray name="selective" type="logical" >\n{rows}  </varray>\n'
    return f' <structure name="{name}" >\n{_crystal(arrangement.cell, arrangement.fractional)}{flags} </structure>\n'


def _logicals(row: NDArray[np.bool_]) -> str:
    return 'type="logical" > ' + " ".join("T" if each else "F" for each in row)


def _crystal(cell: NDArray[np.float64], fractional: NDArray[np.float64]) -> str:
    return (
        f'  <crystal>\n   <varray name="basis" >\n{table(f"    {_V3}", cell)}\n   </varray>\n'
        f'   <i name="volume"> {abs(np.linalg.det(cell)):16.8f} </i>\n   <varray name="rec_basis" >\n'
        f"{table(f'    {_V3}', np.asarray(np.linalg.inv(cell).T))}\n   </varray>\n  </crystal>\n"
        f'  <varray name="positions" >\n{table(f"   {_V3}", wrapped(fractional))}\n  </varray>\n'
    )


_SCSTEP = (
    '  <scstep>\n   <time name="dav"> %7.2f %7.2f</time>\n   <time name="total"> %7.2f %7.2f</time>\n   <energy>\n'
    '    <i name="e_fr_energy"> %16.8f </i>\n    <i name="e_wo_entrp"> %16.8f </i>\n'
    '    <i name="e_0_energy"> %16.8f </i>\n   </energy>\n  </scstep>\n'
)


def ionic_step(step: IonicStep) -> str:
    """Return an ionic step without its end."""
    energies = step.electronic.energies_ev.tolist()
    time_s = step.wall_s / len(energies)
    steps = "".join(_SCSTEP % (time_s, time_s, time_s, time_s, energy, energy, energy) for energy in energies)
    energy = step.forces.energy_ev
    rows = [("e_fr_energy", energy), ("e_wo_entrp", energy), ("e_0_energy", energy)]
    if step.heat is not None:
        heat = step.heat
        total = energy + heat.kinetic_ev + heat.reservoir_ev + heat.thermostat_ev
        rows += [("kinetic", heat.kinetic_ev), ("lattice kinetic", 0.0), ("nosepot", heat.reservoir_ev)]
        rows += [("nosekinetic", heat.thermostat_ev), ("total", total)]
    values = "".join(f'   <i name="{name}"> {value:16.8f} </i>\n' for name, value in rows)
    return (
        f" <calculation>\n{steps}  <structure>\n{_crystal(step.cell, step.fractional)}  </structure>\n"
        f'  <varray name="forces" >\n{table(f"   {_V3}", step.forces.forces)}\n  </varray>\n'
        f"{_stress(step)}  <energy>\n{values}  </energy>\n"
        f'  <time name="totalsc"> {step.wall_s:8.2f} {step.wall_s:8.2f}</time>\n'
    )


def _stress(step: IonicStep) -> str:
    if step.forces.virial_ev is None:
        return ""
    return f'  <varray name="stress" >\n{table(f"   {_V3}", step.stress_kilobar)}\n  </varray>\n'


END_OF_STEP = " </calculation>\n"


def eigenvalues(electrons: Electrons) -> str:
    """Return the bands."""
    parts = [
        "  <eigenvalues>\n   <array>\n"
        '    <dimension dim="1">band</dimension>\n    <dimension dim="2">kpoint</dimension>\n'
        '    <dimension dim="3">spin</dimension>\n    <field>eigene</field>\n    <field>occ</field>\n    <set>\n'
    ]
    for spin, (energies, filled) in enumerate(zip(electrons.energies_ev, electrons.occupations, strict=True), 1):
        parts.append(f'     <set comment="spin {spin}">\n')
        for point, rows in enumerate(np.stack([energies, filled], axis=-1), 1):
            parts.append(f'      <set comment="kpoint {point}">\n')
            parts.append(table("       <r> %9.4f %9.4f </r>", rows) + "\n      </set>\n")
        parts.append("     </set>\n")
    parts.append("    </set>\n   </array>\n  </eigenvalues>\n")
    return "".join(parts)


def end(arrangement: Arrangement) -> str:
    """Return what follows the last ionic step: where the atoms are in the end."""
    return f"{_structure(arrangement, 'finalpos')}</modeling>\n"
