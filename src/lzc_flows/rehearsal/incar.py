"""INCAR: its tags, with the types and the values that VASP takes.

Names, types and values are those of pymatgen's ``incar_parameters.json``, and, of what it lacks, VASP's wiki
(https://www.vasp.at/wiki) and that of the VTST code (https://theory.cm.utexas.edu/vtsttools/neb.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pymatgen.core

from lzc_flows.rehearsal.messages import Refusal, refusal

VTST_TAGS: dict[str, str] = {
    "ICHAIN": "int",
    "IOPT": "int",
    "LCLIMB": "bool",
    "LTANGENTOLD": "bool",
    "LDNEB": "bool",
    "LNEBCELL": "bool",
    "EFIRST": "float",
    "ELAST": "float",
    "MAXMOVE": "float",
    "ILBFGSMEM": "int",
    "LGLOBAL": "bool",
    "LAUTOSCALE": "bool",
    "INVCURV": "float",
    "LLINEOPT": "bool",
    "FDSTEP": "float",
    "SDALPHA": "float",
    "TIMESTEP": "float",
    "FTIMEMAX": "float",
    "FTIMEDEC": "float",
    "FTIMEINC": "float",
    "FALPHA": "float",
    "FALPHADEC": "float",
    "FNMIN": "int",
}
"""What the VTST code adds for elastic bands and its optimisers, with types."""

_NEWER_TAGS = {
    "CSVR_PERIOD": "float",
    "EFERMI": "str",
    "KPOINTS_OPT_MODE": "int",
    "LH5": "bool",
    "LKPOINTS_OPT": "bool",
    "LVACPOTAV": "bool",
    "ML_LMLFF": "bool",
    "NELMGW": "int",
    "NELMALL": "int",
    "NHC_NCHAINS": "int",
    "NHC_NRESPA": "int",
    "NHC_NS": "int",
    "NHC_PERIOD": "float",
}
_NEWER_VALUES: dict[str, list[Any]] = {
    "IMIX": [0, 1, 2, 4],
    "IOPT": [0, 1, 2, 3, 4, 7],
    "ICHAIN": [0, 1, 2, 3],
    "LORBIT": [0, 1, 2, 5, 10, 11, 12, 13, 14],
    "MDALGO": [0, 1, 2, 3, 4, 5, 11, 13, 21],
    "METAGGA": ["TPSS", "RTPSS", "M06L", "MBJ", "SCAN", "RSCAN", "R2SCAN", "MS0", "MS1", "MS2", "--", "None"],
    "ISMEAR": [-15, -14, -5, -4, -3, -2, -1, *range(11)],
    "GGA": ["--"],
}
_BY_FIRST_LETTER = {"ALGO", "PREC", "PRECFOCK", "LREAL"}

_TRUE = re.compile(r"\.?T(RUE)?\.?$", re.IGNORECASE)
_FALSE = re.compile(r"\.?F(ALSE)?\.?$", re.IGNORECASE)


@cache
def _known() -> dict[str, dict[str, Any]]:
    """Return type and, where VASP takes only some, values of each tag."""
    file = Path(pymatgen.core.__file__).parents[1] / "io" / "vasp" / "incar_parameters.json"
    known: dict[str, dict[str, Any]] = json.loads(file.read_text())
    known |= {tag: {"type": kind} for tag, kind in (VTST_TAGS | _NEWER_TAGS).items()}
    for tag, values in _NEWER_VALUES.items():
        known[tag] = {**known[tag], "values": values if tag != "GGA" else known[tag]["values"] + values}
    return known


def read_incar(path: Path) -> dict[str, Any]:
    """Return the tags of an INCAR by their names in capitals, in the order of the file.

    Raises
    ------
    Refusal
        A tag that VASP does not know, a value that is none of its type, or one that is not allowed.
    """
    tags: dict[str, Any] = {}
    for name, text in _entries(path.read_text()):
        if name not in _known():
            raise refusal(f"The tag '{name}' is not known.", name)
        if name not in tags:  # as in VASP, the first one counts
            tags[name] = typed(name, text)
    return tags


def typed(name: str, text: str) -> Any:
    """Return the value of a tag: bool, int, float, str, or a list of numbers.

    Raises
    ------
    Refusal
        It is none of the tag's type, or not allowed.
    """
    kind = _known()[name]["type"]
    try:
        value = _READERS[kind](text)
    except ValueError:
        raise _bad(name, text, f"of type {kind}") from None
    allowed = _known()[name].get("values")
    if allowed is not None and not _is_allowed(name, value, allowed):
        raise _bad(name, text, ", ".join(str(each) for each in allowed))
    return value


def _bad(name: str, text: str, allowed: str) -> Refusal:
    return refusal(f"Error code was IERR= 5 ... . Found '{text}'; allowed are values {allowed}.", name)


def _entries(content: str) -> list[tuple[str, str]]:
    """Return name and text of each tag: of lines that end with a backslash, with semicolons, quotes and comments."""
    joined = re.sub(r"\\\s*\n", " ", content)
    entries = []
    for line in joined.splitlines():
        for part in re.split(r"[#!]", line)[0].split(";"):
            name, equals, text = part.partition("=")
            if equals:
                entries.append((name.strip().upper(), text.strip().strip("\"'").strip()))
    return entries


def _is_allowed(name: str, value: Any, allowed: list[Any]) -> bool:
    if not isinstance(value, str):
        return value in allowed
    words = [each.upper() for each in allowed if isinstance(each, str)]
    if name in _BY_FIRST_LETTER:
        return value[:1].upper() in {word[:1] for word in words}
    return value.upper() in words


def _logical(text: str) -> bool:
    if _TRUE.match(text):
        return True
    if _FALSE.match(text):
        return False
    raise ValueError(text)


def _logical_or_word(text: str) -> bool | str:
    try:
        return _logical(text)
    except ValueError:
        return text


def _integer(text: str) -> int:
    number = _real(text)
    if number != int(number):
        raise ValueError(text)
    return int(number)


def _real(text: str) -> float:
    words = text.split()
    if not words:
        raise ValueError(text)
    return float(re.sub("d", "e", words[0], flags=re.IGNORECASE))


def _list(text: str) -> list[float]:
    """Return numbers, of which ``3*1.5`` stands for three."""
    numbers: list[float] = []
    for word in text.split():
        times, star, value = word.rpartition("*")
        numbers += [_real(value)] * (int(times) if star else 1)
    if not numbers:
        raise ValueError(text)
    return numbers


_READERS: dict[str, Callable[[str], Any]] = {
    "bool": _logical,
    "bool | str": _logical_or_word,
    "float": _real,
    "int": _integer,
    "list": _list,
    "str": str,
}
