r"""Mean squared displacements over all origins by fast Fourier transform, as tensors.

The tensor of a lag τ is the mean over atoms and time origins of Δr ⊗ Δr, Δr = r(t + τ) − r(t). Its trace is the mean
squared displacement (MSD), its projection on a direction the MSD along it. The products r(t) r(t + τ) are an
autocorrelation, which takes T log T instead of T² operations; the squares are running sums: the algorithm of
Calandrini et al., Collection SFN 12, 201 (2011), here for the tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Direction = Literal["total", "a", "b", "c", "ab"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
"""All of space; along the lattice vector a, b or c (a and b of a hexagonal cell enclose 120°, so that they share the
plane's motion and do not add up to it); within the plane of a and b."""

DIMENSIONS: dict[Direction, int] = {"total": 3, "a": 1, "b": 1, "c": 1, "ab": 2}
"""Dimensions of each, d in MSD = 2 d D τ."""

_CHUNK_BYTES = 32 * 2**20  # of one chunk's transforms


def mean_squared_displacement(moved: NDArray[np.float64], origins: int | None = None) -> NDArray[np.float64]:
    """Return the tensor of mean squared displacements at every lag, averaged over atoms and time origins.

    Parameters
    ----------
    moved
        Displacements or unwrapped positions, Å, shape (frames, atoms, 3).
    origins
        Every lag is averaged over this many first frames as origins (pymatgen-analysis-diffusion's
        ``smoothed="constant"`` with its ``avg_nsteps``). None: over every origin that there is, frames − lag of them.

    Returns
    -------
    NDArray
        Å², shape (lags, 3, 3); the lags are 0, 1, 2, … frames, up to the longest that has all its origins. Atoms are
        transformed a few at a time, in 32 MiB, whatever their number.

    Raises
    ------
    InputError
        If `origins` is not between 1 and the number of frames.
    """
    frames, atoms, _ = moved.shape
    if origins is not None and not 1 <= origins <= frames:
        raise InputError(f"{origins} time origins: 1 to {frames}, the number of frames, are allowed")
    lags = np.arange(frames if origins is None else frames - origins + 1)
    counts = frames - lags if origins is None else np.full(len(lags), origins)
    # a fixed set of origins never reaches beyond the last frame, so that nothing wraps around without padding
    size = next_fast_len(2 * frames - 1 if origins is None else frames, real=True)
    products = np.zeros((3, 3, size // 2 + 1), dtype=np.complex128)
    squares = np.zeros((frames, 3, 3))
    step = max(1, _CHUNK_BYTES // (48 * size))
    for first in range(0, atoms, step):
        chunk = np.ascontiguousarray(moved[:, first : first + step].transpose(1, 2, 0))
        # small numbers leave small rounding errors
        chunk -= chunk.mean(axis=2, keepdims=True)
        later = rfft(chunk, size)
        early = later if origins is None else rfft(chunk[:, :, :origins], size)
        products += np.einsum("nif,njf->ijf", early.conj(), later)
        squares += np.einsum("nit,njt->tij", chunk, chunk)
    correlation = irfft(products, size)[:, :, : len(lags)].transpose(2, 0, 1)
    running = np.concatenate([np.zeros((1, 3, 3)), squares.cumsum(axis=0)])
    sums = running[counts] + running[lags + counts] - running[lags] - correlation - correlation.transpose(0, 2, 1)
    sums[0] = 0
    return sums / (atoms * counts)[:, None, None]


def projected(tensors: NDArray[np.float64], cell: NDArray[np.float64], direction: Direction) -> NDArray[np.float64]:
    """Return the projection of tensors on a direction of the crystal.

    Parameters
    ----------
    tensors
        Shape (n, 3, 3), such as those of `mean_squared_displacement`.
    cell
        Rows are the lattice vectors, Å, shape (3, 3).
    direction
        One of `DIRECTIONS`. "ab" is the trace less the projection on the normal of the plane of a and b.

    Returns
    -------
    NDArray
        Shape (n,), in the tensors' unit.
    """
    trace = np.trace(tensors, axis1=1, axis2=2)
    if direction == "total":
        return trace
    if direction == "ab":
        return trace - _along(tensors, np.cross(cell[0], cell[1]))
    return _along(tensors, cell["abc".index(direction)])


def _along(tensors: NDArray[np.float64], vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit = vector / np.linalg.norm(vector)
    return np.einsum("nij,i,j->n", tensors, unit, unit)
