"""Searches on disk, to the last bit, so that one that was cut goes on as if it had not been."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lzc_flows.band.climb import BandState
from lzc_flows.band.lbfgs import Lbfgs
from lzc_flows.band.search import Leg, SearchState
from lzc_flows.errors import InputError
from lzc_flows.files import write_atomically

Arrays = dict[str, NDArray[np.float64]]


def write_search(path: Path, state: SearchState) -> None:
    """Write a state, whole or not at all."""
    arrays: Arrays = {}
    legs = []
    for number, leg in enumerate(state.legs):
        band, optimiser = leg.band, leg.band.optimiser
        arrays |= {f"{number} {name}": getattr(band, name) for name in ("path", "energies_ev", "forces")}
        kept = {
            "moved": [moved for moved, _ in optimiser.pairs],
            "change": [change for _, change in optimiser.pairs],
            "last": [] if optimiser.last is None else list(optimiser.last),
        }
        arrays |= {f"{number} {name}": np.array(value) for name, value in kept.items()}
        numbers = {name: getattr(band, name) for name in ("climbing", "alone", "steps", "evaluations")}
        longest = {"longest_step_angstrom": optimiser.longest_step_angstrom}
        legs.append({"dips": leg.dips, "converged": leg.converged, "band": numbers, "optimiser": longest})
    write_arrays(path, {"spent": state.spent, "legs": legs}, arrays)


def read_search(path: Path) -> SearchState:
    """Return the state that `write_search` wrote, equal to the last bit.

    Raises
    ------
    InputError
        The file is damaged.
    """
    header, arrays = read_arrays(path)
    legs = []
    for number, leg in enumerate(header["legs"]):
        images, energies_ev, forces = (arrays[f"{number} {name}"] for name in ("path", "energies_ev", "forces"))
        pairs = list(zip(arrays[f"{number} moved"], arrays[f"{number} change"], strict=True))
        last = arrays[f"{number} last"]
        optimiser = Lbfgs(**leg["optimiser"], pairs=pairs, last=(last[0], last[1]) if len(last) else None)
        band = BandState(images, energies_ev, forces, **leg["band"], optimiser=optimiser)
        legs.append(Leg(band, leg["dips"], leg["converged"]))
    return SearchState(legs, header["spent"])


def write_arrays(path: Path, header: dict[str, Any], arrays: Arrays) -> None:
    """Write named arrays and what JSON holds to one file, whole or not at all."""
    stream = io.BytesIO()
    save: Callable[..., None] = np.savez  # its stub takes arrays only by position
    save(stream, header=np.array(json.dumps(header)), **arrays)
    write_atomically(path, stream.getvalue())


def read_arrays(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Return header and arrays as `write_arrays` wrote them.

    Raises
    ------
    InputError
        The file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return json.loads(str(arrays.pop("header"))), arrays
    except (ValueError, KeyError, EOFError, BadZipFile, zlib.error, AttributeError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: damaged ({reason}); remove its folder to begin anew") from None
