"""Converged paths in the words of documents."""

from __future__ import annotations

from typing import Any

from lzc_flows.documents.neb import LegDoc
from lzc_flows.engines.neb_tasks import PathResult


def barriers(path: PathResult) -> dict[str, Any]:
    """Return the barriers of a path and the largest force at its saddles, named as in the documents."""
    highest = float(path.energies_ev.max())
    return {
        "barrier_forward_eV": highest - float(path.energies_ev[0]),
        "barrier_reverse_eV": highest - float(path.energies_ev[-1]),
        "fmax": max(leg.fmax_climbing for leg in path.legs),
    }


def curve(path: PathResult) -> dict[str, Any]:
    """Return energies, ways and slopes along a path, named as in the documents."""
    return {
        "energies_eV": (path.energies_ev - path.energies_ev[0]).tolist(),
        "distances_A": path.distances_angstrom.tolist(),
        "slopes_eV_A": path.slopes_ev_per_angstrom.tolist(),
    }


def legs(path: PathResult) -> list[LegDoc]:
    """Return the documents of a path's elementary steps."""
    found = []
    for leg in path.legs:
        part = path.energies_ev[leg.first_image : leg.last_image + 1]
        found.append(
            LegDoc(
                **vars(leg),
                barrier_forward_eV=float(part.max() - part[0]),
                barrier_reverse_eV=float(part.max() - part[-1]),
            )
        )
    return found
