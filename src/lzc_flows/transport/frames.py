"""Frames of a trajectory a piece at a time, as seen from the framework: constant memory, whatever their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lzc_flows.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from lzc_flows.transport.motion import Motion

_PIECE_BYTES = 16 * 2**20  # of positions as float64


def framework_atoms(motion: Motion, mobile: str) -> NDArray[np.int64]:
    """Return the indices of all atoms that are not of the mobile species.

    Raises
    ------
    InputError
        If the mobile species is missing, or every atom is of it.
    """
    framework = np.setdiff1d(np.arange(len(motion.species)), motion.indices(mobile))
    if not len(framework):
        raise InputError(f"mobile species {mobile}: every atom is one, so that no framework is left")
    return framework


def frames_in_framework(motion: Motion, mobile: str) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield pieces of the trajectory with the drift of the framework taken off.

    The framework's mean displacement since the first frame, each of its atoms counted once, is subtracted from all
    positions of a frame, as in `lzc_flows.transport.motion.displacements`: the centre of the framework rests where it
    is in the first frame.

    Parameters
    ----------
    motion
        The trajectory.
    mobile
        The mobile species; all other atoms are the framework.

    Yields
    ------
    tuple
        Number of the piece's first frame, and its positions of all atoms, Å, unwrapped, float64, shape (n, atoms, 3).

    Raises
    ------
    InputError
        As `framework_atoms`, or if a position is not finite.
    """
    framework = framework_atoms(motion, mobile)
    start = np.asarray(motion.positions[0:1], dtype=np.float64)
    step = max(1, _PIECE_BYTES // start.nbytes)
    for first in range(0, motion.frames, step):
        # a copy: the trajectory is not ours
        piece = np.array(motion.positions[first : first + step], dtype=np.float64)
        finite = np.isfinite(piece).all(axis=(1, 2))
        if not finite.all():
            raise InputError(
                f"positions of frame {first + int(np.argmin(finite))}: a number that is not finite; "
                "only finite ones are allowed"
            )
        piece -= (piece[:, framework] - start[:, framework]).mean(axis=1, keepdims=True)
        yield first, piece
