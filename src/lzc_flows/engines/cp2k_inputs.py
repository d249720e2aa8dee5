"""CP2K's inputs from our protocols, on atomate2's input sets.

The calculation is Quickstep's GPW method with explicit bases and pseudopotentials, diagonalisation and Broyden mixing
of the density: the cells are insulators, and so mixed it took 10 to 15 iterations where orbital transformation took
45. Nothing is smeared. The stress is analytical.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Lattice, Structure

from lzc_flows.documents.dft import DftProtocol, Kpoints
from lzc_flows.documents.protocols import RelaxProtocol
from lzc_flows.engines.base import Ions
from lzc_flows.engines.cp2k_basis import electrons_of, element_basis
from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from atomate2.cp2k.sets.base import Cp2kInputGenerator
    from pymatgen.io.cp2k.inputs import Cp2kInput

PROJECT = "CP2K"
"""CP2K's own files begin with it; pymatgen's DftSet knows no other name."""

HARTREE_EV = 27.211386245988
BOHR_ANGSTROM = 0.529177210903
"""CODATA 2018, as ASE has them by default to ten digits."""

EV_PER_ANGSTROM3_BAR = 1602176.634
"""One eV/Å³ in bar."""

REL_CUTOFF_RY = 50.0
"""Cutoff of the grid that a Gaussian of exponent 1 goes to, in Ry; CP2K's manual wants it for variable cells."""

EPS_DEFAULT = 1e-12
"""Precision of the integrals, in Ha; CP2K's default of 1e-10 shows in forces."""

MOST_SCF_STEPS = 80

MIXING = 0.4
"""Share of the new density in the next one."""

_UPRIGHT_ANGSTROM = 1e-8

Optimizer = Literal["BFGS", "CG", "LBFGS"]

OPTIMIZERS: dict[str, Optimizer] = {"FIRE": "BFGS", "BFGS": "BFGS", "LBFGS": "LBFGS"}
"""CP2K's optimizer for each of the protocol. It has no FIRE: where one step costs minutes, BFGS needs the fewest."""


def static_input(structure: Structure, ions: Ions, dft: DftProtocol) -> Cp2kInput:
    """Return CP2K's input for energy, forces and stress.

    Parameters
    ----------
    structure
        Lattice, coordinates and elements count; oxidation states are `ions`'.
    ions
        Charge of the cell and starting moments.

    Raises
    ------
    InputError
        An element without basis and pseudopotential, or an odd number of electrons without spin.
    """
    from atomate2.cp2k.sets.core import StaticSetGenerator

    return _input(StaticSetGenerator, structure, ions, dft)


def relax_input(structure: Structure, ions: Ions, dft: DftProtocol, protocol: RelaxProtocol) -> Cp2kInput:
    """Return CP2K's input for a relaxation of the positions, or of positions and cell.

    The lattice of a relaxed cell must have a along x and b in the xy plane, see `upright`: CP2K moves those six
    components only.

    Raises
    ------
    InputError
        An element without basis and pseudopotential, an odd number of electrons without spin, a cell that is not
        upright where it relaxes.
    """
    from atomate2.cp2k.sets.core import CellOptSetGenerator, RelaxSetGenerator

    optimizer = OPTIMIZERS[protocol.optimizer]
    if not protocol.relax_cell:
        found = _input(RelaxSetGenerator, structure, ions, dft, optimizer)
        found.update({"MOTION": {"GEO_OPT": _criteria(protocol, optimizer)}})
        return found
    if np.abs(np.triu(structure.lattice.matrix, 1)).max() > _UPRIGHT_ANGSTROM:
        raise InputError("a cell with a along x and b in the xy plane is allowed where CP2K relaxes it")
    found = _input(CellOptSetGenerator, structure, ions, dft, optimizer)
    tolerance = pressure_tolerance_bar(protocol.fmax_ev_per_angstrom, len(structure), structure.volume)
    pressure = {"EXTERNAL_PRESSURE": 0.0, "PRESSURE_TOLERANCE": tolerance}  # its default is under 100 bar
    found.update({"MOTION": {"CELL_OPT": {**_criteria(protocol, optimizer), **pressure}}})
    # the grid stays that of the first cell: a new one at each step would make the energy jump
    found.update({"FORCE_EVAL": {"SUBSYS": {"CELL": {"CELL_REF": _vectors(structure.lattice)}}}})
    return found


def _criteria(protocol: RelaxProtocol, optimizer: Optimizer) -> dict[str, Any]:
    """Return when an optimisation ends: forces alone decide, as with the other engines."""
    limit = max_force_au(protocol.fmax_ev_per_angstrom)
    loose = {"MAX_DR": 1.0, "RMS_DR": 1.0}
    return {
        "MAX_FORCE": limit,
        "RMS_FORCE": limit,  # follows from the first
        **loose,
        "MAX_ITER": protocol.max_steps,
        "OPTIMIZER": optimizer,
    }


def _vectors(lattice: Lattice) -> dict[str, str]:
    return {name: " ".join(map(str, row)) for name, row in zip("ABC", lattice.matrix, strict=True)}


def _input(
    generator: type[Cp2kInputGenerator],
    structure: Structure,
    ions: Ions,
    dft: DftProtocol,
    optimizer: Optimizer | None = None,
) -> Cp2kInput:
    """Return the input of an atomate2 generator with our numbers."""
    bases = {symbol: element_basis(symbol, dft.cp2k.basis) for symbol in sorted(set(ions.species))}
    polarised = is_polarised(ions, dft)
    settings: dict[str, Any] = {
        "basis_and_potential": {
            **{symbol: {"basis": basis.basis, "potential": basis.potential} for symbol, basis in bases.items()},
            "basis_filenames": sorted({basis.basis_file for basis in bases.values()}),
            "potential_filename": next(iter(bases.values())).potential_file,  # each kind names its own below
        },
        "xc_functionals": dft.functional,
        "cutoff": dft.cp2k.density_cutoff_ry,
        "rel_cutoff": REL_CUTOFF_RY,
        "ngrids": 4,
        "eps_default": EPS_DEFAULT,
        "eps_scf": eps_scf(dft.scf_ev),
        "ot": False,
        "smearing": False,
        "alpha": MIXING,
        "spin_polarized": polarised,
        "multiplicity": multiplicity(ions, dft) if polarised else 1,
        **{f"print_{what}": False for what in ("dos", "pdos", "mo_cubes", "v_hartree", "e_density")},
    }
    if optimizer:
        settings["activate_motion"] = {"optimizer": optimizer}
    # a configuration of its own: the generators write into the one that all of them share
    made = generator(config_dict={"cp2k_input": settings}, sort_structure=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that names are not looked up in a database of pymatgen's
        bare = _bare(structure, ions, polarised, dft)
        found: Cp2kInput = made.get_input_set(bare, optional_files=False).cp2k_input
    if (scheme := kpoint_scheme(dft.kpoints, structure.lattice)) is not None:
        # CP2K has no other way from one geometry to the next with k-points
        found.update({"FORCE_EVAL": {"DFT": {"KPOINTS": {"SCHEME": scheme}, "QS": {"EXTRAPOLATION": "USE_GUESS"}}}})
    _limit_scf_steps(found)
    _name_potential_files(found, dft)
    if optimizer:
        _stop_at_failed_scf(found)
        _keep_one_restart_file(found)
    return found


def _stop_at_failed_scf(found: Cp2kInput) -> None:
    """End an optimisation at the first self-consistency that fails, where CP2K would go on with its forces."""
    found.update({"FORCE_EVAL": {"DFT": {"SCF": {"NOTCONV_STOPALL": True}}}})


def _keep_one_restart_file(found: Cp2kInput) -> None:
    """Write the last geometry only: CP2K would keep a file of each step."""
    from pymatgen.io.cp2k.inputs import Section

    found["MOTION"]["PRINT"].insert(Section("RESTART_HISTORY", section_parameters=["OFF"]))


def _limit_scf_steps(found: Cp2kInput) -> None:
    """Work around DftSet, which without orbital transformation allows 400 SCF steps whatever it is told."""
    found.update({"FORCE_EVAL": {"DFT": {"SCF": {"MAX_SCF": MOST_SCF_STEPS}}}})


def _name_potential_files(found: Cp2kInput, dft: DftProtocol) -> None:
    """Work around DftSet, which has one file of pseudopotentials for all: give each kind its own; sort the kinds.

    Their order is that of a set of strings there, which differs from process to process.
    """
    from pymatgen.io.cp2k.inputs import Keyword

    subsys = found["FORCE_EVAL"]["SUBSYS"]
    kinds = sorted(name for name, section in subsys.subsections.items() if section.name == "KIND")
    for name in kinds:
        kind = subsys.subsections.pop(name)
        symbol = str(kind["ELEMENT"].values[0])
        kind.add(Keyword("POTENTIAL_FILE_NAME", element_basis(symbol, dft.cp2k.basis).potential_file))
        subsys.subsections[name] = kind


def _bare(structure: Structure, ions: Ions, polarised: bool, dft: DftProtocol) -> Structure:
    """Return elements and places with the cell's charge, and starting moments where they count."""
    bare = Structure(structure.lattice, ions.species, structure.frac_coords, charge=ions.charge_e)
    if polarised and ions.moments:
        bare.add_site_property("magmom", _moments(ions, dft))
    return bare


def is_polarised(ions: Ions, dft: DftProtocol) -> bool:
    """Return whether alpha and beta orbitals differ, which doubles the cost.

    Raises
    ------
    InputError
        The number of electrons is odd and the protocol wants no spin.
    """
    electrons = electrons_of(ions.species, ions.charge_e, dft.cp2k.basis)
    if dft.spin == "none" and electrons % 2:
        raise InputError(f"{electrons} electrons, spin 'none': an even number is allowed, or spin 'auto'")
    if dft.spin == "auto":
        return bool(electrons % 2) or any(_moments(ions, dft))
    return dft.spin == "polarised"


def multiplicity(ions: Ions, dft: DftProtocol) -> int:
    """Return 2S + 1 with 2S the sum of the starting moments, or the next number that the electrons allow.

    CP2K holds it: the total moment does not relax.
    """
    unpaired = round(abs(sum(_moments(ions, dft))))
    electrons = electrons_of(ions.species, ions.charge_e, dft.cp2k.basis)
    return unpaired + (unpaired - electrons) % 2 + 1


def _moments(ions: Ions, dft: DftProtocol) -> list[float]:
    """Return the starting moments of the electrons outside the cores, in μB."""
    return [
        0.0 if element_basis(symbol, dft.cp2k.basis).frozen_4f else moment
        for symbol, moment in zip(ions.species, ions.moments, strict=bool(ions.moments))
    ]


def divisions(kpoints: Kpoints, lattice: Lattice) -> tuple[int, int, int]:
    """Return the divisions of a mesh: its own, or the rounded length times the reciprocal lengths, at least 1."""
    if kpoints.mesh is not None:
        return kpoints.mesh
    assert kpoints.length_angstrom is not None  # one of both
    a, b, c = (
        max(1, math.floor(kpoints.length_angstrom * length + 0.5))
        for length in lattice.reciprocal_lattice_crystallographic.abc
    )
    return a, b, c


def kpoint_scheme(kpoints: Kpoints, lattice: Lattice) -> str | None:
    """Return CP2K's SCHEME of k-points; None for Γ alone, which real orbitals do in a third of the time.

    MONKHORST-PACK holds Γ with odd divisions only. MACDONALD shifts the same points; by half a division where a mesh
    around Γ has an even number of them.
    """
    mesh = divisions(kpoints, lattice)
    if mesh == (1, 1, 1):
        return None
    points = " ".join(map(str, mesh))
    if kpoints.scheme == "monkhorst-pack" or all(n % 2 for n in mesh):
        return f"MONKHORST-PACK {points}"
    shifts = " ".join(f"{0.0 if n % 2 else 0.5 / n:.10f}" for n in mesh)
    return f"MACDONALD {points} {shifts}"


def eps_scf(scf_ev: float) -> float:
    """Return the largest change of the density matrix at which the energy has converged: `scf_ev` in Ha.

    The error of the energy is of second order in that of the density, so that it stays well below `scf_ev`.
    """
    return scf_ev / HARTREE_EV


def max_force_au(fmax_ev_per_angstrom: float) -> float:
    """Return the largest component of a force, in Ha/bohr, with which no force is longer than `fmax_ev_per_angstrom`.

    CP2K's limit is for components, the protocol's for lengths.
    """
    return fmax_ev_per_angstrom / math.sqrt(3) * BOHR_ANGSTROM / HARTREE_EV


def pressure_tolerance_bar(fmax_ev_per_angstrom: float, atoms: int, volume_angstrom3: float) -> float:
    """Return the pressure, in bar, whose force on the cell is `fmax_ev_per_angstrom` as ASE's cell filters count it.

    Their force on the cell is the virial divided by the number of atoms.
    """
    return fmax_ev_per_angstrom * atoms / volume_angstrom3 * EV_PER_ANGSTROM3_BAR


def upright(structure: Structure) -> tuple[Structure, NDArray[np.float64]]:
    """Return the structure turned until a lies along x and b in the xy plane, and the rotation.

    The rotation R (3, 3) turns row vectors back: turned @ R is as it was.
    """
    matrix = structure.lattice.matrix
    q, r = np.linalg.qr(matrix.T)
    signs = np.sign(np.diag(r))
    rotation = (q * signs).T
    if np.linalg.det(rotation) < 0:
        # a left-handed cell stays one: only rotations, so that forces turn with it
        rotation[2] *= -1
    turned = np.tril(matrix @ rotation.T)
    return Structure(Lattice(turned), structure.species, structure.frac_coords), rotation
