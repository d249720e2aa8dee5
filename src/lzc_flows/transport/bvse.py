"""Bond-valence site energy of a mobile ion on a periodic grid.

Every framework ion within the cutoff counts, periodic images included (Adams & Rao, Phys. Chem. Chem. Phys.
11, 3210 (2009); Chen, Wong & Adams, Acta Cryst. B 75, 18 (2019)):

* opposite charge, Morse: ``p·D0·{[exp(α(Rmin − R)) − 1]² − 1}``, with p = ½ in both conventions below;
* same charge, screened Coulomb: ``14.4·q1·q2/√(n1·n2)/R·erfc(R/(f(r1 + r2)))``.

Ions of the mobile element are left out: the field is that of one probe ion in the empty framework.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numba
import numpy as np

from lzc_flows.errors import InputError
from lzc_flows.transport.bvse_parameters import (
    RadiiSet,
    SiteIon,
    covalent_radius_angstrom,
    missing_pairs,
    morse_parameters,
    no_parameters_message,
    oxidation_state,
    parse_ion,
    principal_quantum_number,
    site_ions,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Species, Structure

COULOMB_EV_ANGSTROM = 14.4
"""e²/(4πε0) in eV·Å, rounded as in softBV and bvlain (CODATA: 14.39964) so that the codes agree."""

MAX_ENERGY_EV = 100.0
"""Energies are clipped here: a node on top of a same-sign ion would be infinite. No barrier reaches it."""

_MIN_DISTANCE_ANGSTROM = 1e-3  # only keeps 1/R finite; such nodes are clipped anyway
_BLOCK = 8  # grid nodes per edge of the blocks that share one list of nearby ions


@dataclass(frozen=True)
class BVSEConvention:
    """One way of writing the BVSE energy; open codes differ.

    Attributes
    ----------
    name
        What results are labelled with.
    morse_prefactor
        p of the Morse term (½ or 1).
    screening_factor
        f of the Coulomb term.
    radii
        Covalent radii r1, r2 of the Coulomb term: ``"ase"`` or ``"softbv"``.
    source
        Where the convention is defined.
    """

    name: str
    morse_prefactor: float
    screening_factor: float
    radii: RadiiSet
    source: str


CONVENTIONS = {
    convention.name: convention
    for convention in (
        BVSEConvention("bvlain", 0.5, 0.74, "ase", "bvlain 0.25.1, potentials.py, default radii"),
        BVSEConvention("softbv", 0.5, 0.74, "softbv", "bvlain 0.25.1, use_softbv_covalent_radii=True"),
    )
}
"""The named conventions."""


@dataclass(frozen=True, eq=False)
class EnergyField:
    """Site energy of a mobile ion on the nodes of a periodic grid.

    Attributes
    ----------
    energies_ev
        Shape (nx, ny, nz), eV, at most `MAX_ENERGY_EV`. Node (i, j, k) lies at the fractional position
        (i/nx, j/ny, k/nz); the end planes are not repeated.
    lattice_angstrom
        Shape (3, 3), Å, rows are the lattice vectors.
    mobile
        Label of the mobile ion, such as ``"Li+"``.
    convention
        Name of the `BVSEConvention`.
    cutoff_angstrom
        Interaction cutoff in Å.
    """

    energies_ev: NDArray[np.float64]
    lattice_angstrom: NDArray[np.float64]
    mobile: str
    convention: str
    cutoff_angstrom: float


def grid_shape(lattice_angstrom: NDArray[np.float64], resolution_angstrom: float) -> tuple[int, int, int]:
    """Return the numbers of nodes ``ceil(length/resolution)`` along the three lattice vectors.

    Raises
    ------
    InputError
        If the resolution is not a positive number.
    """
    if not (math.isfinite(resolution_angstrom) and resolution_angstrom > 0):
        raise InputError(f"resolution {resolution_angstrom} Å: expected a positive number")
    lengths = np.linalg.norm(lattice_angstrom, axis=1)
    # a length that is a multiple of the resolution must not gain a node by rounding
    nx, ny, nz = (max(1, math.ceil(length / resolution_angstrom - 1e-9)) for length in lengths)
    return nx, ny, nz


def energy_field(
    structure: Structure,
    mobile: str = "Li+",
    *,
    resolution_angstrom: float = 0.2,
    cutoff_angstrom: float = 10.0,
    convention: BVSEConvention = CONVENTIONS["bvlain"],
) -> EnergyField:
    """Compute the BVSE field of a mobile ion in a structure.

    Parameters
    ----------
    structure
        Structure with oxidation states. On partially occupied sites each species counts by its occupancy.
    mobile
        Mobile ion; it must be in the structure.
    resolution_angstrom
        Largest distance of neighbouring nodes along each lattice vector, Å.
    cutoff_angstrom
        Framework ions up to this distance count, Å.
    convention
        Form and radii of the energy.

    Raises
    ------
    InputError
        For a missing or zero oxidation state, a mobile ion that is not in the structure, a structure without
        other ions, pairs without softBV parameters (all are named), a non-positive resolution or cutoff.
    """
    if not (math.isfinite(cutoff_angstrom) and cutoff_angstrom > 0):
        raise InputError(f"cutoff {cutoff_angstrom} Å: expected a positive number")
    lattice = np.array(structure.lattice.matrix, dtype=np.float64)
    shape = grid_shape(lattice, resolution_angstrom)
    ion = parse_ion(mobile)
    framework = _framework(structure, ion)
    missing = missing_pairs(structure, mobile, convention.radii)
    if missing:
        raise InputError(no_parameters_message(ion, [partner for _, partner in missing]))

    kinds = sorted({entry.species for entry in framework}, key=str)
    terms = np.array([_pair_term(ion, species, convention) for species in kinds])
    fractional = np.array([structure[entry.site].frac_coords for entry in framework])
    cells, owners = _images_within(fractional, lattice, cutoff_angstrom)
    energies = _sum_over_ions(
        shape,
        lattice,
        cells @ lattice,
        np.array([kinds.index(entry.species) for entry in framework])[owners],
        np.array([entry.occupancy for entry in framework])[owners],
        terms,
        float(cutoff_angstrom),
    )
    return EnergyField(energies, lattice, str(ion), convention.name, float(cutoff_angstrom))


def _framework(structure: Structure, mobile: Species) -> list[SiteIon]:
    """Return the ions of all elements but the mobile one."""
    ions = site_ions(structure)
    if all(entry.species != mobile for entry in ions):
        present = ", ".join(sorted({str(entry.species) for entry in ions}))
        raise InputError(f"mobile ion {mobile} is not in the structure, which holds {present}")
    framework = [entry for entry in ions if entry.species.symbol != mobile.symbol]
    if not framework:
        raise InputError(f"the structure holds no framework ion besides {mobile.symbol}")
    return framework


def _pair_term(mobile: Species, partner: Species, convention: BVSEConvention) -> tuple[float, float, float, float]:
    """Return (is_morse, amplitude in eV or eV·Å, α in 1/Å or 1/(f(r1 + r2)), Rmin in Å or 0)."""
    charges = oxidation_state(mobile) * oxidation_state(partner)
    if charges < 0:
        morse = morse_parameters(mobile, partner)
        amplitude = convention.morse_prefactor * morse.dissociation_energy_ev
        return 1.0, amplitude, morse.alpha_per_angstrom, morse.r_min_angstrom
    quantum = principal_quantum_number(mobile) * principal_quantum_number(partner)
    amplitude = COULOMB_EV_ANGSTROM * charges / math.sqrt(quantum)
    radii = sum(covalent_radius_angstrom(species, convention.radii) for species in (mobile, partner))
    return 0.0, amplitude, 1.0 / (convention.screening_factor * radii), 0.0


def _images_within(
    fractional: NDArray[np.float64], lattice: NDArray[np.float64], cutoff: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return all ion images that can reach the home cell: fractional positions (m, 3) and indices (m,)."""
    # a plane-to-plane distance of the cell is one over the length of the reciprocal vector
    margin = cutoff * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    reach = np.ceil(margin).astype(int)
    axes = [np.arange(-r, r + 1) for r in reach]
    translations = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    images = (translations + (fractional - np.floor(fractional))).reshape(-1, 3)
    owners = np.tile(np.arange(len(fractional)), len(translations))
    near = np.all((images >= -margin) & (images <= 1 + margin), axis=1)
    return images[near], owners[near]


def _sum_over_ions(
    shape: tuple[int, int, int],
    lattice: NDArray[np.float64],
    images: NDArray[np.float64],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    terms: NDArray[np.float64],
    cutoff: float,
) -> NDArray[np.float64]:
    """Return the clipped energies (nx, ny, nz), the blocks shared out among threads.

    Python threads over a kernel without the GIL, not numba's prange: on GNU OpenMP, its usual layer, the
    children forked after a first prange are killed at their own.
    """
    energies = np.empty(shape)
    threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    # several ranges a thread, as blocks differ in cost
    bounds = np.linspace(0, np.prod(_block_counts(np.array(shape))), 8 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        done = [
            pool.submit(_fill_blocks, energies, (int(a), int(b)), lattice, images, kinds, weights, terms, cutoff)
            for a, b in pairwise(bounds)
        ]
        for future in done:
            future.result()
    return energies


@numba.njit(cache=True)
def _block_counts(shape: NDArray[np.int64]) -> NDArray[np.int64]:
    return (shape + _BLOCK - 1) // _BLOCK


@numba.njit(cache=True, inline="always")
def _pair_energy(term: NDArray[np.float64], distance: float) -> float:
    if term[0] > 0.5:
        x = math.exp(term[2] * (term[3] - distance))
        return term[1] * x * (x - 2.0)  # [x − 1]² − 1
    return term[1] * math.erfc(term[2] * distance) / distance


@numba.njit(cache=True)
def _images_near_block(
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    shape: NDArray[np.int64],
    lattice: NDArray[np.float64],
    images: NDArray[np.float64],
    cutoff: float,
) -> NDArray[np.int64]:
    """Return the indices of the images that can be within the cutoff of a node of the block [start, stop)."""
    centre = (0.5 * (start + stop - 1) / shape) @ lattice
    half = 0.5 * (stop - 1 - start) / shape
    radius = 0.0
    for sy in (-1.0, 1.0):
        for sz in (-1.0, 1.0):
            corner = np.array([half[0], sy * half[1], sz * half[2]]) @ lattice
            radius = max(radius, math.sqrt(np.sum(corner**2)))
    near = np.empty(len(images), dtype=np.int64)
    count = 0
    for m in range(len(images)):
        squared = 0.0
        for axis in range(3):
            squared += (images[m, axis] - centre[axis]) ** 2
        # a hair more, against rounding
        if squared <= (cutoff + radius + 1e-6) ** 2:
            near[count] = m
            count += 1
    return near[:count]


@numba.njit(cache=True, nogil=True)
def _fill_blocks(
    energies: NDArray[np.float64],
    block_range: tuple[int, int],
    lattice: NDArray[np.float64],
    images: NDArray[np.float64],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    terms: NDArray[np.float64],
    cutoff: float,
) -> None:
    """Write the clipped energies (nx, ny, nz) of a range of blocks; images (m, 3) in Å."""
    shape = np.array(energies.shape)
    blocks = _block_counts(shape)
    for block in range(block_range[0], block_range[1]):
        start = _BLOCK * np.array([block // (blocks[1] * blocks[2]), block // blocks[2] % blocks[1], block % blocks[2]])
        stop = np.minimum(start + _BLOCK, shape)
        near = _images_near_block(start, stop, shape, lattice, images, cutoff)
        for i in range(start[0], stop[0]):
            for j in range(start[1], stop[1]):
                for k in range(start[2], stop[2]):
                    node = np.array([i / shape[0], j / shape[1], k / shape[2]]) @ lattice
                    total = 0.0
                    for m in near:
                        dx, dy, dz = images[m, 0] - node[0], images[m, 1] - node[1], images[m, 2] - node[2]
                        squared = dx * dx + dy * dy + dz * dz
                        if squared <= cutoff * cutoff:
                            distance = max(math.sqrt(squared), _MIN_DISTANCE_ANGSTROM)
                            total += weights[m] * _pair_energy(terms[kinds[m]], distance)
                    energies[i, j, k] = min(total, MAX_ENERGY_EV)
