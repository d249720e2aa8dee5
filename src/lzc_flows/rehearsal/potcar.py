"""POTCAR: what the stand-in needs to know of the potentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lzc_flows.rehearsal.messages import refusal

_TITLE = re.compile(r"^\s*TITEL\s*=\s*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Potential:
    """A potential by what its header says.

    Attributes
    ----------
    title
        Such as ``PAW_PBE Li_sv 10Sep2004``.
    element
        Symbol.
    valence
        Number of its electrons.
    mass_amu
        Mass, amu.
    largest_cutoff_ev, smallest_cutoff_ev
        ENMAX and ENMIN, eV.
    """

    title: str
    element: str
    valence: float
    mass_amu: float
    largest_cutoff_ev: float
    smallest_cutoff_ev: float


def read_potcar(path: Path) -> tuple[Potential, ...]:
    """Return the potentials of a POTCAR, in order.

    Raises
    ------
    Refusal
        No such file, or one without potentials.
    """
    if not path.is_file():
        raise refusal("The requested file POTCAR could not be found or opened for reading the potentials.")
    content = path.read_text(errors="replace")
    starts = [found.start() for found in _TITLE.finditer(content)]
    if not starts:
        raise refusal("There was an error reading the file POTCAR: it holds no potential.")
    # a potential begins with its first line and its valence, which stand before the title
    parts = [content[start:end] for start, end in zip(starts, [*starts[1:], len(content)], strict=True)]
    return tuple(_potential(part) for part in parts)


def _potential(text: str) -> Potential:
    title = _TITLE.search(text)
    words = title[1].split() if title else []
    if len(words) < 2:
        raise refusal("There was an error reading the file POTCAR: a potential has no element in its TITEL.")
    element = words[1].split("_")[0].split(".")[0]
    return Potential(
        title=" ".join(words),
        element=element,
        valence=_number(text, "ZVAL", element),
        mass_amu=_number(text, "POMASS", element),
        largest_cutoff_ev=_number(text, "ENMAX", element),
        smallest_cutoff_ev=_number(text, "ENMIN", element),
    )


def _number(text: str, name: str, element: str) -> float:
    found = re.search(rf"\b{name}\s*=\s*([-+.\dEeDd]+)", text)
    if found is None:
        raise refusal(f"There was an error reading the file POTCAR: no {name} for {element}.")
    return float(found[1])
