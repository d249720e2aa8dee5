"""What INCAR and KPOINTS hold whatever is computed: electrons, their spins, the mesh of k-points, a user's own tags."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.vasp.inputs import BadIncarWarning, Incar, Kpoints, KpointsSupportedModes

from lzc_flows.crystal.moments import starting_moments
from lzc_flows.documents.dft import DftProtocol
from lzc_flows.engines.base import ions_of
from lzc_flows.engines.vasp_potcars import check_states, frozen_state, require_potcars
from lzc_flows.errors import InputError

_OF_THE_FUNCTIONAL = "dft.functional, which is PBE without a Hubbard U"
_OF_THE_PART = "the segments of the aimd protocol"
_OF_THE_BAND = "the cineb protocol"
_OF_THE_STAGE = "the stage, which decides what VASP does and writes"

TAKEN: Mapping[str, str] = {
    "ENCUT": "dft.cutoff_ev",
    "EDIFF": "dft.scf_ev",
    "ISMEAR": "dft.smearing_ev",
    "SIGMA": "dft.smearing_ev",
    "KSPACING": "dft.kpoints",
    "KGAMMA": "dft.kpoints",
    "ISPIN": "dft.spin",
    "MAGMOM": "dft.spin",
    "NELECT": "the oxidation states of the crystal",
    **dict.fromkeys(("GGA", "METAGGA", "LHFCALC", "LDAU", "LDAUTYPE", "LDAUL", "LDAUU", "LDAUJ"), _OF_THE_FUNCTIONAL),
    "EDIFFG": "the protocol's fmax_ev_per_angstrom",
    "IBRION": "the protocol's optimizer",
    "ISIF": "the protocol's relax_cell, or a segment's ensemble",
    "NSW": "the protocol's max_steps, or a segment's ps",
    **dict.fromkeys(("TEBEG", "TEEND", "POTIM", "MDALGO", "SMASS", "NBLOCK", "ANDERSEN_PROB"), _OF_THE_PART),
    **dict.fromkeys(("LANGEVIN_GAMMA", "LANGEVIN_GAMMA_L", "PMASS", "PSTRESS"), _OF_THE_PART),
    **dict.fromkeys(("IMAGES", "SPRING", "LCLIMB", "IOPT", "ICHAIN"), _OF_THE_BAND),
    **dict.fromkeys(("ICHARG", "LCHARG", "LELF", "NEDOS"), _OF_THE_STAGE),
}
"""Tags that follow from the protocol or the crystal, and what they follow from."""


@dataclass(frozen=True)
class Electrons:
    """The electrons of a cell.

    Attributes
    ----------
    count
        Their number, all that VASP treats: the valence electrons of the POTCARs less the charge of the cell.
    charge_e
        Charge of the cell, in elementary charges: the sum of the oxidation states.
    moments
        Starting moment of each kind of ion in μB, by its name as in ``Ti3+``; None for closed shells.
    """

    count: float
    charge_e: int
    moments: Mapping[str, float] | None


def electrons_of(crystal: Structure, dft: DftProtocol) -> Electrons:
    """Return the electrons of an ordered crystal; without oxidation states it counts as neutral and closed-shell.

    Raises
    ------
    InputError
        A POTCAR is missing or made for another oxidation state; an odd number of electrons where `dft.spin` is none.
    """
    ions = ions_of(crystal)
    potcars = require_potcars(ions.species, dft)
    check_states(crystal.species, {element: potcar.symbol for element, potcar in potcars.items()})
    count = sum(potcars[element].zval for element in ions.species) - ions.charge_e
    is_odd = round(count) % 2 == 1
    if is_odd and dft.spin == "none":
        raise InputError(
            f"dft.spin: none wants an even number of electrons, and {crystal.formula} has {count:g}; auto or polarised "
            "is allowed"
        )
    names = [str(species) for species in crystal.species]
    # 4f electrons in the core have no moment there
    frozen = {element for element, potcar in potcars.items() if frozen_state(potcar.symbol) is not None}
    of_sites = zip(names, ions.species, starting_moments(crystal), strict=True)
    moments = {name: 0.0 if element in frozen else moment for name, element, moment in of_sites}
    is_polarised = dft.spin == "polarised" or (dft.spin == "auto" and (is_odd or any(moments.values())))
    if is_polarised and not any(moments.values()):
        # nothing says which ion has the unpaired electron: VASP's own default, so that spins may differ at all
        moments = dict.fromkeys(names, 1.0)
    return Electrons(count, ions.charge_e, moments if is_polarised else None)


def electron_tags(electrons: Electrons) -> dict[str, Any]:
    """Return ISPIN, and NELECT where the cell is charged: VASP balances it with a uniform background."""
    charged = {} if electrons.charge_e == 0 else {"NELECT": electrons.count}
    return {"ISPIN": 1 if electrons.moments is None else 2, **charged}


def mesh_of(dft: DftProtocol, crystal: Structure) -> tuple[int, int, int]:
    """Return the divisions of the k-point mesh: the protocol's, or its length times the reciprocal lengths.

    VASP's automatic mesh: N = max(1, int(length · |b| + 1/2)), b without 2π (VASP wiki, KPOINTS).
    """
    if dft.kpoints.mesh is not None:
        return dft.kpoints.mesh
    lengths = float(dft.kpoints.length_angstrom or 0) * np.array(
        crystal.lattice.reciprocal_lattice_crystallographic.abc
    )
    first, second, third = (max(1, int(length + 0.5)) for length in lengths)
    return first, second, third


def kpoints_of(dft: DftProtocol, crystal: Structure) -> Kpoints:
    """Return the KPOINTS file: the divisions written out, so that the file alone says what was done."""
    gamma = dft.kpoints.scheme == "gamma"
    return Kpoints(
        comment="Mesh of the protocol",
        style=KpointsSupportedModes.Gamma if gamma else KpointsSupportedModes.Monkhorst,
        kpts=(mesh_of(dft, crystal),),
    )


def check_incar(tags: Mapping[str, Any]) -> None:
    """Refuse a user's tags that VASP does not know, that follow from the protocol, or that have a wrong value.

    Raises
    ------
    InputError
        One line that names the tag, and where its number belongs.
    """
    for tag, value in tags.items():
        if tag in TAKEN:
            raise InputError(f"dft.vasp.incar: {tag} is set already; it follows from {TAKEN[tag]}")
        if tag not in Incar.INCAR_PARAMS:
            near = difflib.get_close_matches(tag.upper(), Incar.INCAR_PARAMS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"dft.vasp.incar: VASP has no tag {tag}{hint}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", BadIncarWarning)
            incar = Incar({tag: value})
            incar.check_params()
        # a number that does not fit the tag's type would silently lose its decimals
        if caught or (isinstance(value, int | float) and incar[tag] != value):
            raise InputError(f"dft.vasp.incar: {tag}: {value!r} is not a value of it")
