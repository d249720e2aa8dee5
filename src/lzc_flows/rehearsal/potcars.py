"""Stand-ins for POTCARs, for rehearsals where no licensed library is: headers with real numbers, and no potential."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

from pymatgen.core import Element
from pymatgen.io.vasp.inputs import PotcarSingle

from lzc_flows.engines.vasp_potcars import FUNCTIONAL, known_potcars
from lzc_flows.errors import InputError

MARK = "STAND-IN"
"""Stands in the title of each stand-in, where a POTCAR has its date, and so in every document of a rehearsal."""

_ENMIN_PER_ENMAX = 0.75
"""As in the headers of POTCARs, such as 209.769 and 279.692 eV of N_s."""


def write_library(folder: Path, symbols: Iterable[str] | None = None) -> Path:
    """Write stand-ins as a library in pymatgen's layout and return its folder, the value of PMG_VASP_PSP_DIR.

    Parameters
    ----------
    folder
        The library: the files are ``POT_GGA_PAW_PBE_54/POTCAR.Li_sv.gz`` and so on in it.
    symbols
        Which POTCARs; by default all that data/potcars.yaml knows.

    Raises
    ------
    InputError
        A symbol that the table does not know.
    """
    subfolder = folder / PotcarSingle.functional_dir[FUNCTIONAL]
    subfolder.mkdir(parents=True, exist_ok=True)
    for symbol in known_potcars() if symbols is None else symbols:
        # the same bytes each time: no time of writing in the file
        compressed = gzip.compress(potcar_text(symbol).encode(), mtime=0)
        (subfolder / f"POTCAR.{symbol}.gz").write_bytes(compressed)
    return folder


def potcar_text(symbol: str) -> str:
    """Return the stand-in for a POTCAR: its valence, mass and cutoffs as in the real one, and no more.

    Raises
    ------
    InputError
        A symbol that the table does not know.
    """
    if symbol not in known_potcars():
        raise InputError(f"POTCAR {symbol}: no stand-in is known; allowed are {', '.join(known_potcars())}")
    facts = known_potcars()[symbol]
    element = symbol.split("_")[0]
    title = f"PAW_PBE {symbol} {MARK}"
    mass = float(Element(element).atomic_mass)
    return f"""\
  {title}
   {facts.zval:.14f}
 parameters from PSCTR are:
   VRHFIN ={element}: stand-in
   LEXCH  = PE
   TITEL  = {title}
   LULTRA =        F    use ultrasoft PP ?
   IUNSCR =        0    unscreen: 0-lin 1-nonlin 2-no
   POMASS = {mass:8.3f}; ZVAL   = {facts.zval:8.3f}    mass and valenz
   ENMAX  = {facts.enmax_ev:8.3f}; ENMIN  = {_ENMIN_PER_ENMAX * facts.enmax_ev:8.3f} eV
   LCOR   =        T    correct aug charges
   LPAW   =        T    paw PP
   END of PSCTR-controll parameters
 {MARK} for a rehearsal, this is no pseudopotential and VASP cannot compute with it
 local part
   0.00000000E+00
 End of Dataset
"""
