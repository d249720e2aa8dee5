"""VASP's grids of wave functions and densities."""

from __future__ import annotations

import numpy as np

from lzc_flows.rehearsal.inputs import Inputs

Grid = tuple[int, int, int]

_RYDBERG_EV = 13.605693
_BOHR_ANGSTROM = 0.52917721
_PRIMES = (2, 3, 5, 7)


def fft_grids(inputs: Inputs) -> tuple[Grid, Grid]:
    """Return VASP 6's grids of wave functions and of densities: NGX to NGZ and NGXF to NGZF.

    As pymatgen's `VaspInputSet.calculate_ng`, whose module takes a second to import: 3/2 or 2 times the radius of the
    cutoff sphere, then the next even number with no prime factor above 7.
    """
    precision = str(inputs.tag("PREC"))[:1].upper()
    wrap = 4 if precision in {"A", "S"} else 3
    lengths = np.linalg.norm(inputs.arrangement.cell, axis=1) / _BOHR_ANGSTROM
    radii = np.sqrt(inputs.tag("ENCUT") / _RYDBERG_EV) * lengths / (2 * np.pi)
    coarse = [_transformable(int(wrap * radius + 0.5)) for radius in radii]
    fine = [(1 if precision == "S" else 2) * number for number in coarse]
    return _given(inputs, coarse, ""), _given(inputs, fine, "F")


def _transformable(least: int) -> int:
    """Return the next even number with no prime factor above 7."""
    number = least + least % 2
    while not _is_smooth(number):
        number += 2
    return number


def _is_smooth(number: int) -> bool:
    for prime in _PRIMES:
        while number > 1 and number % prime == 0:
            number //= prime
    return number == 1


def _given(inputs: Inputs, numbers: list[int], suffix: str) -> Grid:
    first, second, third = (
        int(inputs.tags.get(f"NG{axis}{suffix}", number)) for axis, number in zip("XYZ", numbers, strict=True)
    )
    return first, second, third
